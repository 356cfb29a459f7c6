# -*- coding: utf-8 -*-
"""Makes many values, prints the repr of each, and stands still. Runs on CPython 2.6, 2.7 and 3.3 or later."""
import array
import collections
import datetime
import decimal
import fractions
import functools
import json
import os
import sys
import time
import types
import uuid
import weakref

PY2 = sys.version_info[0] == 2
ITEMS = []  # [what it is, the value, what is expected]


def add(label, value, expected=None):
    ITEMS.append((label, value, repr(value) if expected is None else expected))


def add_source(*lines):
    """Expressions that not every version can compile."""
    for line in lines:
        try:
            value = eval(line, globals())
        except Exception:  # what this version does not have
            continue
        add(line, value)


def make(source, *names):
    space = {"__name__": __name__}
    exec(source, space)
    return [space[name] for name in names]


# --- plain values
for number in (0, 1, -1, 5, 255, 256, 257, -6, 2**15, 2**30 - 1, 2**30, 2**30 + 1, -(2**30), 2**31, -(2**31), 2**60,
               2**62, 2**63 - 1, 2**63, -(2**63), 2**64, 10**18, 10**40, -(10**40), 3**300, -(7**123), 10**500):
    add("int %.20s" % number, number)
for number in (0.0, -0.0, 1.0, 0.1, -2.5, 1e15, 1e16, 1.5e17, 1e-4, 1e-5, 5e-324, 1.7976931348623157e308, 1 / 3.0,
               float("inf"), float("-inf"), float("nan"), 123456789.123, 1e22, 1e23, 9007199254740993.0, 100.0):
    add("float %r" % number, number)
for number in (1j, -1j, 0j, 1 + 2j, -1.5 - 2.5j, complex(float("nan"), float("inf")), complex(-0.0, 1e20), 3 + 0j):
    add("complex %r" % number, number)
add_source("None", "True", "False", "NotImplemented", "Ellipsis")

# --- strings
add_source(
    "''", "'a'", "'it is'", "\"it's\"", "'say \"it\\'s\"'", "'a\\nb\\tc\\rd\\\\e'", "'\\x00\\x01\\x1b[31m\\x7f'",
    "u''", "u'a'", "u'\\xe9'", "u'caf\\xe9 \\xff'", "u'\\u20ac 5'", "u'\\u6f22\\u5b57'", "u'\\U0001f600!'",
    "u'\\U0001f600'", "u'\\ud800'", "u'a\\udcffb'", "u'\\x85\\xa0\\xad'", "u'\\u200b\\u2028\\u202e'", "u'\\ue000'",
    "u'\\U0010ffff'", "u'e\\u0301'", "u'\\u0301'", "u'\\x7f'", "u'it\\'s'", "'x' * 500",
    "b''", "b'abc'", "b'it\\'s'", "b'\\x00\\xff\\n\"\\''", "bytes(bytearray(range(256)))",
    "bytearray()", "bytearray(b'abc\\x00')", "bytearray(b'it\\'s')", "memoryview(b'abc')",
)
add_source(
    "ImportError('m')", "ImportError('m', 'k', name='n', path='p')", "ImportError(name='n')", "ImportError('m', path='p')",
    "ModuleNotFoundError('m', name='n')", "frozendict()", "frozendict(a=1, b=[2])",
)
consumed = bytearray(b"0123456789")
del consumed[:4]
add("bytearray that was cut in front", consumed)

# --- containers
add_source(
    "()", "(1,)", "(1, 2)", "((1,), ())", "[]", "[1]", "[1, 'two', 3.0, None]", "[[1, [2, [3]]], []]",
    "{}", "{1: 2}", "{'a': 1}", "{'a': {'b': [1, 2]}}", "{1: 'a', 'b': 2, None: (), (1, 2): [3]}",
    "dict((i, i * i) for i in range(100))", "dict.fromkeys('abcdefghijkl')", "dict((str(i), i) for i in range(300))",
    "set()", "set([1])", "set([1, 2, 3, 'a', None])", "set(range(50))", "frozenset()", "frozenset([1, 2])",
    "{frozenset([1]): {2}}", "range(0)", "range(10)", "range(1, 10)", "range(10, 0, -3)", "range(2**70)",
    "xrange(5)", "xrange(1, 5)", "xrange(10, 0, -3)",
    "slice(None)", "slice(1, 2)", "slice(1, None, 'x')", "{}.keys()", "{1: 2}.keys()", "{1: 2}.values()",
    "{1: 2}.items()", "array.array('i', [1, -2])", "array.array('d')", "array.array('d', [1.5])",
    "array.array('B', [255])", "array.array('b', [-1])", "array.array('f', [0.5])", "array.array('q', [-2**63])",
    "types.MappingProxyType({1: 2})", "list(range(200))", "tuple(range(200))",
)
holes = dict((i, str(i)) for i in range(20))
for i in range(0, 20, 3):
    del holes[i]
