# cython: language_level=3
"""For tests of --native: functions of Cython between Python functions, and such that compute."""


cdef double hot(double seconds) noexcept nogil:
    """Computes for about so long, on a machine of our day."""
    cdef double x = 1
    cdef long i
    for i in range(<long>(seconds * 1e8)):
        x = x * 1.0000001 + 0.5
    return x


def call(callable):
    found = callable()
    return found


def nested(callable):
    def within():
        return callable() or 1

    return within() + 0


def numbers(callable):
    yield callable()
    yield 2


cdef object c_call(callable):
    return [callable()]


def by_c(callable):
    return c_call(callable)[0]


cdef class Model:
    cdef object callable

    def __init__(self, callable):
        self.callable = callable

    cdef object step(self):
        return (self.callable(), 1)

    def run(self):
        return self.step()[0]

    cpdef object both(self):
        return (self.callable(), 2)


class Plain:
    def method(self, callable):
        return (callable(), 3)


def spin(double seconds):
    cdef double found
    with nogil:
        found = hot(seconds)
    return found
