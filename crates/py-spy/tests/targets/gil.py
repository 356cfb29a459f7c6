"""A thread (or two) that computes, in the way that argv[1] names, among threads that wait."""
import os
import sys
import threading
import time
import zlib

import truth


def burn():
    x = 0
    while True:
        x += 1


def compress():
    data = os.urandom(1 << 16) * 1000
    while True:
        zlib.compress(data, 9)


def spin():
    import embed

    while True:
        embed.spin(1000)


def begin(place, name):
    thread = threading.Thread(target=place, name=name)
    thread.daemon = True
    thread.start()
    if place is spin:
        return
    # start() returns before the thread is where it computes, and known to all by its name.
    while True:
        frame = sys._current_frames().get(thread.ident)
        while frame is not None and frame.f_code is not place.__code__:
            frame = frame.f_back
        if frame is not None and thread in threading.enumerate():
            return
        time.sleep(0.001)


def main():
    for i in range(3):
        truth.start(lambda: truth.park(), "waits", warm=0)
    kinds = {"burn": [burn], "two": [burn, burn], "compress": [compress], "spin": [spin], "none": []}
    for place in kinds[sys.argv[1]]:
        if place is spin:
            # It keeps the lock from its first moment on, so this is the last that main can say.
            truth.say()
            sys.setswitchinterval(1e-6) if hasattr(sys, "setswitchinterval") else sys.setcheckinterval(1)
        begin(place, "computes")
    truth.stand()


main()
