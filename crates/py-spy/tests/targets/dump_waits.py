# -*- coding: utf-8 -*-
"""Threads that wait for all kinds of things, by what argv[1] names. Each says for itself what it waits for, in the words
that it should be told in. Runs on CPython 2.7 and 3.6 or later."""
import fcntl
import gc
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time

import truth
from waiting import EXPECTED, Gate, KEEP, PY2, TIDS, begin, expect, expect_rlock, tell, told, wait_until, want

try:
    import queue
except ImportError:
    import Queue as queue

# --- locks


def circle(make, names):
    """Each thread has a lock and wants the next one's."""
    locks = [make() for _ in names]
    KEEP.extend(locks)
    inside, gate = [], Gate()

    def grab(i):
        with locks[i]:
            inside.append(i)
            gate.wait()
            want(locks[(i + 1) % len(names)])

    for i, name in enumerate(names):
        begin(name, grab, i)
    wait_until(lambda: len(inside) == len(names))
    gate.open()
    return locks


def lock_text(lock, owner):
    line = grab_line()
    return "Lock at 0x%x, held by %s by a with statement in %s (dump_waits.py:%d)" % (id(lock), told(owner), GRAB, line)


GRAB = "grab" if sys.version_info < (3, 11) else "circle.<locals>.grab"


def grab_line():
    """Where grab() calls want()."""
    with open(os.path.splitext(__file__)[0] + ".py") as source:
        for number, line in enumerate(source, 1):
            if line.strip().startswith("want(locks[(i"):
                return number


def rlocks(count):
    names = ["one", "two", "three"][:count]
    locks = circle(threading.RLock, names)
    for i, name in enumerate(names):
        expect_rlock(name, locks[(i + 1) % count], names[(i + 1) % count])
    return {"circle": names, "behind": []}


def plain_locks():
    names = ["one", "two"]
    locks = circle(threading.Lock, names)
    expect("one", "lock", lock_text(locks[1], "two"), "two")
    expect("two", "lock", lock_text(locks[0], "one"), "one")
    # Another one, without a with statement; and one of which nobody can know who holds it.
    begin("third", locks[0].acquire)
    expect("third", "lock", lock_text(locks[0], "one"), "one")
    taken = threading.Lock()
    taken.acquire()
    KEEP.append(taken)
    begin("fourth", lambda: want(taken))
    expect("fourth", "lock", "Lock at 0x%x; who holds it is not recorded" % id(taken))
    return {"circle": names, "behind": ["third"]}


def joined():
    """Two that wait for each other, one that joins the first, one that joins the one that joins."""
    deadlock = rlocks(2)
    threads = dict((thread.name, thread) for thread in threading.enumerate())
    first = begin("joins", threads["one"].join)
    expect("joins", "join", "the end of %s (Thread.join)" % told("one"), "one")
    begin("joins too", first.join)
    expect("joins too", "join", "the end of %s (Thread.join)" % told("joins"), "joins")
    return {"circle": deadlock["circle"], "behind": ["joins", "joins too"]}


def itself():
    """A lock that is not reentrant, taken twice; and an RLock that a thread had when it ended."""
    lock = threading.Lock()
    KEEP.append(lock)

    def outer():
        with lock:
            inner()

    def inner():
        with lock:
            raise SystemExit("nobody should get here")

    begin("alone", outer)
    where = "outer" if sys.version_info < (3, 11) else "itself.<locals>.outer"
    line = outer.__code__.co_firstlineno + 2
    text = "Lock at 0x%x, held by %s by a with statement in %s (dump_waits.py:%d)" % (id(lock), told("alone"), where, line)
    expect("alone", "lock", text, "alone")
    left = threading.RLock()
    KEEP.append(left)
    over = Gate()

    def late():
        over.wait()
        left.acquire()

    # It is there before the other one ends, whose identifier it would be given otherwise.
    begin("late", late)
    ended = begin("ended", left.acquire)
    ident = ended.ident
    ended.join()
    over.open()
    del TIDS["ended"]
    expect("late", "rlock", "RLock at 0x%x, held by thread 0x%x, which has ended" % (id(left), ident))
    return {"circle": ["alone"], "behind": []}


# --- what the standard library makes of them


