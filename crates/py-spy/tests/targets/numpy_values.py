"""Stands still with NumPy's arrays and scalars, and says what they are (NumPy 1.16 and later)."""
import json
import os
import sys

import numpy as np

PAIR = np.dtype([("a", "<i4"), ("b", ">f8")])
NEST = np.dtype([
    ("o", "O"), ("g", "<f8", (2, 2)), ("n", [("x", "?"), ("y", "S3"), ("z", "<M8[D]")]), ("u", "<U2"), ("v", "V2"),
    ("p", PAIR, (2,)),
])
APART = np.dtype({"names": ["a", "b"], "formats": ["i1", "<f8"], "offsets": [3, 8], "itemsize": 24})
ALIGNED = np.dtype([("a", "i1"), ("b", "<i8"), ("c", "u1")], align=True)


def strings_of_any_length():
    """NumPy 2's: in their element, in the arena, outside of it, missing."""
    kind = np.dtypes.StringDType
    plain = np.array(["", "abc", "fifteen letters", "sixteen letters.", "b" * 40, u"\u00e9" * 20, "later"], dtype=kind())
    plain[6] = "what was set later lies outside of it"
    missing = np.array(["a" * 20, np.nan, "z"], dtype=kind(na_object=np.nan, coerce=False))
    return [plain, missing, np.zeros(2, dtype=kind())], [np.array([u"\u00e9" * 400], dtype=kind())]


def as_texts(arrays):
    return "[%s]" % ", ".join("array(%r, shape=%r, dtype=%r)" % (a.tolist(), a.shape, a.dtype) for a in arrays)


def stand():
    matrix = np.arange(6, dtype="i8").reshape(2, 3)
    turned = matrix.T
    floats = np.array([1.5, -0.25])
    small = np.array([0.1, 1e10], dtype="f4")
    half = np.array([0.1, 65500.0], dtype="f2")
    extended = np.array([1.5, -0.25, 0, np.inf], dtype="g")
    nothing = np.array([], dtype="u1")
    single = np.array(5, dtype="i4")
    steps = np.arange(10, dtype="i2")[::-3]
    swapped = np.array([1, -2], dtype=">i4")
    truth = np.array([True, False])
    words = np.array([u"a", u"b\u00e9d"])
    raw = np.array([b"x"], dtype="S5")
    objects = np.array([None, {"a": 1}], dtype=object)
    complexes = np.array([1 + 2j, 0.5j])
    days = np.array(["2024-02-29", "NaT"], dtype="M8[D]")
    spans = np.array([90], dtype="m8[s]")
    big = np.zeros((1000, 1000))
    pairs = np.array([(1, 2.5), (3, 4.5)], dtype=PAIR)
    back = pairs[::-1]
    column = pairs["b"]
    nested = np.array(
        [([None], [[1, 2], [3, 4]], (True, b"ab", "2024-02-29"), u"hi", np.void(b"\x01\xff"), [(1, 2.5), (3, 4.5)])],
        dtype=NEST)
    apart = np.array([(5, 2.5), (-6, 3.5)], dtype=APART)
    aligned = np.array([(5, 6, 7)], dtype=ALIGNED)
    titled = np.array([(7,)], dtype=[(("Title", "a"), "<i2")])
    plane = np.zeros((2, 2), dtype=[("a", "u1")])
    images = np.zeros(2, dtype=[("name", "S2"), ("pixels", "u1", (600, 600))])
    many = np.zeros(1, dtype=[("f%d" % i, "i1") for i in range(2000)])
    rows = pairs.view(np.recarray)
    blanks = np.array([b"\x01a\xff", b""], dtype="V3")
    scalars = [
        np.float64(1.5), np.float32(0.1), np.float16(0.1), np.int8(-5), np.uint64(2**64 - 1), np.bool_(True),
        np.str_("a'c"), np.bytes_(b"x"), np.complex128(1 + 2j), np.complex64(0.1j), np.datetime64("2024-02-29"),
        np.datetime64("2024-02-29T12:30:15.500"), np.timedelta64(5, "D"), np.datetime64("2024-05"), np.intc(7),
    ]
    others = [
        np.longdouble(1.5), np.longdouble(-1) / 3, np.longdouble(10) ** 4000, np.clongdouble(1 + 2j), np.longlong(7), np.ulonglong(8), np.float64("nan"), np.bool_(False),
        np.complex64(1), np.complex128(-0.0), np.float64(1e16), np.float32(-2), np.unicode_(u"u") if sys.version_info < (3,)
        else np.str_("u"),
    ]
    times = [
        np.datetime64("2024-01-01T12"), np.datetime64("2024-01-01T12:30"), np.datetime64("2024-01-04", "7D"),
        np.datetime64("2024-01-01T00:00:00.5", "100ms"), np.datetime64("-0005"), np.timedelta64(5, "h"),
        np.timedelta64(5, "25s"), np.timedelta64("NaT", "D"), np.datetime64("2024-01-01", "W"),
    ]
    voids = [pairs[0], pairs[1], rows[0], blanks[0], titled[0]["a"]]
    expected = {"scalars": repr(scalars), "others": repr(others), "times": repr(times), "voids": repr(voids)}
    strings, longer = ([], []) if np.__version__.startswith("1.") else strings_of_any_length()
    expected["strings"], expected["longer"] = as_texts(strings), as_texts(longer)
    said = {"pid": os.getpid(), "expected": expected, "numpy": np.__version__}
    sys.stdout.write("READY " + json.dumps(said) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    return locals()


stand()
