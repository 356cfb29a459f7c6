# -*- coding: utf-8 -*-
"""Every way to have a stack: one thread stands still in each. See truth.py."""
import functools
import operator
import os
import re
import sys
import tempfile
import threading

import truth
from truth import park, start, start_raw

PY3 = sys.version_info[0] == 3
NEWER = {}


def newer(version, source):
    """Runs source text that older versions cannot read, and says whether this one can."""
    if sys.version_info < version:
        return False
    exec(compile(source, "<since %d.%d>" % version, "exec"), NEWER)
    return True


# Functions, closures, lambdas.


def nested():
    def middle(first, *rest, **named):
        def inner():
            return park()

        return inner(
        )

    return middle(1,
                  *[2, 3],
                  **{"x": 4})


twice = lambda f: (lambda: f())
in_lambda = lambda: twice(lambda: park())()


class Calls(object):
    """Python code that is reached through the interpreter's C code, by way of slots and built-in functions."""

    def __init__(self, then=None):
        self.then = then
        if then:
            then()

    @property
    def attribute(self):
        return self.then()

    def __getattr__(self, name):
        if name != "missing":
            raise AttributeError(name)
        return self.then()

    def __getitem__(self, key):
        return self.then() if key == 1 else None

    def __lt__(self, other):
        self.then and self.then()
        return False

    def __call__(self, *args):
        return self.then()

    def __add__(self, other):
        return other.attribute

    def __iter__(self):
        return self

    def __next__(self):
        self.then()
        raise StopIteration

    next = __next__

    def __enter__(self):
        return self.then()

    def __exit__(self, *args):
        return self.then()

    def __del__(self):
        if self.then:
            self.then()

    def __format__(self, spec):
        return str(self.then())

    @classmethod
    def made(cls):
        return cls(park)

    @staticmethod
    def static():
        return Calls.made()


def attached(then):
    """A Calls whose then() does not run when it is made."""
    made = Calls()
    made.then = then
    return made


def in_slots():
    def sixth():
        with_exit(Calls(park))

    def with_exit(made):
        del made

    def fifth():
        "{0:x}".format(attached(Calls.static))

    def fourth():
        for _ in attached(fifth):
            pass

    def third():
        return attached(fourth)[1]

    def second():
        attached(third).missing

    return Calls() + attached(second)


def in_del():
    class Deleted(object):
        def __del__(self):
            park()

    made = Deleted()
    made = (
        None
    )


def in_builtins():
    def reduced(a, b):
        return park()

    def by_partial(f, _):
        return [functools.reduce(f, [1, 2])]

    def replaced(match):
        return "%s" % max([1], key=functools.partial(by_partial, reduced))

    def mapped(x):
        return re.sub("x", replaced, "x")

    def key(x):
        return list(map(mapped, [1]))

    return sorted([3], key=key)


def in_comprehensions():
    return [
        [dict((y, park()) for y in [x])
         for x in range(1)]
        for z in (0,)
        if z == 0 and {w: w for w in {0}} is not None
    ] and sum(x for x in [1])


def in_lists():
    return [{k: {(park(), k) for _ in (1,)} for k in (2,)} for i in (3,)]


# Generators.


def numbers(n):
    try:
        for i in range(n):
            yield i if i else park()
    finally:
        pass


def doubled(source):
    for x in source:
        yield x


def in_generators():
    for x in doubled(doubled(numbers(1))):
        pass
    return list(doubled(numbers(1)))


def in_close():
    def cleaning():
        try:
            yield 1
        except GeneratorExit:
            park()

    made = cleaning()
    next(made)
    made.close()


def in_throw():
    def catching():
        try:
            yield 1
        except ValueError:
            yield park()

    made = catching()
    next(made)
    made.throw(ValueError())


newer((3, 3), """
from truth import park
def last():
    yield park()

def delegating(n):
    if n:
        result = yield from delegating(n - 1)
    else:
        yield from last()
        yield from (park() for _ in "x")

def in_delegation():
    for x in delegating(30):
        pass
""")

