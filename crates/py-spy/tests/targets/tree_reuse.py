"""Children one after the other that have the same id: forks, and one that is another program.

To be run as root and in a pid namespace of its own.
"""
import os
import subprocess
import sys
import time

CPU_SECONDS = 0.3


def work(role):
    os.write(1, ("I %s %d\n" % (role, os.getpid())).encode())
    scope = {"os": os}
    exec("def work_%s():\n    until = sum(os.times()[:2]) + %s\n    while sum(os.times()[:2]) < until:\n        sum(range(1000))\n"
         % (role, CPU_SECONDS), scope)
    scope["work_" + role]()


def fork(role, seconds=CPU_SECONDS):
    child = os.fork()
    if child == 0:
        if seconds:
            work(role)
        os._exit(0)
    os.waitpid(child, 0)
    return child


def again(pid):
    """The next process gets this id, as if all others had been given out meanwhile."""
    for last in (20000, pid - 1):
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(last))
        if last == 20000:
            fork("other", 0)
            time.sleep(0.1)


def main():
    first = fork("first")
    again(first)
    fork("second")
    again(first)
    subprocess.call([sys.executable, os.path.abspath(__file__), "third"])


if len(sys.argv) > 1:
    work(sys.argv[1])
else:
    main()
