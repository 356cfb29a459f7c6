"""Methods of every kind call each other, and the last one waits, or computes if there is an argument.

READY {"names": [the methods' names with their classes], "plain": [functions of which no class can be told]}
"""
import functools
import json
import sys


class Base(object):
    def inherited(self, rest):
        down(rest)

    def overridden(self, rest):
        down(rest)

    @classmethod
    def of_class(cls, rest):
        down(rest)

    def __new__(cls, rest):
        down(rest)
        return object.__new__(cls)

    def __private(self, rest):
        down(rest)

    def reveal(self, rest):
        self.__private(rest)

    def in_a_cell(self, rest):
        def keep():
            return self
        down(rest)
        return keep

    @property
    def computed(self):
        down(PENDING.pop())

    def generate(self, rest):
        yield down(rest)

    def __call__(self, rest):
        down(rest)


class Derived(Base):
    def overridden(self, rest):
        super(Derived, self).overridden(rest)


class Outer(object):
    class Inner(object):
        def nested(self, rest):
            down(rest)


class Meta(type):
    def of_metaclass(cls, rest):
        down(rest)


Made = Meta("Made", (object,), {})


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper


class Decorated(object):
    @decorated
    def wrapped(self, rest):
        down(rest)


class Old:
    def of_old_class(self, rest):
        down(rest)


class OlderChild(Old):
    pass


class Static(object):
    @staticmethod
    def static(rest):
        down(rest)


def function_with_self(self, rest):
    down(rest)


class Other(object):
    def hides(self, rest):
        def hides(self, rest):
            down(rest)
        hides(self, rest)


PENDING = []


def property_of(rest):
    PENDING.append(rest)
    return THING.computed


THING = object.__new__(Derived)
CHAIN = [
    THING.inherited,
    THING.overridden,
    Derived.of_class,
    lambda rest: Derived(rest),
    THING.reveal,
    THING.in_a_cell,
    property_of,
    lambda rest: next(THING.generate(rest)),
    THING,
    Outer.Inner().nested,
    Made.of_metaclass,
    Decorated().wrapped,
    OlderChild().of_old_class,
    Static.static,
    lambda rest: function_with_self(THING, rest),
    Other().hides,
]
QUALIFIED = """
    Base.inherited Base.overridden Derived.overridden Base.of_class Base.__new__ Base.__private Base.reveal
    Base.in_a_cell Base.computed Base.generate Base.__call__ Outer.Inner.nested Meta.of_metaclass Decorated.wrapped
    Old.of_old_class Other.hides
"""


def down(rest):
    if rest:
        return rest[0](rest[1:])
    print("READY " + json.dumps({"names": QUALIFIED.split(), "plain": ["static", "function_with_self", "hides", "down"]}))
    sys.stdout.flush()
    if len(sys.argv) > 1:
        while True:
            sum(range(100))
    sys.stdin.readline()


down(CHAIN)
