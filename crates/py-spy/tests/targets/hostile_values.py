"""Stands still with values that would take for ever to read. Runs on CPython 3.3 or later."""
import json
import os
import sys
import types


def printer(module, qualname):
    """A __repr__ that says it is one of the standard library's."""
    space = {"__name__": module}
    exec("def __repr__(self): return 'x'", space)
    space["__repr__"].__qualname__ = qualname
    return space["__repr__"]


class OrderedDict(dict):
    __repr__ = printer("collections", "OrderedDict.__repr__")


class Link:
    __slots__ = ("key", "next")


class Flags:
    __repr__ = printer("enum", "Flag.__repr__")


class Crowd:
    pass


def endless():
    """Its list of keys has none of its own, and no end."""
    root, link = Link(), Link()
    root.key = link.key = object()
    root.next = link.next = link
    ordered = OrderedDict(x=1)
    ordered._OrderedDict__hardroot = root
    return ordered


def crowded():
    """A flag of very many members, in each of which an attribute is hard to find."""
    member = Crowd()
    for i in range(60000):
        member.__dict__["a%d" % i] = 1
    Flags._member_map_ = {"k%d" % i: member for i in range(300000)}
    flag = Flags()
    flag._value_ = 3
    flag._name_ = None
    return flag


def nested():
    method = len
    for _ in range(300000):
        method = types.MethodType(len, method)
    return method


def stand():
    values = [endless(), crowded(), nested()]
    circle, flag, deep = values
    sys.stdout.write("READY " + json.dumps({"pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    os._exit(0)


stand()
