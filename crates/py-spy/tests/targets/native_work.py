"""The interpreter's own work. argv: gil (two threads compute), or any of gc, memory and clock, with commas (one after
the other, again and again)."""
import gc
import sys
import threading
import time

HEAP = []


def compute():
    x = 0
    while True:
        x = (x * 3 + 1) % 1000003


def by_gc():
    gc.collect()


def by_memory():
    [b"x" * size for size in range(300, 500) for _ in range(100)]


def by_clock():
    """Most of it is in the system's code that every process has in its memory."""
    for _ in range(10000):
        time.time()


def ready():
    sys.stdout.write("READY\n")
    sys.stdout.flush()


def gil():
    threading.Thread(target=compute).start()
    ready()
    compute()


def repeat(kinds):
    if by_gc in kinds:
        HEAP.extend([i] for i in range(100000))
    ready()
    while True:
        for kind in kinds:
            end = time.time() + 0.06
            while time.time() < end:
                kind()


if sys.argv[1] == "gil":
    gil()
else:
    repeat([globals()["by_" + kind] for kind in sys.argv[1].split(",")])
