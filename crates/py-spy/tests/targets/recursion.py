"""A thread that is argv[1] calls deep in a function that calls itself."""
import sys
import threading

import truth


def down(n):
    return down(n - 1) if n else truth.park()


def main():
    depth = int(sys.argv[1])
    sys.setrecursionlimit(depth + 1000)
    threading.stack_size(1 << 30)
    truth.start(lambda: down(depth), "deep", warm=0)
    truth.stand()


main()
