"""Stands still with objects that have attributes of all kinds. Runs on CPython 2.7 and 3.6 or later."""
import json
import os
import sys
import collections


class Plain(object):
    def __init__(self):
        self.a = 1
        self.b = "two"


class Ordered(object):
    """Attributes that were set in another order than its siblings'."""

    def __init__(self, names):
        for name in names:
            setattr(self, name, name.upper())


class Slots(object):
    __slots__ = ("x", "y", "unset")

    def __init__(self):
        self.x = 1
        self.y = [2]


class Child(Slots):
    def __init__(self):
        Slots.__init__(self)
        self.z = 3


class Number(int):
    pass


class WithRepr(object):
    def __init__(self):
        self.inner = Plain()

    def __repr__(self):
        return "not known"


class Many(object):
    def __init__(self):
        for i in range(100):
            setattr(self, "a%d" % i, i)


def stand():
    Ordered("cab")
    plain = Plain()
    other = Ordered("abc")
    another = Ordered("cba")
    slots = Slots()
    child = Child()
    number = Number(5)
    number.unit = "m"
    known = WithRepr()
    loop = Plain()
    loop.me = loop
    deleted = Plain()
    del deleted.a
    taken = Plain()
    taken.__dict__["odd name\x1b"] = 1  # the dictionary is made for this
    many = Many()
    bare = Child.__new__(Child)
    tree = []
    for i in range(12):
        tree = [i, tree]
    wide = dict(("key%d" % i, "v" * 100) for i in range(100))
    huge = 10 ** 30000
    long = "ab" * 5000
    data = b"\x00" * 100
    rows = [[i] * 100 for i in range(100)]
    sys.stdout.write("READY " + json.dumps({"pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    return locals()


stand()
