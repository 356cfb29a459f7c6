"""Stands still in a stack of frames with every kind of variable, and says what they are.

Runs on CPython 2.6, 2.7 and 3.3 or later.
"""
import json
import os
import sys

NEW = sys.version_info[0] > 2
INLINED = sys.version_info >= (3, 12)  # PEP 709
constant = 42
text = "module\x1b[31m"
_private = (1, 2)
TRUTH = {}  # function: [[kind, storage, name, repr], ...]


def expect(name, *variables):
    TRUTH[name] = [variable.split(" ", 3) for variable in variables]


def stand():
    local = "here"
    sys.stdout.write("READY " + json.dumps({"pid": os.getpid(), "scopes": TRUTH}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    return local


expect("stand", "local frame local 'here'")


def no_arguments():
    gone = 1
    del gone
    if constant == 0:
        never = 1
    stand()
    return never


expect("no_arguments")


def deep_class():
    class Body(object):
        number = 1
        words = ["a"]

        def method(self):
            return self

        no_arguments()

    return Body


expect("deep_class")
expect("Body", "name dict number 1", "name dict words ['a']")


def generator_function(n):
    m = n + 1
    yield deep_class()
    yield m


expect("generator_function", "positional frame n 7", "local frame m 8")


def in_generator():
    for item in generator_function(7):
        return item


expect("in_generator")


def genexpr():
    return list(in_generator() for x in ["only"])


expect("genexpr")
expect("<genexpr>", "positional frame .0 *", "local frame x 'only'")


def listcomp():
    return [genexpr() for y in [5]]


if NEW and not INLINED:
    expect("listcomp")
    expect("<listcomp>", "positional frame .0 *", "local frame y 5")
else:
    expect("listcomp", "local frame y 5")


def with_cells(used, unused, later=None):
    mine = "cell"
    plain = 0.5

    def inner(own):
        listcomp()
        return used, mine, own

    return inner([later])


expect("with_cells", "positional cell used 'u'", "positional frame unused 'n'", "positional frame later None",
       "local cell mine 'cell'", "local frame plain 0.5", "local frame inner <function*")
expect("inner", "positional frame own [None]", "local free used 'u'", "local free mine 'cell'")


def reassigned(argument, keep):
    argument = "new"

    def read():
        return argument

    with_cells("u", "n")
    return read, keep


expect("reassigned", "positional cell argument 'new'", "positional frame keep 1", "local frame read <function*")


def all_kinds(a, b=2, *args, **kwargs):
    c = a
    reassigned("old", 1)
    return b, c


expect("all_kinds", "positional frame a 1", "positional frame b 2", "varargs frame args (3, 4)",
       "varkeywords frame kwargs {'k': 5}", "local frame c 1")
entry = lambda argument: all_kinds(1, 2, 3, 4, k=argument)  # noqa: E731
expect("<lambda>", "positional frame argument 5")

if NEW:
    exec('''
def keyword_only(a, *, b, c=3):
    return entry(5)

def star_keyword(a, *rest, b, **more):
    d = lambda: (rest, more)
    return keyword_only(a, b=b)

def annotated(a: int, b: "str" = "s") -> None:
    c = 1
    return star_keyword(1, 2, b=3, x=4)

top = annotated
''')
    expect("keyword_only", "positional frame a 1", "keyword frame b 3", "keyword frame c 3")
    expect("star_keyword", "positional frame a 1", "keyword frame b 3", "varargs cell rest (2,)",
           "varkeywords cell more {'x': 4}", "local frame d <function*")
    expect("annotated", "positional frame a 1", "positional frame b 's'", "local frame c 1")
else:
    exec("""
def tuples(a, (b, c)):
    return entry(5)

def top(a):
    return tuples(1, (2, 3))
""")
    expect("tuples", "positional frame a 1", "positional frame .1 (2, 3)", "local frame b 2", "local frame c 3")
    expect("top", "positional frame a 1")
below = top
if sys.version_info >= (3, 8):
    exec('''
def positional_only(a, b, /, c, *, d):
    return below(1)
''')
    expect("positional_only", "only frame a 1", "only frame b 2", "positional frame c 3", "keyword frame d 4")
    above = lambda: positional_only(1, 2, 3, d=4)  # noqa: E731
else:
    above = lambda: below(1)  # noqa: E731


class Class(object):
    def __init__(self, n):
        self.n = n
        super(Class, self).__init__()
        above()

    def __repr__(self):
        return "own"


SELF = ["positional frame self <__main__.Class at 0x*", "positional frame n 3"]
if NEW:
    SELF.append("local free __class__ <class '__main__.Class'>")  # what super() uses
expect("__init__", *SELF)

many = dict(("v%d" % i, i) for i in range(300))
namespace = {"given": 1, "Class": Class, "__name__": "space"}
expect("<module>", "name dict given 1")
exec("Class(3)", namespace)
