"""Forks two children that compute, and waits for them. Says their ids when it is ready.

{"children": [pid, pid]}
"""
import json
import os
import signal
import sys


def child_work():
    total = 0
    while True:
        for number in range(1000):
            total += number


def parent_wait():
    for child in children:
        os.waitpid(child, 0)


children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        child_work()
    children.append(child)
print("READY " + json.dumps({"children": children}))
sys.stdout.flush()
try:
    parent_wait()
finally:
    for child in children:
        os.kill(child, signal.SIGKILL)
