"""Starts threads all the time that compute a moment and end, and computes beside them, until SIGUSR1.

Then prints how the CPU time was split, by the threads' own clocks, in seconds: TRUTH parent=S thread=S
"""
import signal
import sys
import threading
import time

try:
    cpu = time.thread_time
except AttributeError:
    # Before 3.7. getrusage(RUSAGE_THREAD) would lag behind by up to a clock tick.
    import ctypes

    libc = ctypes.CDLL(None)

    class Time(ctypes.Structure):
        _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]

    def cpu():
        now = Time()
        libc.clock_gettime(3, ctypes.byref(now))  # CLOCK_THREAD_CPUTIME_ID
        return now.seconds + now.nanoseconds / 1e9


spent = {"parent": [], "thread": []}
done = []


def compute(rounds):
    total = 0
    for number in range(rounds):
        total += number * number
    return total


def compute_in_parent():
    start = cpu()
    compute(20000)
    spent["parent"].append(cpu() - start)


def compute_in_thread():
    start = cpu()
    compute(4000)
    spent["thread"].append(cpu() - start)


signal.signal(signal.SIGUSR1, lambda *_: done.append(True))
print("READY")
sys.stdout.flush()
while not done:
    threads = [threading.Thread(target=compute_in_thread) for _ in range(5)]
    for thread in threads:
        thread.start()
    compute_in_parent()
    for thread in threads:
        thread.join()
print("TRUTH " + " ".join("%s=%.6f" % (name, sum(times)) for name, times in sorted(spent.items())))
sys.stdout.flush()
