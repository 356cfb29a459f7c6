"""At every line on stdin starts processes that do not live long, one after the other; then says DONE.

    <kind> <how many> <milliseconds of CPU time>

kind is "child", or "orphan" for ones whose parent ends at once. Each says that it was there: CHILD <pid>
"""
import os
import sys


def work_short(seconds):
    os.write(1, ("CHILD %d\n" % os.getpid()).encode())
    until = sum(os.times()[:2]) + seconds
    while sum(os.times()[:2]) < until:
        sum(range(100))


def fork(body):
    child = os.fork()
    if child == 0:
        try:
            body()
        finally:
            os._exit(0)
    return child


def child(seconds):
    os.waitpid(fork(lambda: work_short(seconds)), 0)


def orphan(seconds):
    ours, theirs = os.pipe()

    def parent():
        os.close(ours)
        fork(lambda: work_short(seconds))
    os.waitpid(fork(parent), 0)
    os.close(theirs)
    os.read(ours, 1)
    os.close(ours)


KINDS = {"child": child, "orphan": orphan}


def main():
    os.write(1, b"READY\n")
    while True:
        words = sys.stdin.readline().split()
        if not words:
            return
        for _ in range(int(words[1])):
            KINDS[words[0]](float(words[2]) / 1000)
        os.write(1, b"DONE\n")


main()
