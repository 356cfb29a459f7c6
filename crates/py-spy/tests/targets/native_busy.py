"""Computes in C code, of several kinds one after the other. argv: the library of the tests, and the kinds if not the
first four, with commas."""
import ctypes
import json
import re
import sys
import time
import zlib

KIT = ctypes.CDLL(sys.argv[1])
TEXT = bytes(bytearray((i * i * 7 + i // 3) % 251 for i in range(200000)))
LIST = [{"key %d" % i: [i, str(i), None, 1.5]} for i in range(2000)]
WORDS = "ab " * 3000


def by_spin():
    KIT.kit_spin(20)


def by_zlib():
    zlib.compress(TEXT, 9)


def by_json():
    json.dumps(LIST)


def by_re():
    re.findall(r"(?:a|b|ab)+c", WORDS)


def by_jit():
    """Loops that are hot enough for CPython's own JIT compiler."""
    total = 0
    for number in range(10000):
        total = (total * 3 + number) % 1000003
        total += zlib.crc32(TEXT) & 1
        if number % 8 == 0:
            total += max(WORDS[:2], key=by_key) == "a"


def by_key(_):
    return zlib.adler32(TEXT)


def by_svd():
    numpy.linalg.svd(MATRIX)


def by_sort():
    numpy.sort(MATRIX, axis=None)


KINDS = [globals()["by_" + kind] for kind in (sys.argv[2:] or ["spin,zlib,json,re"])[0].split(",")]
if by_sort in KINDS:
    import numpy

    MATRIX = numpy.random.default_rng(1).random((300, 300))


def repeat(function):
    end = time.time() + 0.06
    while time.time() < end:
        function()


print("READY")
sys.stdout.flush()
while True:
    for one in KINDS:
        repeat(one)
