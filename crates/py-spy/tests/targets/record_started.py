"""Starts one thread after the other, of which nothing is left to see but what it computes: in Python, and outside the GIL.

Each computes in a function of its own, compute_<number>, until it has used some CPU time. They are started at a line on
stdin; says DONE after the last, and ends with stdin.
"""
import hashlib
import sys
import threading
import time

THREADS = 40
CPU_SECONDS = 0.05
DATA = b"x" * (1 << 20)


def compute(outside):
    until = time.thread_time() + CPU_SECONDS
    while time.thread_time() < until:
        if outside:
            hashlib.sha256(DATA)  # gives the GIL away
        else:
            sum(range(1000))


print("READY", flush=True)
sys.stdin.readline()
for number in range(THREADS):
    scope = {"compute": compute}
    exec("def compute_%d(outside):\n    compute(outside)\n" % number, scope)
    thread = threading.Thread(target=scope["compute_%d" % number], args=(number % 2 == 0,))
    thread.start()
    thread.join()
print("DONE", flush=True)
sys.stdin.readline()
