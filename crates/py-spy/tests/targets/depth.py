"""Stands DEPTH calls deep and makes short calls there for ever. Usage: depth.py DEPTH"""
import sys
import time


def leaf():
    end = time.time() + 0.001
    while time.time() < end:
        pass


def down(n):
    if n:
        down(n - 1)
    else:
        sys.stdout.write("READY {}\n")
        sys.stdout.flush()
        while True:
            leaf()


down(int(sys.argv[1]))
