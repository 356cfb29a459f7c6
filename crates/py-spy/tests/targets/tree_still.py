"""A family of processes that stand still, each in a function that is named after its role.

The arguments say which there are. When all stand, the first one says who they are and which are no Python:
    READY {"pid": P, "family": [[role, pid, [the pids of those it comes from, the first one first]]], "others": [pids]}
All end when the first one's stdin does.
"""
import json
import os
import subprocess
import sys

# What all but the first process have for stdin: it ends when the first process does.
leash, holder = os.pipe()
# And for stdout.
report, reporter = os.pipe()


def wait():
    os.read(0, 1)


def stand(role, line):
    os.write(1, ("%s %d %s\n" % (role, os.getpid(), line)).encode())
    scope = {"wait": wait}
    exec("def stand_%s():\n    wait()\n" % role, scope)
    scope["stand_" + role]()


def fork(body):
    child = os.fork()
    if child == 0:
        try:
            if first == os.getppid():
                os.dup2(leash, 0)
                os.dup2(reporter, 1)
                for fd in (leash, holder, report, reporter):
                    os.close(fd)
            body()
        finally:
            os._exit(0)
    return child


def start(command):
    return subprocess.Popen(command, stdin=leash, stdout=reporter, close_fds=True).pid


def command(role, line):
    return [sys.executable, os.path.abspath(__file__), "--as", role, line]


def forked(line):
    def child():
        own = "%s %d" % (line, os.getpid())
        fork(lambda: stand("grandchild", own))
        stand("forked", line)
    fork(child)


def spawned(line):
    start(command("spawned", line))


def below(line):
    """Below a shell, which stays."""
    words = " ".join("'%s'" % word for word in command("below", line)[:-1])
    return start(["sh", "-c", words + " \"%s $$\"; true" % line])


def other(line):
    return start(["cat"])


def orphan(line):
    """Its parent has ended."""
    os.waitpid(fork(lambda: fork(lambda: stand("orphan", line))), 0)


# How many of them there are, and whether the process that it returns is no Python.
KINDS = {"forked": (forked, 2), "spawned": (spawned, 1), "below": (below, 1), "other": (other, 0), "orphan": (orphan, 1)}


def main(kinds):
    global first
    first = os.getpid()
    line = str(os.getpid())
    others = [KINDS[kind][0](line) for kind in kinds]
    count = sum(KINDS[kind][1] for kind in kinds)
    lines = os.fdopen(report)
    family = [["root", os.getpid(), []]]
    for _ in range(count):
        words = lines.readline().split()
        family.append([words[0], int(words[1]), [int(word) for word in words[2:]]])
    others = [pid for pid in others if pid is not None]
    print("READY " + json.dumps({"pid": os.getpid(), "family": family, "others": others}))
    sys.stdout.flush()
    scope = {"wait": wait}
    exec("def stand_root():\n    wait()\n", scope)
    scope["stand_root"]()


if __name__ == "__main__":
    if sys.argv[1] == "--as":
        stand(sys.argv[2], sys.argv[3])
    elif "orphan" in sys.argv and os.fork() == 0:
        # Orphans are known by their session.
        os.setsid()
        main(sys.argv[1:])
    elif "orphan" in sys.argv:
        os.wait()
    else:
        main(sys.argv[1:])
