"""Burns CPU time in three functions, about 60/30/10, until SIGUSR1; then prints how it really was.

The truth is what the process's own CPU clock says, in seconds: TRUTH sixty=S thirty=S ten=S
"""
import signal
import sys
import threading  # noqa: F401 - it gives the thread its name
import time

# There is one thread. getrusage() would count in ticks of the clock.
cpu = getattr(time, "process_time", None) or time.clock

spent = {"sixty": 0.0, "thirty": 0.0, "ten": 0.0}
done = []


def work():
    total = 0
    for number in range(3000):
        total += number * number
    return total


def sixty(budget):
    start = now = cpu()
    while now - start < budget:
        work()
        now = cpu()
    spent["sixty"] += now - start


def thirty(budget):
    start = now = cpu()
    while now - start < budget:
        work()
        now = cpu()
    spent["thirty"] += now - start


def ten(budget):
    start = now = cpu()
    while now - start < budget:
        work()
        now = cpu()
    spent["ten"] += now - start


signal.signal(signal.SIGUSR1, lambda *_: done.append(True))
print("READY")
sys.stdout.flush()
while not done:
    sixty(0.006)
    thirty(0.003)
    ten(0.001)
print("TRUTH " + " ".join("%s=%.6f" % item for item in sorted(spent.items())))
sys.stdout.flush()
