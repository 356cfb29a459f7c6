"""Many threads that wait, and one, "mover", that with each line that it gets goes on: from one wait to another, and then
to computing. argv: how many wait. Says READY when all are there.
"""
import os
import sys
import threading

threading.stack_size(256 * 1024)
forever = threading.Event()
there = threading.Semaphore(0)


def stay():
    there.release()
    forever.wait()


def wait_first():
    there.release()
    os.read(0, 1)


def wait_second():
    os.read(0, 1)


def compute():
    while True:
        sum(range(1000))


def move():
    wait_first()
    wait_second()
    compute()


threads = [threading.Thread(target=stay, daemon=True) for _ in range(int(sys.argv[1]))]
threads.append(threading.Thread(target=move, name="mover", daemon=True))
for thread in threads:
    thread.start()
for _ in threads:
    there.acquire()
print("READY")
sys.stdout.flush()
forever.wait()
