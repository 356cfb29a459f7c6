# -*- coding: utf-8 -*-
"""Locks of which it is easy to say too much, by what argv[1] names. Runs on CPython 2.7 and 3.6 or later."""
import os
import sys
import threading
import time

from waiting import EXPECTED, Gate, KEEP, KEEP_OPEN, PY2, begin, expect, expect_rlock, tell, told, wait_until, want


def released():
    """Locks that were taken by with, and released inside of the block."""
    lock, other = threading.Lock(), threading.Lock()
    condition = threading.Condition(lock)
    KEEP.extend([lock, other])
    inside, gate = [], Gate()

    def notified():
        with condition:
            inside.append(1)
            condition.wait()

    def hold():
        with lock:
            inside.append(2)
            wait_here()

    def wait_here():
        os.read(KEEP_OPEN[0], 1)

    def lend():
        with other:
            other.release()
            inside.append(3)
            gate.wait()
            other.acquire()

    at = "Lock at 0x%x"
    begin("notified", notified)
    expect("notified", "condition", "a notify of Condition at 0x%x" % id(condition))
    if PY2:
        EXPECTED["notified"]["text"] = "a notify of _Condition at 0x%x" % id(condition)
    wait_until(lambda: inside)
    begin("holds", hold)
    wait_until(lambda: 2 in inside)
    expect("holds", "descriptor", None)
    begin("wants", lambda: want(lock))
    where = "hold" if sys.version_info < (3, 11) else "released.<locals>.hold"
    line = hold.__code__.co_firstlineno + 3
    text = at % id(lock) + ", held by %s by a with statement in %s (dump_locks.py:%d)" % (told("holds"), where, line)
    expect("wants", "lock", text, "holds")
    begin("lends", lend)
    wait_until(lambda: 3 in inside)
    other.acquire()
    gate.open()
    expect("lends", "lock", at % id(other) + "; who holds it is not recorded")
    return None


def patient():
    """Two threads that wait for each other, one of which gives up in the end."""
    one, two = threading.RLock(), threading.RLock()
    KEEP.extend([one, two])
    inside, gate = [], Gate()

    def first():
        with one:
            inside.append(1)
            gate.wait()
            two.acquire(timeout=10000)

    def second():
        with two:
            inside.append(2)
            gate.wait()
            want(one)

    begin("first", first)
    begin("second", second)
    wait_until(lambda: len(inside) == 2)
    gate.open()
    expect_rlock("second", one, "first")
    expect_rlock("first", two, "second")
    EXPECTED["first"]["text"] += " (with a timeout)"
    return None


def shared():
    """Locks and semaphores of multiprocessing."""
    import multiprocessing

    none, taken = multiprocessing.Semaphore(0), multiprocessing.Semaphore(2)
    lock, foreign = multiprocessing.Lock(), multiprocessing.Lock()
    KEEP.extend([none, taken, lock, foreign])
    at = lambda what, thing: "%s of multiprocessing at 0x%x" % (what, id(thing._semlock))
    if not os.fork():
        foreign.acquire()
        os._exit(0)
    os.wait()

    def twice():
        taken.acquire()
        taken.acquire()
        taken.acquire()

    def hold():
        lock.acquire()
        inside.append(1)
        lock.acquire()

    inside = []
    begin("none", none.acquire)
    expect("none", "semaphore", at("semaphore", none) + " to be released")
    begin("taken", twice)
    expect("taken", "semaphore", at("semaphore", taken) + " to be released")
    begin("holds", hold)
    wait_until(lambda: inside)
    expect("holds", "shared_lock", at("lock", lock) + ", held by %s" % told("holds"), "holds")
    begin("wants", lock.acquire)
    expect("wants", "shared_lock", at("lock", lock) + ", held by %s" % told("holds"), "holds")
    begin("foreign", foreign.acquire)
    expect("foreign", "shared_lock", at("lock", foreign) + ", not held by this process")
    return {"circle": ["holds"], "behind": ["wants"]}


def contended():
    """Threads that take one lock in turn, and never wait for each other in a circle."""
    for number, lock in enumerate([threading.RLock(), threading.Lock()]):

        def run(lock=lock):
            while True:
                with lock:
                    time.sleep(0.00005)

        for i in range(4):
            begin("%d of %d" % (i, number), run)
    tell(None)
    os.read(0, 1)
    os._exit(0)


KINDS = {"released": released, "patient": patient, "shared": shared}

if sys.argv[1] in KINDS:
    found = KINDS[sys.argv[1]]()
    tell(found)
    os.read(0, 1)
    os._exit(0)
contended()
