"""Computes in native code, DEPTH frames deep, for ever.

Usage: native.py DEPTH numpy|cython      (cython: the module fast, built from fast.pyx)
"""
import sys

DEPTH, KIND = int(sys.argv[1]), sys.argv[2]


def with_numpy():
    import numpy

    square, long = numpy.random.rand(150, 150), numpy.random.rand(400000)

    def small():
        short = numpy.arange(16.0)
        for number in range(3000):
            (short * number + 1).sum()

    def work():
        numpy.linalg.svd(square)
        numpy.sort(long)
        small()

    return work


def with_cython():
    import fast

    def count(rounds):
        for _ in range(rounds // 100):
            pass

    model = fast.Model(300000)

    def work():
        fast.compute(300000, count)
        model.step()

    return work


def down(n, work):
    if n:
        down(n - 1, work)
    else:
        while True:
            work()


work = with_numpy() if KIND == "numpy" else with_cython()
sys.stdout.write("READY {}\n")
sys.stdout.flush()
down(DEPTH - 3, work)