newer((3, 6), """
import types
class Manager:
    async def __aenter__(self):
        await step(1)
    async def __aexit__(self, *args):
        pass

class Awaitable:
    def __await__(self):
        yield from legacy()

@types.coroutine
def legacy():
    if False:
        yield
    park()

async def step(n):
    if n:
        return await step(n - 1)
    [await x for x in [Awaitable()]]

async def items():
    async with Manager() as m:
        yield 1

async def outer():
    async for x in items():
        pass
    return [x async for x in items()]

def in_coroutines():
    made = outer()
    try:
        made.send(None)
    except StopIteration:
        pass
""")

newer((3, 7), """
import asyncio
async def fetch(delay):
    await asyncio.sleep(0)
    park()

async def gathered():
    await asyncio.gather(fetch(0), asyncio.wait_for(fetch(0), 60))

def in_asyncio():
    asyncio.run(gathered())
""")


# Classes, decorators, exceptions.


def in_class():
    class Outer(object):
        x = 1

        class Inner(object):
            y = [1]
            z = park()


def repeated(times):
    def decorate(f):
        @functools.wraps(f)
        def wrapper(*args):
            for _ in range(times):
                f(*args)
        return wrapper
    return decorate


def parked_here(f):
    park()
    return f


@repeated(1)
@repeated(2)
def in_decorated():
    @repeated(1)
    @parked_here
    def decorated():
        pass


def in_exceptions():
    try:
        try:
            raise ValueError("x")
        except ValueError:
            [].append(1)
            raise KeyError
        finally:
            len(
                "finally"
            )
    except KeyError:
        with attached(str):
            with attached(str), attached(park):
                pass
    else:
        pass


def in_exit():
    with threading.Lock() as one, \
         attached(functools.partial(in_exceptions)) as other:
        1 + 1


def ping(n):
    if n % 2: return pong(n - 1)
    return (n and
            pong(n - 1)) or park()


def pong(n):
    return n and ping(
        n - 1
    )


def in_recursion():
    ping(300)


# Code that is made at run time.


def in_strings():
    source = u"def f(n):\n return eval('(n\\n and\\n f(n - 1)\\n) or park()')\nf(3)"
    exec(source if PY3 else source.encode("utf-8"), {"park": park})


def odd_file(filename, body="park()"):
    filename = filename if PY3 else filename.encode("utf-8")
    name = u"gr\u00f6\u00dfe_\u540d" if PY3 else "plain"
    source = u"def {0}():\n  {1}\n{0}()\n".format(name, body)
    code = compile(source if PY3 else source.encode("utf-8"), filename, "exec")
    return lambda: exec_in({"park": park, "exec_in": exec_in}, code)


def exec_in(names, code):
    exec(code, names)


ODD_FILES = [
    u"<weird \"quotes\" 'and' \\ back\\slash; semi:colon {brace}>",
    u"/tmp/line\nfeed\ttab\x1b[31mred\x7f.py",
    u"/srv/caf\xe9/\xfcber.py",
    u"/srv/\u65e5\u672c\u8a9e/\u0444\u0430\u0439\u043b.py",
    u"/srv/\U0001f40d.py",
    u"",
    u"/" + u"long/" * 700 + u"x.py",
]


def importing(folder):
    """The import system's frames, and a module's in a package."""
    package = os.path.join(folder, "package", "inner")
    os.makedirs(package)
    for name in (os.path.dirname(package), package):
        open(os.path.join(name, "__init__.py"), "w").close()
    with open(os.path.join(package, "leaf.py"), "w") as f:
        f.write("import truth\n\n\nclass Here(object):\n    truth.park()\n")
    sys.path.insert(0, folder)

    def in_import():
        import package.inner.leaf

    return in_import


# Line tables. Each call of a table function goes on from another of its lines, so that a whole table is in one stack.


def table(name, header, lines):
    """A function whose lines with N in them are the places from which it calls itself for n == N."""
    count = 0
    source = [header]
    for line in lines:
        if "N" in line:
            line = line.replace("N", str(count))
            count += 1
        source.append(line)
    names = {"park": park, "t": None}
    exec(compile("\n".join(source), "<table %s>" % name, "exec"), names)

    def go():
        names["f"](count - 1)

    names["t"] = lambda n: names["f"](n - 1) if n else park()
    go.__name__ = "in_table_" + name
    return go


