"""Becomes other programs, one after the other, and computes in between.

The argument is a list of steps, separated by commas; one is taken off each time:
    work:NAME   computes in a function work_NAME, having said on stdout: I NAME <pid>
    python      executes this script on the same interpreter
    sh          executes a shell that executes this script
    slow        executes a shell that waits a moment before it executes this script
    wait        waits a moment
    cat         executes a program that waits for the end of stdin
"""
import os
import sys
import time

CPU_SECONDS = 0.3


def spend():
    until = sum(os.times()[:2]) + CPU_SECONDS
    while sum(os.times()[:2]) < until:
        sum(range(1000))


def work(role):
    os.write(1, ("I %s %d\n" % (role, os.getpid())).encode())
    scope = {"spend": spend}
    exec("def work_%s():\n    spend()\n" % role, scope)
    scope["work_" + role]()


def main(steps):
    while steps:
        step = steps.pop(0)
        again = [sys.executable, os.path.abspath(__file__), ",".join(steps)]
        text = " ".join("'%s'" % word for word in again)
        if step.startswith("work:"):
            work(step[5:])
        elif step == "python":
            os.execv(sys.executable, again)
        elif step == "sh":
            os.execv("/bin/sh", ["sh", "-c", "exec " + text])
        elif step == "slow":
            os.execv("/bin/sh", ["sh", "-c", "sleep 0.3; exec " + text])
        elif step == "wait":
            time.sleep(0.2)
        elif step == "cat":
            os.execv("/bin/cat", ["cat"])


main(sys.argv[1].split(","))
