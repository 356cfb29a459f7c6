# cython: language_level=3
"""Computes, and calls back into Python from time to time."""


cdef double inner(int rounds):
    cdef double total = 0
    cdef int i
    for i in range(rounds):
        total += (i * 0.5) ** 1.5
    return total


def compute(rounds, callback):
    return inner(rounds), callback(rounds)


cdef class Model:
    cdef int rounds

    def __init__(self, rounds):
        self.rounds = rounds

    def step(self):
        return inner(self.rounds)