add("dict with deleted entries", holes)
worn = set(range(20))
for i in range(0, 20, 3):
    worn.discard(i)
worn.add("new")
add("set with deleted entries", worn)
words = set("w%d" % i for i in range(20))
for i in range(0, 20, 3):
    words.discard("w%d" % i)
add("set of words with deleted entries", words)


class Fields(object):
    def __init__(self, size):
        self.x = 1
        self.y = "two"
        self.size = size


fields, more, less = Fields(3), Fields(4), Fields(5)
add("dict of an instance", vars(fields))
more.extra = [1]
more.__dict__["key"] = None
add("dict of an instance with more attributes than others", vars(more))
del less.x
add("dict of an instance with fewer", vars(less))
me = [1]
me.append(me)
add("list in itself", me)
mine = {"a": 1}
mine["me"] = mine
add("dict in itself", mine)
pair = ([],)
pair[0].append(pair)
add("tuple in itself", pair)
shared = [0]
add("the same list twice", [shared, shared])
deep = []
for i in range(6):
    deep = [deep]
add("nested lists", deep)

# --- collections
add_source(
    "collections.deque()", "collections.deque([1, 2, 3])", "collections.deque([1, 2, 3], 2)",
    "collections.deque(range(150))", "collections.deque([], maxlen=0)",
    "collections.defaultdict(int, a=1)", "collections.defaultdict(None)", "collections.defaultdict(list)",
    "collections.OrderedDict()", "collections.OrderedDict([('b', 1), ('a', 2)])", "collections.Counter()",
    "collections.Counter('abracadabra')", "collections.UserDict(a=1)", "collections.UserList([1, 2])",
    "collections.UserString('abc')",
)
queue = collections.deque(range(200))
for i in range(70):
    queue.popleft()
queue.appendleft("first")
add("deque that moved", queue)
if hasattr(collections, "OrderedDict"):
    order = collections.OrderedDict((c, i) for i, c in enumerate("hello"))
    order["e"] = order.pop("e")
    del order["h"]
    if hasattr(order, "move_to_end"):
        order.move_to_end("o", last=False)
    add("OrderedDict that was changed", order)
Point = collections.namedtuple("Point", "x y")
add("namedtuple", Point(1, "b"))
add("namedtuple of none", collections.namedtuple("Empty", "")())


class Point3(Point):
    pass


add("class derived from a namedtuple", Point3(1, 2))

# --- dates and numbers of the library
add_source(
    "datetime.date(2024, 2, 29)", "datetime.date(1, 1, 1)", "datetime.datetime(2024, 2, 29, 12, 30)",
    "datetime.datetime(2024, 2, 29)", "datetime.datetime(2024, 2, 29, 1, 2, 3)",
    "datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)", "datetime.datetime(2024, 1, 1, 0, 0, 0, 1)",
    "datetime.datetime(2024, 1, 1, 1, fold=1)", "datetime.time()", "datetime.time(1, 2, 3)",
    "datetime.time(1, 2, 3, 4)", "datetime.time(1, 2, fold=1)", "datetime.timedelta()", "datetime.timedelta(5)",
    "datetime.timedelta(-1, 5)", "datetime.timedelta(1, 2, 3)", "datetime.timedelta(0, 0, 7)",
    "datetime.timezone.utc", "datetime.timezone(datetime.timedelta(0, 3600))",
    "datetime.timezone(datetime.timedelta(0, 60), 'X')",
    "datetime.datetime(2024, 1, 1, 5, tzinfo=datetime.timezone.utc)",
    "datetime.datetime(2024, 1, 1, 5, fold=1, tzinfo=datetime.timezone.utc)",
    "datetime.time(5, tzinfo=datetime.timezone(datetime.timedelta(0, -3600)))",
    "__import__('zoneinfo').ZoneInfo('UTC')",
)
for text in ("0", "1.5", "-1.50", "1E+5", "1E-10", "123456789012345678901234567890.123456789", "NaN", "sNaN12", "-Infinity",
             "0.000001", "0E-7", "1" * 60, "1E+1000", "-0"):
    add("Decimal " + text, decimal.Decimal(text))
add_source(
    "fractions.Fraction(1, 3)", "uuid.UUID(int=2**100 + 7)", "__import__('pathlib').PurePosixPath('/a/b/c.txt')",
    "__import__('pathlib').PurePosixPath('a', '..', './b//c')", "__import__('pathlib').PosixPath('.')",
    "__import__('pathlib').PurePosixPath('/')", "types.SimpleNamespace()", "types.SimpleNamespace(b=1, a=[2])",
    "time.gmtime(0)", "os.stat('/')", "sys.version_info", "sys.flags", "sys.float_info",
)

