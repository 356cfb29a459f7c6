"""Two threads that never run Python: one computes, one waits. argv: the library of the tests."""
import ctypes
import json
import os
import sys
import time

KIT = ctypes.CDLL(sys.argv[1])
LIBC = ctypes.CDLL(None)


def start(function, argument):
    """The id of a new thread that calls a C function."""
    before = set(os.listdir("/proc/self/task"))
    handle = ctypes.c_ulong()
    function = ctypes.cast(function, ctypes.c_void_p)
    assert LIBC.pthread_create(ctypes.byref(handle), None, function, ctypes.c_void_p(argument)) == 0
    (tid,) = set(os.listdir("/proc/self/task")) - before
    return int(tid)


def state(tid):
    with open("/proc/self/task/%d/stat" % tid) as file:
        return file.read().rsplit(")", 1)[1].split()[0]


busy, waiting = start(KIT.kit_hot, 10**9), start(LIBC.sleep, 10**6)
while state(waiting) != "S":
    time.sleep(0.001)
print("READY " + json.dumps({"pid": os.getpid(), "busy": busy, "waiting": waiting}))
sys.stdout.flush()
while True:
    time.sleep(1000)
