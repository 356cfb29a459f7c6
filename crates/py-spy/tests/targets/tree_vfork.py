"""Starts programs that have to be looked for in very many folders, so that a child runs long in its parent's memory.

Between vfork and exec a child has its parent's memory, and so seems to stand where its parent does. Here it tries to
execute the program in thousands of folders that are not there. Starts some at every line on stdin, then says DONE.
"""
import os
import subprocess
import sys

COUNT = int(sys.argv[1])
os.environ["PATH"] = ":".join("/nowhere/%04d" % number for number in range(8000)) + ":" + os.environ["PATH"]


def start_programs():
    for _ in range(COUNT):
        subprocess.call(["true"])
        if hasattr(os, "posix_spawnp"):
            os.waitpid(os.posix_spawnp("true", ["true"], os.environ), 0)


print("READY")
sys.stdout.flush()
while sys.stdin.readline():
    start_programs()
    print("DONE")
    sys.stdout.flush()
