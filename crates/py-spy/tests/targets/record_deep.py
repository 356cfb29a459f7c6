"""Burns CPU at the bottom of a recursion of the depth given."""
import sys


def recurse(left):
    if left:
        return recurse(left - 1)
    bottom()


def bottom():
    print("READY")
    sys.stdout.flush()
    while True:
        pass


depth = int(sys.argv[1])
sys.setrecursionlimit(depth + 1000)
recurse(depth - 1)
