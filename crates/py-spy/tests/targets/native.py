"""Native and Python frames on one stack. argv: what is between them, one after the other, with commas; and the library
(or the folder of the module).

The way in is outer() -> C -> inner(), and inner() says READY and waits for a line; then the next way."""
import ctypes
import functools
import re
import sys
import threading

from native_stand import inner, kit_call

PATH = sys.argv[2]


def outer(way):
    way()


def by_call():
    kit_call(PATH)(inner)


def by_module():
    sys.path.insert(0, PATH)
    import kit

    kit.call(inner)


def by_callback():
    kit = ctypes.CDLL(PATH)
    kit.kit_apply(ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(inner), 3)


def by_bare():
    kit = ctypes.CDLL(PATH)
    kit.kit_bare(ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(inner), 3)


def by_lost():
    kit = ctypes.CDLL(PATH)
    kit.kit_lost(ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(inner), 3)


def by_sorted():
    sorted([1], key=inner)


def by_reduce():
    functools.reduce(inner, [1, 2])


def by_generator():
    for _ in numbers():
        pass


def numbers():
    yield inner()


def by_sub():
    re.sub("a+", lambda _: str(inner()), "caat")


def by_nested():
    """C calls Python calls C calls Python."""
    call = kit_call(PATH)
    call(lambda: sorted([1], key=lambda _: call(inner)))


def by_deep():
    descend(200)


def descend(depth):
    if depth:
        return max([depth], key=lambda _: descend(depth - 1))
    return inner()


def by_recursion():
    plain(400)


def plain(depth):
    return plain(depth - 1) if depth else inner()


def by_cpp():
    """Says READY twice: the second time an exception of C++ is on its way."""
    by_function("kit_cpp")


def by_rust():
    by_function("kit_rust")


def by_pyo3():
    """A function of Rust calls Python, which calls a method of Rust's."""
    sys.path.insert(0, PATH)
    import pyo3_kit

    pyo3_kit.call(lambda: pyo3_kit.Caller(inner).run())


def by_function(name):
    function = getattr(ctypes.PyDLL(PATH), name)
    function.argtypes = [ctypes.py_object]
    function.restype = ctypes.py_object
    function(inner)


def by_thread():
    thread = threading.Thread(target=by_call)
    thread.start()
    thread.join()


WAYS = {name[3:]: way for name, way in list(globals().items()) if name.startswith("by_")}

sys.setrecursionlimit(5000)
for name in sys.argv[1].split(","):
    outer(WAYS[name])