# --- exceptions
add_source(
    "ValueError()", "ValueError('x')", "KeyError('a', 1)", "OSError(2, 'No such file')", "StopIteration(5)",
    "UnicodeDecodeError('ascii', b'x', 0, 1, 'no')", "SystemExit(1)", "AttributeError('a')",
    "ExceptionGroup('g', [ValueError(1)])", "KeyboardInterrupt()",
)


class MyError(ValueError):
    pass


class Silent(Exception):
    def __repr__(self):
        return "not known"


add("exception class", MyError("why", [1]))
try:
    open("/no/such/file")
except (IOError, OSError) as error:
    add("file not found", error)


# --- functions and classes
class Plain(object):
    def method(self):
        return 1

    @classmethod
    def of_class(cls):
        return 1

    @staticmethod
    def of_none():
        return 1

    class Inner(object):
        pass


class Slots(object):
    __slots__ = ("a", "b")


class WithRepr(object):
    def __repr__(self):
        return "not known"


class MyList(list):
    pass


class MyDict(dict):
    pass


class MyInt(int):
    pass


class MyStr(str):
    pass


class MySet(set):
    pass


class Loud(list):
    def __repr__(self):
        return "LOUD"


class Meta(type):
    pass


def function(a, b=1):
    return a


def outer():
    def inner():
        return cell

    cell = 1
    return inner


plain = Plain()
add("function", function)
add("inner function", outer())
add("lambda", lambda: 0)
add("method", plain.method)
add("class method", Plain.of_class)
add("unbound", Plain.method)
add("instance", plain)
add("instance of an inner class", Plain.Inner())
add("class", Plain)
add("inner class", Plain.Inner)
add("class of a metaclass", Meta("Made", (), {}))
add("instance of it", Meta("Made", (), {})())
add("slots", Slots())

own = WithRepr()
add("own repr", own, "<__main__.WithRepr at 0x%x>" % id(own))
quiet = Silent(1)
add("exception with its own repr", quiet, "<__main__.Silent at 0x%x>" % id(quiet))
loud = Loud([1])
add("list with its own repr", loud, "<__main__.Loud at 0x%x>" % id(loud))
add("subclass of list", MyList([1, 2]))
add("subclass of dict", MyDict(a=1))
add("subclass of int", MyInt(-5))
add("subclass of str", MyStr("abc"))
add("subclass of set", MySet([1]))
add("empty subclass of set", MySet())
add("object", object())
add_source(
    "int", "type", "object", "ValueError", "collections.OrderedDict", "datetime.date", "len", "[].append", "''.join",
    "time.sleep", "list.append", "int.__add__", "(5).__add__", "dict.fromkeys", "object.__init__", "Slots.a",
    "type.__dict__['__doc__']", "property()", "staticmethod(len)", "classmethod(len)", "functools.partial(int, base=2)",
    "functools.partial(function, 1, [2])", "sys", "json", "types.ModuleType('made')", "outer().__closure__[0]",
    "function.__code__", "iter([])", "iter({})", "enumerate([])", "zip([])", "reversed([1])", "Plain.__dict__['of_none']",
    "Plain.__dict__['of_class']", "weakref.ref(plain)", "weakref.ref(Plain)", "weakref.ref(function)",
    "__import__('enum').Enum", "sys.implementation", "dict.__dict__['keys']", "functools.partial(len).__class__",
    "__import__('http').HTTPStatus.NOT_FOUND", "[plain, {'p': plain}]", "super",
)
gone = Plain()
reference = weakref.ref(gone)
del gone
add("dead weakref", reference)


def generate():
    yield 1
    yield 2


def place(value, where):
    return repr(value)[:-1] + ", " + where + ">"


fresh, halted, finished = generate(), generate(), generate()
next(halted)
for _ in finished:
    pass
line = generate.__code__.co_firstlineno
add("new generator", fresh, place(fresh, "not started"))
add("suspended generator", halted, place(halted, "line %d" % (line + 1)))
add("finished generator", finished, place(finished, "finished"))
expression = (x for x in [1])
add("generator expression", expression, place(expression, "not started"))

