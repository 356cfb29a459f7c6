"""Python and C code of well-known modules on one stack. argv: where to stand, one after the other, with commas.

At each place it says READY and waits for a line. Those called by_* of several modules are one in another:

    by_all() -> json -> on_default() -> json -> on_object() -> re -> on_match() -> zlib -> on_number() -> inner()
"""
import json
import re
import sys
import zlib

from native_stand import inner


class Odd(object):
    """Nothing that JSON has. As a number it is asked for by C code, and as the one that is smaller."""

    def on_number(self):
        inner()
        return 1

    # Up to 3.7 the first is asked for, since 3.10 only the second.
    __int__ = on_number
    __index__ = on_number

    def __lt__(self, other):
        inner()
        return True


def on_default(odd):
    json.loads('[{"a": 1}]', object_hook=on_object)
    return 0


def on_object(_):
    re.sub("a+", on_match, "caat")


def on_match(_):
    zlib.compress(b"text", Odd())
    return "b"


def by_all():
    json.dumps([Odd()], default=on_default)


def by_sort():
    import numpy

    numpy.sort(numpy.array([Odd(), Odd()], dtype=object))


def by_svd():
    """What does not converge is told by a Python function, which is called by NumPy's C code."""
    import numpy
    from numpy.linalg import _linalg

    _linalg._raise_linalgerror_svd_nonconvergence = inner
    numpy.linalg.svd(numpy.array([[float("nan"), 1], [1, 2]]))


for name in sys.argv[1].split(","):
    globals()["by_" + name]()
