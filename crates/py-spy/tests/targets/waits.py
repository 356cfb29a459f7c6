"""One thread computes in Python, one in C without the GIL, and others wait in every way there is.

The names of the functions that wait begin with wait_.
"""
import os
import select
import socket
import subprocess
import sys
import threading
import time
import zlib

import truth

try:
    import queue
except ImportError:
    import Queue as queue

started = []


def here():
    started.append(1)


def wait_sleep():
    here()
    time.sleep(100000)


def wait_lock():
    lock = threading.Lock()
    lock.acquire()
    here()
    lock.acquire()


def wait_condition():
    condition = threading.Condition()
    with condition:
        here()
        condition.wait()


def wait_queue():
    here()
    queue.Queue().get()


def wait_select():
    reader, _writer = os.pipe()
    here()
    select.select([reader], [], [])


def wait_epoll():
    reader, _writer = os.pipe()
    epoll = select.epoll()
    epoll.register(reader)
    here()
    epoll.poll()


def wait_poll():
    reader, _writer = os.pipe()
    poll = select.poll()
    poll.register(reader)
    here()
    poll.poll()


def wait_socket():
    one, other = socket.socketpair()
    here()
    one.recv(1)
    other.close()


def wait_pipe():
    reader, _writer = os.pipe()
    here()
    os.read(reader, 1)


def wait_child():
    child = subprocess.Popen(["sleep", "100000"])
    children.append(child)
    here()
    child.wait()


def wait_join():
    here()
    sleeper.join()


def burn_in_c():
    data = os.urandom(1 << 20)
    busy.append(truth.native_id())
    here()
    while True:
        zlib.compress(data, 9)


children = []
busy = [truth.native_id()]
sleeper = threading.Thread(target=wait_sleep)
sleeper.daemon = True
sleeper.start()
functions = [
    wait_lock, wait_condition, wait_queue, wait_select, wait_epoll, wait_poll, wait_socket, wait_pipe, wait_child,
    wait_join, burn_in_c,
]
for function in functions:
    thread = threading.Thread(target=function)
    thread.daemon = True
    thread.start()
while len(started) < len(functions) + 1:
    time.sleep(0.001)


def burn():
    total = 0
    while True:
        for number in range(1000):
            total += number


truth.say(busy=busy)
burn()