if sys.version_info >= (3, 6):
    coroutine, agen = make(
        """
async def wait():
    pass
async def agen():
    yield 1
""", "wait", "agen")
    once, held, counted = make(
        """
import types
@types.coroutine
def once():
    yield
async def held():
    await once()
async def counted():
    yield 1
    await once()
""", "once", "held", "counted")
    paused = held()
    paused.send(None)
    add("suspended coroutine", paused, place(paused, "line 7"))
    ticking, stuck = counted(), counted()
    try:
        ticking.__anext__().send(None)
    except StopIteration:
        add("suspended asynchronous generator", ticking, place(ticking, "line 9"))
    try:
        stuck.__anext__().send(None)
    except StopIteration:
        waits = stuck.__anext__()
        waits.send(None)
        add("asynchronous generator that awaits", stuck, place(stuck, "line 10"))
    waiting = coroutine()
    add("coroutine", waiting, place(waiting, "not started"))
    many = agen()
    add("asynchronous generator", many, place(many, "not started"))
    Color, Perm, Number, Both, Own = make(
        """
import enum
class Color(enum.Enum):
    RED = 1
    BLUE = "b"
class Perm(enum.Flag):
    R = 4
    W = 2
    X = 1
class Number(enum.IntEnum):
    ONE = 1
class Both(enum.IntFlag):
    A = 1
    B = 2
class Own(enum.Enum):
    A = 1
    def __repr__(self):
        return "own"
""", "Color", "Perm", "Number", "Both", "Own")
    add("enum", Color.RED)
    add("enum of a string", Color.BLUE)
    add("enum class", Color)
    add("flag", Perm.R)
    add("two flags", Perm.R | Perm.W)
    add("flag class", Perm)
    add("enum of ints", Number.ONE)
    add("flag of ints", Both.A)
    add("two flags of ints", Both.A | Both.B)
    add("no flags", Perm(0))
    add("no flags of ints", Both(0))
    import pathlib
    import re
    import socket

    windows = [pathlib.PureWindowsPath(path) for path in ("c:/a/b", "a\\b", "//host/share/x")]
    for path in windows:
        str(path)
    add("paths of Windows", windows)
    add("flag of re", re.I)
    add("two flags of re", re.I | re.M)
    add("all flags of re", re.A | re.I | re.L | re.M | re.S | re.X)
    add("unknown flag of re", re.RegexFlag(1 << 12))
    add("enum of socket", socket.AF_INET)
    add("enum with its own repr", Own.A, "<__main__.Own at 0x%x>" % id(Own.A))
    add("enums inside", {Color.RED: [Number.ONE]})

if sys.version_info >= (3, 7):
    Data, Cut, Child, Custom, Frozen = make(
        """
import dataclasses, typing
@dataclasses.dataclass
class Data:
    a: int
    b: list = dataclasses.field(default_factory=list)
    c: str = dataclasses.field(default="c", repr=False)
    d: typing.ClassVar[int] = 5
@dataclasses.dataclass
class Cut(Data):
    e: object = None
class Child(Data):
    pass
@dataclasses.dataclass
class Custom:
    a: int
    def __repr__(self):
        return "custom"
@dataclasses.dataclass(frozen=True)
class Frozen:
    a: int = 1
""", "Data", "Cut", "Child", "Custom", "Frozen")
    add("dataclass", Data(1, ["x"]))
    add("derived dataclass", Cut(1, [2], e=Frozen()))
    add("child of a dataclass", Child(1))
    custom = Custom(1)
    add("dataclass with its own repr", custom, "<__main__.Custom at 0x%x>" % id(custom))
    around = Data(1)
    around.b.append(around)
    add("dataclass in itself", around)
if sys.version_info >= (3, 10):
    (Slotted,) = make(
        """
import dataclasses
@dataclasses.dataclass(slots=True)
class Slotted:
    a: int
    b: str = "b"
""", "Slotted")
    add("dataclass with slots", Slotted(1))

if PY2:

    class Old:
        pass

    class OldRepr(Old):
        def __repr__(self):
            return "not known"

    add("old-style class", Old)
    add("old-style instance", Old())
    add("old-style method", Old.__init__ if hasattr(Old, "__init__") else Old)
    spoken = OldRepr()
    add("old-style instance with its own repr", spoken, "<__main__.OldRepr at 0x%x>" % id(spoken))
    add_source("5L", "-10L**20", "long(0)", "dict.__dict__")


def make_stand():
    """A function with a variable for each value: v0, v1 and so on."""
    lines = ["def stand(values):"]
    lines += ["    v%d = values[%d]" % (i, i) for i in range(len(ITEMS))]
    lines += ["    tell()", "    return locals()"]
    return make("\n".join(lines), "stand")[0]


def tell():
    truth = [[label, expected] for label, _, expected in ITEMS]
    sys.stdout.write("READY " + json.dumps({"pid": os.getpid(), "values": truth}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


stand = make_stand()
stand.__globals__["tell"] = tell
stand([value for _, value, _ in ITEMS])