def library():
    at = lambda thing: "%s at 0x%x" % (type_name(thing), id(thing))
    empty, full, tasks = queue.Queue(), queue.Queue(1), queue.Queue()
    full.put(1)
    tasks.put(1)
    event, condition, semaphore = threading.Event(), threading.Condition(), threading.Semaphore(0)
    KEEP.extend([empty, full, tasks, event, condition, semaphore])

    def notified():
        with condition:
            condition.wait()

    begin("get", empty.get)
    expect("get", "queue_get", "an item in %s" % at(empty))
    begin("put", full.put, 2)
    expect("put", "queue_put", "room in %s" % at(full))
    begin("tasks", tasks.join)
    expect("tasks", "queue_join", "all tasks of %s to be done" % at(tasks))
    begin("event", event.wait)
    expect("event", "event", "%s to be set" % at(event))
    begin("condition", notified)
    expect("condition", "condition", "a notify of %s" % at(condition))
    begin("semaphore", semaphore.acquire)
    expect("semaphore", "semaphore", "%s to be released" % at(semaphore))
    if not PY2:
        begin("timed", event.wait, 10000)
        expect("timed", "event", "%s to be set (with a timeout)" % at(event))
        barrier = threading.Barrier(2)
        KEEP.append(barrier)
        begin("barrier", barrier.wait)
        expect("barrier", "barrier", "more threads to come to %s" % at(barrier))
        import concurrent.futures

        future = concurrent.futures.Future()
        begin("future", future.result)
        expect("future", "future", "the result of %s" % at(future))
        begin("futures", concurrent.futures.wait, [future])
        expect("futures", "futures", "futures to be done")
    if hasattr(queue, "SimpleQueue"):
        simple = queue.SimpleQueue()
        KEEP.append(simple)
        begin("simple", simple.get)
        expect("simple", "queue_get", "an item in %s" % at(simple))
    return None


def type_name(thing):
    return getattr(thing, "__class__", type(thing)).__name__


def imports():
    """Two threads that import one module, whose source waits for ever."""
    folder = tempfile.mkdtemp()
    with open(os.path.join(folder, "slow_module.py"), "w") as source:
        source.write("import waits_of_a_module as w\nw.inside.append(1)\nw.lock.acquire()\n")
    own = type(sys)("waits_of_a_module")
    own.inside, own.lock = [], threading.Lock()
    own.lock.acquire()
    sys.modules["waits_of_a_module"] = own
    sys.path.insert(0, folder)
    begin("first", __import__, "slow_module")
    wait_until(lambda: own.inside)
    os.unlink(os.path.join(folder, "slow_module.py"))
    os.rmdir(folder)
    begin("second", __import__, "slow_module")
    expect("first", "lock", "Lock at 0x%x; who holds it is not recorded" % id(own.lock))
    expect("second", "import", "the import of slow_module by %s" % told("first"), "first")


# --- the system


def system():
    name = lambda s: "%s:%d" % s.getsockname()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(5)
    silent = socket.create_connection(listening.getsockname())
    timed = socket.create_connection(listening.getsockname())
    timed.settimeout(1000)
    KEEP.extend([listening.accept(), listening.accept(), timed])
    one, two = socket.socketpair()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    empty, full, watched = os.pipe(), os.pipe(), os.pipe()
    folder = tempfile.mkdtemp()
    local = socket.socket(socket.AF_UNIX)
    local.bind(os.path.join(folder, "my socket (x)"))
    local.listen(1)
    KEEP.extend([listening, silent, one, two, datagrams, local])
    own = ", whose other end this process has open itself"

    begin("recv", silent.recv, 1)
    expect("recv", "descriptor", "recv on socket %s (fd %d)" % (name(listening), silent.fileno()))
    begin("accept", listening.accept)
    expect("accept", "descriptor", "accept on socket %s (listening) (fd %d)" % (name(listening), listening.fileno()))
    begin("unix", one.recv, 1)
    expect("unix", "descriptor", "recv on unix socket (fd %d)" % one.fileno())
    begin("unix accept", local.accept)
    expect(
        "unix accept",
        "descriptor",
        "accept on unix socket %s (listening) (fd %d)" % (local.getsockname(), local.fileno()),
    )
    begin("udp", datagrams.recv, 1)
    expect("udp", "descriptor", "recv on socket udp %s (fd %d)" % (name(datagrams), datagrams.fileno()))
    begin("timed recv", timed.recv, 1)
    expect(
        "timed recv",
        "descriptor",
        "poll on socket %s (fd %d), for 16 min 40 s at the most" % (name(listening), timed.fileno()),
    )
    begin("read", os.read, empty[0], 1)
    expect("read", "descriptor", "read on pipe (fd %d)" % empty[0] + own)
    begin("full pipe", os.write, full[1], b"x" * (1 << 21))
    expect("full pipe", "descriptor", "write on pipe (fd %d)" % full[1] + own)
    begin("select", select.select, [watched[0], one], [], [])
    fds = [watched[0], one.fileno()]
    names = ["pipe (fd %d)" % watched[0], "unix socket (fd %d)" % one.fileno()]
    names = ", ".join(text for _, text in sorted(zip(fds, names)))
    expect("select", "descriptor", "select on 2 descriptors: " + names)
    poll = select.poll()
    poll.register(watched[0], select.POLLIN)
    begin("poll", poll.poll)
    expect("poll", "descriptor", "poll on pipe (fd %d)" % watched[0] + own)
    epoll = select.epoll()
    epoll.register(watched[0], select.EPOLLIN)
    begin("epoll", epoll.poll)
    expect("epoll", "descriptor", "epoll_wait on pipe (fd %d)" % watched[0] + own)
    nothing = select.epoll()
    KEEP.extend([epoll, nothing])
    begin("epoll of nothing", nothing.poll, 1000)
    expect("epoll of nothing", "descriptor", "epoll_wait on no descriptor, for 16 min 40 s at the most")
    locked = os.path.join(folder, "locked")
    held, asked = open(locked, "w"), open(locked, "w")
    KEEP.extend([held, asked])
    fcntl.flock(held, fcntl.LOCK_EX)
    begin("flock", fcntl.flock, asked, fcntl.LOCK_EX)
    expect("flock", "descriptor", "flock on %s (fd %d)" % (locked, asked.fileno()))
    fifo = os.path.join(folder, "fifo")
    os.mkfifo(fifo)
    begin("fifo", open, fifo)
    expect("fifo", "file", "open of %s" % fifo)
    if sys.version_info >= (3, 11):
        begin("sleep", time.sleep, 10000)
        EXPECTED["sleep"] = {"kind": "sleep", "text": None, "owner": None}
    else:
        begin("sleep", time.sleep, 10000)
        expect("sleep", "sleep", "a sleep of 2 h 46 min to end (select)")
    # Its own code in files that are called like those of the standard library.
    space = {"one": one}
    source = "class RedisQueue(object):\n    def get(self):\n        one.recv(1)\nqueue = RedisQueue()"
    exec(compile(source, "/app/queue.py", "exec"), space)
    begin("own queue", space["queue"].get)
    expect("own queue", "descriptor", "recv on unix socket (fd %d)" % one.fileno())
    groups = subprocess.Popen(["sleep", "10000"], close_fds=True, preexec_fn=os.setpgrp)
    KEEP.append(groups)
    begin("group", os.waitpid, -groups.pid, 0)
    expect("group", "process", "the end of a child process (wait)")
    child = subprocess.Popen(["sleep", "10000"], close_fds=True)
    KEEP.append(child)
    begin("child", os.waitpid, child.pid, 0)
    expect("child", "process", "the end of process %d (sleep)" % child.pid)
    # It is called so from a moment after Popen has returned on.
    wait_until(lambda: open("/proc/%d/comm" % child.pid).read() == "sleep\n")
    return None


