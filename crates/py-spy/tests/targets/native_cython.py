"""Cython functions between Python functions. argv: the folder of the module kitcy, and what to do: stand (each of its
functions calls the next Python one, and at the end READY), or spin (compute, after READY)."""
import sys

sys.path.insert(0, sys.argv[1])
import kitcy
from native_stand import inner, ready


def stand():
    kitcy.call(to_nested)


def to_nested():
    kitcy.nested(to_numbers)


def to_numbers():
    list(kitcy.numbers(to_c))


def to_c():
    kitcy.by_c(to_run)


def to_run():
    kitcy.Model(to_both).run()


def to_both():
    kitcy.Model(to_method).both()


def to_method():
    kitcy.Plain().method(to_callback)


def to_callback():
    """C code of the interpreter between two runs of the same function."""
    kitcy.call(lambda: sorted([1], key=lambda _: kitcy.call(inner)))


def spin():
    ready()
    while True:
        kitcy.spin(0.02)


globals()[sys.argv[2]]()
