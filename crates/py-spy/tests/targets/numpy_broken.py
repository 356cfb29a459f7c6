"""Stands still with arrays of NumPy 2 whose types have been overwritten with what they cannot be."""
import ctypes
import json
import os
import sys

import numpy as np

WORD = ctypes.sizeof(ctypes.c_void_p)
HEAD = object.__basicsize__
KEPT = []  # what only an overwritten pointer refers to


def word(address):
    return ctypes.c_size_t.from_address(address)


def part(dtype, index):
    """subarray, fields, names, or na_object and so on to the allocator"""
    return word(id(dtype) + HEAD + 24 + 6 * WORD + index * WORD)


def keep(value):
    KEPT.append(value)
    return id(value)


def structure(fields=(("a", "<i4"), ("b", "<f8"))):
    array = np.ones(2, dtype=np.dtype(list(fields)))
    return array, array.dtype, ctypes.cast(part(array.dtype, 1).value, ctypes.py_object).value


def stand():
    itself, dtype, fields = structure()
    fields["a"] = fields["b"] = (dtype, 0)
    offsets, dtype, fields = structure()
    fields["a"] = (fields["a"][0], -2 ** 70)
    far, dtype, fields = structure()
    fields["a"] = (fields["a"][0], 2 ** 62)
    nameless, dtype, fields = structure()
    part(dtype, 2).value = keep((1, None, "c"))
    crowd, dtype, fields = structure()
    part(dtype, 2).value = keep(("a",) * 1000000)
    wild, dtype, fields = structure()
    part(dtype, 1).value = 8
    deep, dtype, fields = structure([("a", "u1", (2, 2))])
    inner = fields["a"][0]
    word(part(inner, 0).value + WORD).value = keep((2 ** 40,) * 64)
    circle, dtype, fields = structure([("a", "u1", (2, 2))])
    inner = fields["a"][0]
    word(part(inner, 0).value).value = id(inner)

    strings = np.array(["a" * 20, "b" * 20, "c" * 20, "d" * 20, "e" * 20, "f"], dtype=np.dtypes.StringDType())
    at = strings.ctypes.data
    word(at).value = 2 ** 40  # beyond the arena
    word(at + 16 + WORD).value |= 2 ** 54  # longer than the arena
    word(at + 32).value, word(at + 32 + WORD).value = 8, 0x60 << 56 | 0x10 << 56 | 100  # at an address that is none
    ctypes.c_ubyte.from_address(at + 63).value = 0x80  # missing, but nothing stands for that
    ctypes.memset(word(part(strings.dtype, 6).value + 5 * WORD).value + word(at + 64).value, 0xff, 3)
    homeless = np.array(["a" * 20, "b"], dtype=np.dtypes.StringDType())
    part(homeless.dtype, 6).value = 8
    sys.stdout.write("READY " + json.dumps({"pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()
    os._exit(0)


stand()
