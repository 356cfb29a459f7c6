# -*- coding: utf-8 -*-
"""Stands still with control characters wherever a program can put them."""
import json
import os
import sys
import threading

RED = "\x1b[31m"
TITLE = "\x1b]0;title\x07"

source = '''
def stand(argument, **rest):
    text = RED + TITLE + "\\r\\n\\x9b31m\\x85"
    data = b"\\x1b[31m"
    mapping = {text: [text]}
    instance = Named()
    error = ValueError(text)
    kind = Named
    function = odd
    space = rest
    tell()
'''


def odd():
    pass


odd.__name__ = "f" + RED
if hasattr(odd, "__qualname__"):
    odd.__qualname__ = "f" + RED
Named = type("N" + RED, (object,), {"__module__": "m" + RED})


def tell():
    sys.stdout.write("READY " + json.dumps({"pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    sys.stdin.readline()


threading.current_thread().name = "main" + TITLE
space = dict(RED=RED, TITLE=TITLE, Named=Named, odd=odd, tell=tell)
exec(compile(source, "file" + RED + ".py", "exec"), space)
rest = {"key" + RED: RED}
space["stand"](RED, **rest)
