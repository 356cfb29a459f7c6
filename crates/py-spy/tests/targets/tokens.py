"""Threads that recurse all the time, with a value that is new each time and the same in all frames of a thread."""
import sys
import threading

import truth

LAST = [0]


def down(depth, token, seen):
    copy = [token, [token]]
    if depth == 0:
        LAST[0] = token
        return copy
    down(depth - 1, token, seen + (token,))
    return copy


def rounds(first):
    token = first
    while True:
        token += 2
        down(10, "t%d" % token, ())


def main():
    for i in range(int(sys.argv[1])):
        thread = threading.Thread(target=rounds, args=(i,), name="rounds")
        thread.daemon = True
        thread.start()
    truth.stand()


main()
