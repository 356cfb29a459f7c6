"""Shows what it was started with: prints a line of JSON about itself, computes a moment, ends as the arguments say.

Arguments: seconds of CPU time to burn, then "exit N", "kill N" or "echo" (copies stdin to stdout first).
"""
import json
import os
import signal
import sys
import time


def compute(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def main(seconds, how, number=0):
    terminal = sys.stdin.isatty()
    facts = {
        "pid": os.getpid(),
        "uid": os.getresuid(),
        "gid": os.getresgid(),
        "groups": sorted(os.getgroups()),
        "terminal": terminal,
        "foreground": terminal and os.tcgetpgrp(0) == os.getpgrp(),
        "blocked": sorted(int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "interrupt": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "cwd": os.getcwd(),
    }
    if how == "echo":
        facts["stdin"] = sys.stdin.read()
    print("CHILD " + json.dumps(facts), flush=True)
    print("child's stderr", file=sys.stderr, flush=True)
    compute(float(seconds))
    if how == "kill":
        os.kill(os.getpid(), int(number))
    sys.exit(int(number))


main(*sys.argv[1:])
