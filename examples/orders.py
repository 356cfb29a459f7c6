"""A small batch job with a hot spot to find: prices orders, ranks customers, writes a report.

Run it on its own (it takes about ten seconds), or under py-spy:

    py-spy record -o profile.svg -- python3 examples/orders.py
"""
import json
import random
import sys
import time


class Catalogue:
    def __init__(self, size):
        random.seed(7)
        self.items = [("item-%04d" % i, random.randint(100, 9999)) for i in range(size)]

    def price(self, name):
        # The hot spot: a dictionary would do this at once.
        for item, cents in self.items:
            if item == name:
                return cents
        raise KeyError(name)


def orders(count, catalogue):
    for number in range(count):
        lines = []
        for _ in range(random.randint(1, 6)):
            name = "item-%04d" % random.randrange(len(catalogue.items))
            lines.append((name, random.randint(1, 9)))
        yield {"customer": number % 97, "lines": lines}


def total(order, catalogue):
    return sum(catalogue.price(name) * amount for name, amount in order["lines"])


def discount(cents, history):
    rank = sorted(history, reverse=True)
    better = sum(1 for other in rank if other > cents)
    return cents * 95 // 100 if better < 10 else cents


def report(totals):
    rows = [{"customer": key, "cents": value} for key, value in sorted(totals.items())]
    return json.dumps(rows, indent=1)


def main(seconds):
    catalogue = Catalogue(800)
    end = time.time() + seconds
    while time.time() < end:
        totals = {}
        history = []
        for order in orders(300, catalogue):
            cents = discount(total(order, catalogue), history)
            history.append(cents)
            totals[order["customer"]] = totals.get(order["customer"], 0) + cents
        for _ in range(20):
            report(totals)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
