"""Threads of every mood: one computes in Python, one outside the GIL, two wait, one sleeps for ever.

Which is for the arguments to say. Says the threads' ids when it is ready: {"tids": {name: OS thread id}}
"""
import hashlib
import json
import sys
import threading
import time

tids = {}
DATA = b"x" * (16 << 20)


def compute_in_python():
    while True:
        sum(number for number in (1, 2, 3))


def compute_outside():
    while True:
        hashlib.sha256(DATA)  # gives the GIL away for tens of milliseconds


def sleep_for_ever():
    while True:
        time.sleep(1000)


def wait_for_event():
    threading.Event().wait()


def wait_in_small_steps():
    while True:
        time.sleep(0.01)


def started(function):
    tids[threading.current_thread().name] = threading.get_native_id()
    up.release()
    function()


def start(name, function):
    threading.Thread(target=started, name=name, args=(function,), daemon=True).start()
    up.acquire()


def main(kinds):
    for kind in kinds:
        start(kind, KINDS[kind])
    tids["MainThread"] = threading.get_native_id()
    print("READY " + json.dumps({"tids": tids}))
    sys.stdout.flush()
    wait_for_event()


KINDS = {
    "python": compute_in_python,
    "outside": compute_outside,
    "sleeper": sleep_for_ever,
    "waiter": wait_for_event,
    "stepper": wait_in_small_steps,
}
up = threading.Semaphore(0)
main(sys.argv[1:])
