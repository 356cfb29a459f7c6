"""A program that is stuck: two transfers wait for each other's account, and others for what never comes.

Start it, and ask what it waits for:

    python3 examples/stuck.py &
    py-spy dump -p $!
"""
import queue
import socket
import threading


class Account:
    def __init__(self, cents):
        self.cents = cents
        self.lock = threading.RLock()


def transfer(source, target, cents, both):
    with source.lock:
        both.wait()  # each has its first lock now, and will not get the other's
        with target.lock:
            source.cents -= cents
            target.cents += cents


def worker(jobs):
    while True:
        jobs.get()()


def listen(server):
    while True:
        server.accept()[0].close()


def main():
    savings, current = Account(100), Account(200)
    both = threading.Barrier(2)
    server = socket.create_server(("127.0.0.1", 0))
    threads = [
        threading.Thread(target=transfer, args=(savings, current, 5, both), name="there"),
        threading.Thread(target=transfer, args=(current, savings, 7, both), name="back"),
        threading.Thread(target=worker, args=(queue.Queue(),), name="worker", daemon=True),
        threading.Thread(target=listen, args=(server,), name="server", daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
