"""Three subinterpreters (3.8 and later), each with a thread that stands in it."""
import os

import truth

try:
    import _interpreters as interpreters

    execute = interpreters.exec
except ImportError:
    import _xxsubinterpreters as interpreters

    execute = interpreters.run_string

SOURCE = """
import os, time
def leaf_%d():
    return os.write(%d, b"x") and time.sleep(1000)
def outer():
    return leaf_%d()
outer()
"""


def main():
    import threading

    truth.start(truth.park, "waits", warm=0)
    reader, writer = os.pipe()
    for number in range(3):
        made = interpreters.create()
        run = lambda: execute(made, SOURCE % (number, writer, number))
        threading.Thread(target=run, name="runs %d" % number).start()
        os.read(reader, 1)
    truth.serve()


main()
