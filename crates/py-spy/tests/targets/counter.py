"""Computes something whose result it checks, in two threads, and says how far it is for every line on stdin."""
import os
import sys
import threading
import time

import truth

counts = [0, 0]
wrong = []


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def work(which):
    total = 0
    while True:
        number = sum(fibonacci(n) for n in range(10)) + len(sorted(range(50), key=lambda x: -x))
        total += number
        counts[which] += 1
        if number != 138 or total != counts[which] * 138:
            wrong.append((number, total))


def wait():
    """Sleeps and reads, which a signal or a stop must not end early."""
    reader, writer = os.pipe()
    while True:
        try:
            began = time.time()
            time.sleep(0.01)
            if time.time() - began < 0.009:
                wrong.append("woke early")
            os.write(writer, b"x")
            if os.read(reader, 1) != b"x":
                wrong.append("read")
        except Exception:
            wrong.append(repr(sys.exc_info()[1]))


def main():
    for target, args in ((work, (0,)), (work, (1,)), (wait, ())):
        thread = threading.Thread(target=target, args=args)
        thread.daemon = True
        thread.start()
    while True:
        truth.say(counts=counts, wrong=[str(one) for one in wrong])
        if not os.read(0, 4096):
            os._exit(0)


main()
