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
    import resource

    def cpu():
        used = resource.getrusage(1)  # RUSAGE_THREAD
        return used.ru_utime + used.ru_stime


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
