# -*- coding: utf-8 -*-
"""What a program knows about its own threads and stacks, for tests to compare with what was seen from outside.

Runs on CPython 2.7 and 3.6 or later. A program starts threads with `start`, each of which ends up in `park`, and then
calls `serve`, which prints a line `READY {...}` and another for every line that comes on stdin. All threads stand
still in between, so what is true before and after a dump was true at the dump.
"""
import json
import os
import sys
import threading
import time

try:
    import _thread as thread
except ImportError:
    import thread

_gate = thread.allocate_lock()
_gate.acquire()
_staying = set()  # threads that stay when they come to park()
_order = [thread.get_ident()]  # all threads, oldest first
_native = {}


def park():
    """Where a thread stands. Before it was told to, it only passes by."""
    if thread.get_ident() in _staying:
        _gate.acquire()


_PARKED_AT = park.__code__.co_firstlineno + 3


def native_id():
    """The system's id of this thread, as seen in its own pid namespace's /proc."""
    if hasattr(threading, "get_native_id"):
        return threading.get_native_id()
    return int(os.readlink("/proc/thread-self").split("/")[-1])


def register():
    """Makes this thread one that the truth is about."""
    ident = thread.get_ident()
    _native[ident] = native_id()
    if ident not in _order:
        _order.append(ident)


def stay(place, warm=50):
    """Runs place() until it stands in park(). First a few times without standing, so that the interpreter has
    specialized its bytecode, which changes how calls are made."""
    for _ in range(warm):
        place()
    _staying.add(thread.get_ident())
    register()
    place()


def start(place, name=None, warm=50, daemon=False):
    """A thread of `threading` that stays in place()."""
    if name is not None and sys.version_info[0] == 2:
        name = name.encode("utf-8")
    made = threading.Thread(target=stay, args=(place, warm), name=name)
    made.daemon = daemon
    wait_parked(made.start)


def start_raw(place, warm=50):
    """A thread that `threading` knows nothing of."""
    wait_parked(lambda: thread.start_new_thread(stay, (place, warm)))


def wait_parked(begin, timeout=20):
    """Starts another thread and waits until all threads but this one stand in park()."""
    expected = len(_order) + 1
    begin()
    end = time.time() + timeout
    while time.time() < end:
        if len(_order) == expected and all(is_parked(ident) for ident in _order[1:]):
            return
        time.sleep(0.0005)
    stands = sys._current_frames().get(_order[-1])
    sys.stderr.write("a thread did not come to its place but is at %r\n" % (stands and stack(stands)))
    os._exit(3)


def is_parked(ident):
    """Whether a thread is at the line in which park() waits."""
    frame = sys._current_frames().get(ident)
    return frame is not None and frame.f_code is park.__code__ and frame.f_lineno == _PARKED_AT


_positions = {}  # of code objects by id, which are kept so that their ids stay theirs


def describe(frame):
    """Name, file, line and columns of a frame."""
    code = frame.f_code
    found = {
        "name": text(getattr(code, "co_qualname", code.co_name)),
        "filename": text(code.co_filename),
        "line": frame.f_lineno,
        "column": None,
        "end_line": None,
        "end_column": None,
    }
    if hasattr(code, "co_positions"):
        if id(code) not in _positions:
            _positions[id(code)] = code, list(code.co_positions())
        at = _positions[id(code)][1][frame.f_lasti // 2]
        _, found["end_line"], found["column"], found["end_column"] = at
    return found


def text(value):
    """As text: names and files are bytes in Python 2."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def stack(frame):
    """From this frame outwards."""
    found = []
    while frame is not None:
        found.append(describe(frame))
        frame = frame.f_back
    return found


def truth(skip):
    """All registered threads, and this one without its innermost frames."""
    names = dict((known.ident, text(known.name)) for known in threading.enumerate())
    _native[thread.get_ident()] = native_id()
    frames = sys._current_frames()
    threads = []
    for ident in _order:
        frame = frames[ident]
        this = ident == thread.get_ident()
        found = stack(frame)[skip:] if this else stack(frame)
        if this:
            # It is about to go on to another call in the same line.
            for key in ("column", "end_line", "end_column"):
                found[0][key] = -1
        threads.append(
            {"thread_id": ident, "thread_name": names.get(ident), "os_thread_id": _native[ident], "frames": found}
        )
    return threads


def say(**facts):
    """Prints the READY line."""
    facts.setdefault("pid", os.getpid())
    line = "READY " + json.dumps(facts) + "\n"
    # In Python 2 it is bytes already, and encode() would want to import something, which waits while a thread imports.
    os.write(1, line if isinstance(line, bytes) else line.encode("ascii"))


def serve(**facts):
    """Says what is true and stands still until a line comes on stdin; for ever. Ends with stdin."""
    while True:
        say(threads=truth(1), **facts) or os.read(0, 4096) or os._exit(0)


def stand(**facts):
    """Says that it is ready and stands still, with an answer to every line on stdin."""
    while True:
        say(**facts) or os.read(0, 4096) or os._exit(0)
