"""Makes short function calls, DEPTH frames deep, beside WAITING threads that wait, for ever.

Usage: work.py DEPTH WAITING FILE      (FILE holds how many calls were made, as 8 bytes)
"""
import mmap
import struct
import sys
import threading

DEPTH, WAITING, FILE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def leaf(x):
    return x + 1


def middle(x):
    return leaf(x) + leaf(x)


def work(counter):
    done = 0
    while True:
        for _ in range(100):
            middle(1)
        done += 300
        struct.pack_into("Q", counter, 0, done)


def down(n, counter):
    if n:
        down(n - 1, counter)
    else:
        work(counter)


gate = threading.Lock()
gate.acquire()
for _ in range(WAITING):
    threading.Thread(target=gate.acquire, daemon=True).start()
with open(FILE, "r+b") as file:
    mapped = mmap.mmap(file.fileno(), 8)
sys.stdout.write("READY {}\n")
sys.stdout.flush()
down(DEPTH - 4, mapped)
