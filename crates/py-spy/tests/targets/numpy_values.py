"""Stands still with NumPy's arrays and scalars, and says what they are."""
import json
import os
import sys

import numpy as np


def stand():
    matrix = np.arange(6, dtype="i8").reshape(2, 3)
    turned = matrix.T
    floats = np.array([1.5, -0.25])
    small = np.array([0.1, 1e10], dtype="f4")
    half = np.array([0.1, 65500.0], dtype="f2")
    nothing = np.array([], dtype="u1")
    single = np.array(5, dtype="i4")
    steps = np.arange(10, dtype="i2")[::-3]
    swapped = np.array([1, -2], dtype=">i4")
    truth = np.array([True, False])
    words = np.array(["a", "b\u00e9d"])
    raw = np.array([b"x"], dtype="S5")
    objects = np.array([None, {"a": 1}], dtype=object)
    complexes = np.array([1 + 2j, 0.5j])
    days = np.array(["2024-02-29", "NaT"], dtype="M8[D]")
    spans = np.array([90], dtype="m8[s]")
    big = np.zeros((1000, 1000))
    scalars = [
        np.float64(1.5), np.float32(0.1), np.float16(0.1), np.int8(-5), np.uint64(2**64 - 1), np.bool_(True),
        np.str_("a'c"), np.bytes_(b"x"), np.complex128(1 + 2j), np.complex64(0.1j), np.datetime64("2024-02-29"),
        np.datetime64("2024-02-29T12:30:15.500"), np.timedelta64(5, "D"), np.datetime64("2024-05"), np.intc(7),
    ]
    said = {"pid": os.getpid(), "scalars": repr(scalars)}
    sys.stdout.write("READY " + json.dumps(said) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    return locals()


stand()
