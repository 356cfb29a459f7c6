"""A stack of functions whose names and files hold what formats use as separators, and what terminals obey.

Says which when it is ready, outermost first: [[name, file], ...]; then burns CPU in the innermost.
"""
import json
import sys

ODD = [
    ("semi;colon", "/odd/a;b.py"),
    ("new\nline 7", "/odd/new\nline.py"),
    ("carriage\rreturn\ttab", "/odd/tab\t.py"),
    ("'single' \"double\" `back`", "/odd/\"quoted\".py"),
    ("<b onload='x()'>&amp;&lt;</b>", "/odd/<angle>&.py"),
    ("]]><![CDATA[ --> <script>alert(1)</script>", "/odd/cdata.py"),
    ("escape \x1b[31mred\x1b[0m \x07\x08", "/odd/\x1b]0;title\x07.py"),
    ("nul\x00inside", "/odd/plain.py"),
    ("back\\slash \\x3b \\n \\u0041", "C:\\odd\\x3b.py"),
    ("gr\xf6\xdfe \u2603 \U0001f40d", "/odd/\xfcml\xe4ut \u2603.py"),
    ("right\u202eleft \u2028 \u2029 \x85", "/odd/bidi\u2066.py"),
    ("name (file.py:3)", "/odd/paren(x).py"),
    ("number 12", "/odd/number 12"),
    (" spaces  ", "/odd/ .py"),
    ("", "/odd/unnamed.py"),
    ("long " * 40, "/odd/" + "d" * 200 + ".py"),
]

SOURCE = """
def outer(rest):
    following, rest = rest[0], rest[1:]
    return following(rest)
"""


def odd(name, filename):
    space = {}
    exec(compile(SOURCE, filename, "exec"), space)
    code = space["outer"].__code__
    names = {"co_name": name}
    if sys.version_info >= (3, 11):
        names["co_qualname"] = name
    return type(odd)(code.replace(**names), {})


def burn(_):
    print("READY " + json.dumps({"stack": ODD}))
    sys.stdout.flush()
    while True:
        pass


chain = [odd(name, filename) for name, filename in ODD] + [burn]
chain[0](chain[1:])
