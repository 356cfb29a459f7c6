# -*- coding: utf-8 -*-
"""Threads that wait, and say for themselves what for, in the words that it should be told in."""
import os
import sys
import threading
import time

import truth

PY2 = sys.version_info[0] == 2
EXPECTED = {}  # thread names to {"kind": ..., "text": ..., "owner": a thread's name or None}
TIDS = {}
KEEP_OPEN = os.pipe()  # nothing comes through it
KEEP = []  # nothing of it may be closed or die
ARRIVED = []


def begin(name, place, *args):
    """Starts a thread that waits in place(*args), and returns it when it is just about to."""

    def run():
        TIDS[name] = truth.native_id()
        ARRIVED.append(name)
        place(*args)

    thread = threading.Thread(target=run, name=name)
    thread.daemon = True
    thread.start()
    while name not in TIDS:
        time.sleep(0.001)
    return thread


def expect(name, kind, text, owner=None):
    EXPECTED[name] = {"kind": kind, "text": text, "owner": owner}


def told(name):
    return 'thread %d "%s"' % (TIDS[name], name)


def expect_rlock(name, lock, owner):
    expect(name, "rlock", "RLock at 0x%x, held by %s" % (id(lock), told(owner)), owner)


def wait_until(condition):
    """For the main thread, before it tells: who sleeps for a moment looks like who is where it should be."""
    while not condition():
        time.sleep(0.001)


class Gate(object):
    """Threads wait here, for as long as it takes, until the main thread opens it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.lock.acquire()

    def wait(self):
        self.lock.acquire()
        self.lock.release()

    def open(self):
        self.lock.release()


def want(lock):
    with lock:
        raise SystemExit("nobody should get here")


def tell(deadlock):
    truth.say(expected=EXPECTED, tids=TIDS, deadlock=deadlock)
