"""For tests/embed's host-app: threads made by C code, and a subinterpreter, all standing still."""
import os
import threading

import embed
import truth

SOURCE = """
import os, embed
def sub_leaf():
    return os.write(%d, b"x") and embed.sleep(1000)
def sub_outer():
    return sub_leaf()
sub_outer()
"""


def in_c_thread():
    return truth.park()


def main():
    truth.wait_parked(lambda: embed.start_thread(lambda: truth.stay(in_c_thread, 0), "from-c"))
    truth.start(in_c_thread, "from threading", warm=0)
    reader, writer = os.pipe()
    embed.start_interpreter(SOURCE % writer)
    os.read(reader, 1)
    truth.serve()


main()
