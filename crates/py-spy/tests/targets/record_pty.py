"""Runs a program on a terminal of its own; what it prints is copied to stdout, stdin is what is typed.

Ends with the program's status.
"""
import os
import pty
import sys

# Wide enough for a progress line. The terminal's size is taken from here by programs that ask the environment.
os.environ["COLUMNS"] = "120"
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
