"""Two processes, the second forked by the first: in each the main thread waits, and two others compute in Python, one in
a function that is named after the process and the thread. The second process gives itself a title.

Says on stdout:
    I <role> <pid> <the pids of those it comes from>
    THREAD <pid> <tid> <name>
and ends when the threads have used some CPU time.
"""
import ctypes
import os
import threading
import time

CPU_SECONDS = 0.25
TITLE = b"renamed: second process"


def rename():
    """Overwrites the memory that the command line is in (proc(5), /proc/PID/stat: arg_start, arg_end)."""
    with open("/proc/self/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    start, end = int(fields[48 - 3]), int(fields[49 - 3])
    ctypes.memmove(start, TITLE.ljust(end - start, b"\0"), end - start)


def say(text):
    os.write(1, (text + "\n").encode())


def spend():
    until = time.thread_time() + CPU_SECONDS
    while time.thread_time() < until:
        sum(range(1000))


def started(name):
    say("THREAD %d %d %s" % (os.getpid(), threading.get_native_id(), name))
    scope = {"spend": spend}
    exec("def compute_%s():\n    spend()\n" % name, scope)
    scope["compute_" + name]()


def wait_for(threads):
    for thread in threads:
        thread.join()


def work(role, line):
    say("I %s %d %s" % (role, os.getpid(), line))
    threads = []
    for letter in "ab":
        name = "%s_%s" % (role, letter)
        threads.append(threading.Thread(target=started, args=(name,), name=name))
    for thread in threads:
        thread.start()
    wait_for(threads)


child = os.fork()
if child == 0:
    rename()
    work("second", str(os.getppid()))
    os._exit(0)
work("first", "")
os.waitpid(child, 0)
