"""Starts processes all the time, each of which lives for some milliseconds: forks, and programs that are no Python."""
import os
import subprocess
import sys
import time


def live_shortly():
    until = time.time() + 0.004
    while time.time() < until:
        pass


def start():
    child = os.fork()
    if child == 0:
        live_shortly()
        os._exit(0)
    other = subprocess.Popen(["true"], close_fds=True)
    os.waitpid(child, 0)
    other.wait()


print("READY")
sys.stdout.flush()
while True:
    start()
