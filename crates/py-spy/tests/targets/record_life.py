"""Computes, and does to itself what the argument says.

fork: forks children all the time, which compute a moment and end.
exec: on SIGUSR1 becomes the program of the further arguments.
exit: on SIGUSR1 ends with status 7.
burn: nothing more; prints what it was told to on SIGUSR1, then goes on.
"""
import os
import signal
import sys

wanted = []


def compute(rounds):
    total = 0
    for number in range(rounds):
        total += number * number
    return total


def compute_in_parent():
    compute(20000)


def compute_in_child():
    compute(20000)


def fork():
    child = os.fork()
    if child == 0:
        compute_in_child()
        os._exit(0)
    compute_in_parent()
    os.waitpid(child, 0)


def main(kind, arguments):
    signal.signal(signal.SIGUSR1, lambda *_: wanted.append(True))
    print("READY")
    sys.stdout.flush()
    while True:
        if kind == "fork":
            fork()
        else:
            compute_in_parent()
        if not wanted:
            continue
        del wanted[:]
        if kind == "exec":
            os.execv(arguments[0], arguments)
        elif kind == "exit":
            sys.exit(7)
        else:
            print("TOLD")
            sys.stdout.flush()


main(sys.argv[1], sys.argv[2:])
