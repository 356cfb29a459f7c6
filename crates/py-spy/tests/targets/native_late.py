"""Loads a library of the tests when it is told to, calls a function of it again and again until it is told to go on, and
unloads it. argv: each library, and its function. Says READY before all, and LOADED behind each."""
import _ctypes
import ctypes
import select
import sys


def told():
    """Whether there is a line to read. No more is written than is waited for, so nothing is left in Python's buffer."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def before():
    while not told():
        sum(range(1000))


def after(function):
    while not told():
        function(5)


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


say("READY")
before()
for path, name in zip(sys.argv[1::2], sys.argv[2::2]):
    sys.stdin.readline()
    library = ctypes.CDLL(path)
    say("LOADED %x" % ctypes.cast(getattr(library, name), ctypes.c_void_p).value)
    after(getattr(library, name))
    _ctypes.dlclose(library._handle)
