"""Starts threads named "even" and "odd" in turn, each of which computes in a function of that name and ends."""
import sys
import threading
import time


def compute(seconds):
    end = time.time() + seconds
    while time.time() < end:
        sum(range(100))


def job_even():
    compute(0.02)


def job_odd():
    compute(0.02)


print("READY")
sys.stdout.flush()
while True:
    for name, job in (("even", job_even), ("odd", job_odd)):
        thread = threading.Thread(target=job, name=name)
        thread.start()
        thread.join()
