"""Programs whose legal stacks are known and switch fast.

Usage: oracle.py KIND. Every name tells what its caller must be:
  t<digits>     called by the function named by all digits but the last (t0 by main)
  even, odd     call each other; the outermost even is called by main
  drive_X       called by main; resume_X by drive_X; g_leaf by gen, gen by a resume_X
                (or by main, which makes it)
  co_leaf       called by a co_mid_X, co_mid_X by co_top_X, co_top_X by step_X (or by
                main, which makes it), step_X by run
  r<n>          called by r<n-1>, r0 by main; h<n> by r<n>
  f_<n>, g_<n>  from the source <src-n>; g_<n> called by f_<n>, f_<n> by main
  down<n>       called by down<n-1>, down0 by main

Says which lines the functions have that it calls, but for those of the many sources:
    READY {"<name>": [first line, last line, whether some of its code has none]}
"""
import dis
import json
import sys
import types


def burn():
    pass


def tree(width, depth):
    source = []

    def make(path):
        name = "t" + path
        body = ["def %s():" % name]
        children = [path + str(i) for i in range(width)] if len(path) < depth else []
        for child in children:
            make(child)
            body.append("    t%s()" % child)
        if not children:
            body.append("    x = 1")
            body.append("    x += 1")
        source.append("\n".join(body))

    tops = [str(i) for i in range(width)]
    for top in tops:
        make(top)
    source.append("def main():\n    while True:\n" + "\n".join("        t%s()" % t for t in tops))
    space = {}
    exec(compile("\n".join(source), "tree.py", "exec"), space)
    return space["main"]


def even(n):
    if n:
        odd(n - 1)


def odd(n):
    if n:
        even(n - 1)


def recursion():
    def main():
        while True:
            even(20)
            even(7)
            even(2)
    return main


def generators():
    def g_leaf():
        return 1

    def gen():
        while True:
            g_leaf()
            yield 1
            yield 2

    def resume_a(g):
        return next(g)

    def resume_b(g):
        next(g)
        return next(g)

    def drive_a(g):
        resume_a(g)

    def drive_b(g):
        resume_b(g)
        resume_b(g)

    def main():
        gens = [gen() for _ in range(5)]
        while True:
            for g in gens:
                drive_a(g)
                drive_b(g)
    return main


def coroutines():
    space = {}
    exec(compile('''
import types

@types.coroutine
def co_leaf():
    yield 1

async def co_mid_a():
    await co_leaf()

async def co_mid_b():
    await co_leaf()
    await co_leaf()

async def co_top_a():
    await co_mid_a()

async def co_top_b():
    await co_mid_b()

def step_a(c):
    c.send(None)

def step_b(c):
    c.send(None)

def run(c, step):
    try:
        while True:
            step(c)
    except StopIteration:
        pass

def main():
    while True:
        run(co_top_a(), step_a)
        run(co_top_b(), step_b)
''', "coroutines.py", "exec"), space)
    return space["main"]


def exceptions():
    depth = 30
    source = []
    for n in range(depth):
        source.append("def h%d():\n    pass" % n)
        call = "r%d(n)" % (n + 1) if n + 1 < depth else "raise ValueError()"
        source.append('''def r%d(n):
    if n %% 7 == %d:
        try:
            %s
        except ValueError:
            h%d()
    else:
        %s''' % (n, n % 7, call, n, call))
    source.append("def main():\n    n = 0\n    while True:\n        n += 1\n        try:\n            r0(n)\n        except ValueError:\n            pass")
    space = {}
    exec(compile("\n".join(source), "exceptions.py", "exec"), space)
    return space["main"]


def sources():
    def main():
        n = 0
        while True:
            n += 1
            space = {}
            text = "def g_%d():\n    return 1\ndef f_%d():\n    for i in range(20):\n        g_%d()\n" % (n, n, n)
            exec(compile(text, "<src-%d>" % n, "exec"), space)
            space["f_%d" % n]()
            n %= 1000
    return main


def down():
    depth = 30
    source = []
    for n in range(depth):
        call = "down%d()" % (n + 1) if n + 1 < depth else "pass"
        source.append("def down%d():\n    %s" % (n, call))
    source.append("def main():\n    while True:\n        down0()")
    space = {}
    exec(compile("\n".join(source), "down.py", "exec"), space)
    return space["main"]


KINDS = {
    "siblings": lambda: tree(8, 2),
    "tree": lambda: tree(3, 5),
    "recursion": recursion,
    "generators": generators,
    "coroutines": coroutines,
    "exceptions": exceptions,
    "sources": sources,
    "down": down,
}

def lines_of(main):
    """The lines of each function that main reaches by its globals and closures."""
    found = {}
    todo = [main]
    todo.extend(main.__globals__.values())
    while todo:
        one = todo.pop()
        if isinstance(one, types.FunctionType) and one.__name__ not in found:
            code = one.__code__
            lines = [line for _, line in dis.findlinestarts(code) if line]
            # Since 3.10 there is code that belongs to no line.
            gaps = hasattr(code, "co_lines") and any(line is None for _, _, line in code.co_lines())
            found[one.__name__] = [code.co_firstlineno, max(lines), gaps]
            todo.extend(cell.cell_contents for cell in one.__closure__ or ())
    return found


if __name__ == "__main__":
    main = KINDS[sys.argv[1]]()
    sys.stdout.write("READY %s\n" % json.dumps(lines_of(main)))
    sys.stdout.flush()
    main()
