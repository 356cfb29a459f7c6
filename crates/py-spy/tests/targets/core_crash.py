"""A thread that crashes when told to, beside others that stand still. See truth.py.

    core_crash.py WAY: fault (reads address 0x5000), abort, or native (a thread without any Python aborts)
"""
import os
import sys
import threading

import truth


class Doomed(object):
    def outer(self, way):
        return self.inner(way, label="crash")

    def inner(self, way, **named):
        WAYS[way](named)


def fault(named):
    import ctypes
    ctypes.string_at(0x5000)


def abort(named):
    os.abort()


def native(named):
    import ctypes
    libc = ctypes.CDLL(None)
    made = ctypes.c_ulong()
    # Looking them up is done in Python: not while the thread aborts.
    create, join = libc.pthread_create, libc.pthread_join
    # The thread's function is abort() itself.
    create(ctypes.byref(made), None, libc.abort, None)
    join(made, None)


WAYS = {"fault": fault, "abort": abort, "native": native}

if __name__ == "__main__":
    main = truth.native_id()

    def wait_and_crash():
        truth.say(main=main, doomed=truth.native_id())
        os.read(0, 4096)
        Doomed().outer(sys.argv[1])
        os._exit(3)

    truth.start(lambda: truth.park(), "bystander", warm=0)
    doomed = threading.Thread(target=wait_and_crash, name="doomed")
    doomed.start()
    doomed.join()