# --- the interpreter


def gil():
    """A thread that keeps the GIL, and others that want it."""
    import ctypes

    def keep():
        expect("keeps", "system_call", "pause")
        for name in ("wants", "wants too"):
            expect(name, "gil", "the GIL, held by %s" % told("keeps"), "keeps")
        tell(None)
        ctypes.PyDLL(None).pause()

    def ask():
        while True:
            time.sleep(0.0001)

    begin("wants", ask)
    begin("wants too", ask)
    begin("keeps", keep)
    while True:
        time.sleep(1)


def frameless():
    """A thread that computes and has no Python frame."""
    import itertools

    try:
        import _thread
    except ImportError:
        import thread as _thread

    tell(None)
    _thread.start_new_thread(sum, (itertools.repeat(0),))
    os.read(0, 1)


class Slow(object):
    """Waits when it is collected."""

    def __init__(self):
        self.me = self

    def __del__(self):
        KEEP.append(self)
        tell(None)
        os.read(0, 1)


class Weak(object):
    pass


def collect():
    """A garbage collection that does not end."""
    if sys.version_info >= (3, 4):
        Slow()
    else:
        # Of 2.7, only what has no __del__ is collected.
        import weakref

        weak = Weak()
        weak.me = weak
        KEEP.append(weakref.ref(weak, lambda _: (tell(None), os.read(0, 1))))
        KEEP.append([KEEP])
        del weak
    gc.collect()


def collect_beside():
    """The same in a thread, while another one has the GIL."""

    def spin():
        while True:
            pass

    begin("spins", spin)
    begin("collects", collect)
    while True:
        time.sleep(1)


def shutdown():
    """The main thread has ended, another has not."""
    gate = threading.Lock()
    gate.acquire()
    ready = []

    def stay():
        TIDS["stays"] = truth.native_id()
        ready.append(1)
        gate.acquire()

    thread = threading.Thread(target=stay, name="stays")
    thread.start()
    wait_until(lambda: ready)
    expect("stays", "lock", "Lock at 0x%x; who holds it is not recorded" % id(gate))
    text = "the end of all threads that are no daemons"
    if sys.version_info < (3, 7):
        # They are joined one by one.
        expect("MainThread", "shutdown", text + ", now of %s" % told("stays"), "stays")
    else:
        expect("MainThread", "shutdown", text)
    KEEP.append(gate)
    tell(None)


KINDS = {
    "rlocks2": lambda: rlocks(2),
    "rlocks3": lambda: rlocks(3),
    "locks": plain_locks,
    "joined": joined,
    "itself": itself,
    "library": library,
    "imports": imports,
    "system": system,
}

if sys.argv[1] in KINDS:
    found = KINDS[sys.argv[1]]()
    tell(found)
    os.read(0, 1)
    os._exit(0)
{"gil": gil, "frameless": frameless, "collect": collect, "collect_beside": collect_beside, "shutdown": shutdown}[sys.argv[1]]()