def tables():
    head = "def f(n):"
    plain = ["  if n == N: t(n)"] * 700
    gaps = []
    for gap in (0, 1, 3, 30, 126, 127, 128, 129, 254, 255, 256, 257, 300, 511, 512, 1000, 33000, 70000):
        gaps += [""] * gap + ["  if n == N: t(n)", "  if n == N:", "", "     t(n)"]
    multi = [
        "  x = [",
        "    n == N and t(n),",
        "    ",
        "    (n == N",
        "       and",
        "          t(",
        "            n",
        "          )",
        "    ),",
        "    {'a': n == N and t(n),",
        "     'b': (lambda: n == N and t(n))()},",
        "  ]",
    ] * 20
    backward = []
    for distance in (1, 2, 5, 60, 127, 128, 129, 200, 300):
        backward += ["  x = dict(a=n)[("] + [""] * distance + ["    'a')", "  ] == N and t(n)"]
        backward += ["  for i in [0, 1]:", "    if i == 1 and n == N: t(n)"] + ["    i + 1"] * distance
        backward += ["  (t if n == N else abs)("] + [""] * distance + ["n)"]
    wide = []
    for width in (1, 60, 70, 79, 80, 81, 126, 127, 128, 129, 254, 255, 256, 300, 1000, 5000):
        wide += ["  if n == N: %s = 1; t(n)" % ("v" * width), "  if n == N: t( %s n)" % (" " * width)]
        wide += [u"  if n == N: x = '%s'; t(n)" % ("v" * width), "  if n == N: t(\n%sn)" % (" " * width)]
    code = ["  x%d = n * %d + n" % (i, i) for i in range(60)]
    much = []
    for size in (1, 2, 20, 40, 60):
        for _ in range(8):
            # Much code in one line, so that the table's steps in the bytecode are long.
            much += ["  " + "; ".join(part.strip() for part in code[:size]), "  if n == N: t(n)"]
    return [
        table("plain", head, plain),
        table("gaps", head, gaps),
        table("multi", head, multi),
        table("backward", head, backward),
        table("wide", head, wide),
        table("much", head, much),
        table("later", "\n" * 70000 + head, plain[:200]),
    ]


# Under a profile function and a trace function (from 3.12 on, these change the bytecode).


def in_profile():
    def profiler(frame, event, argument):
        if event == "call" and frame.f_code is profiled.__code__:
            park()

    def profiled():
        return 1

    sys.setprofile(profiler)
    try:
        profiled()
    finally:
        sys.setprofile(None)


def in_traced():
    def tracer(frame, event, argument):
        return tracer if frame.f_code is not park.__code__ else None

    def traced(n):
        return traced(n - 1) if n else numbers_sum()

    def numbers_sum():
        return sum(x or 0 for x in numbers(2))

    sys.settrace(tracer)
    try:
        traced(3)
    finally:
        sys.settrace(None)


newer((3, 12), """
from truth import park
def in_annotations():
    # Computed once, so another one each time.
    type Alias[T] = [T,
                     park()]
    return Alias.__value__

class Box[T]:
    def get[U: (int, str)](self, x: U) -> T:
        return x

def in_bounds():
    def fresh[T: park()](x: T):
        return x
    class Fresh[T](Box[T]):
        bound = fresh.__type_params__[0].__bound__
""")

newer((3, 14), """
from truth import park
def in_deferred():
    class Deferred:
        x: int
        y: [park()]
    def function(a: park()): pass
    return function.__annotations__
""")


def main():
    sys.setrecursionlimit(20000)
    threading.stack_size(64 << 20)
    start(nested, u"nested")
    start(in_lambda)
    start(in_slots, name=u"Zo\u00eb \u65e5\u672c \U0001f40d", daemon=True)
    start(in_del, u"name with \"quotes\"\n\x1b[31m and ; more")
    start_raw(in_builtins)
    for place in (in_comprehensions, in_lists, in_generators, in_close, in_throw, in_class, in_decorated, in_exceptions,
                  in_exit, in_recursion, in_strings, in_profile, in_traced):
        start(place, place.__name__)
    for filename in ODD_FILES:
        start(odd_file(filename), u"odd file", daemon=True)
    for name in sorted(NEWER):
        if name.startswith("in_"):
            start(NEWER[name], name)
    for place in tables():
        start(place, place.__name__, warm=3)
    folder = tempfile.mkdtemp()
    try:
        start(importing(folder), u"import", warm=0)
        truth.serve(version=list(sys.version_info[:3]))
    finally:
        pass


if __name__ == "__main__":
    main()
