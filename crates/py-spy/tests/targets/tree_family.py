"""A family of processes, of all the ways in which Python starts one.

Each says on stdout which it is and where it comes from, and then computes in a function of its own:
    I <role> <pid> <the pids of those it comes from, the first one first>
so that a function seen in a process says whether it belongs there.

The arguments say which kinds of children the first process starts, one after the other. It waits for a line on
stdin before that, and says READY when all have ended.
"""
import os
import subprocess
import sys
import time

CPU_SECONDS = 0.25


def say(role, line):
    text = "I %s %d %s\n" % (role, os.getpid(), line)
    os.write(1, text.encode())


def spend():
    """Computes until this process has used some CPU time more."""
    until = sum(os.times()[:2]) + CPU_SECONDS
    while sum(os.times()[:2]) < until:
        sum(range(1000))


def work(role, line):
    """In a function that is named after the role."""
    say(role, line)
    scope = {"spend": spend}
    exec("def work_%s():\n    spend()\n" % role, scope)
    scope["work_" + role]()


def below(line=None):
    """What children pass on of where they come from."""
    return " ".join(filter(None, [line, str(os.getpid())]))


def fork(body):
    child = os.fork()
    if child == 0:
        try:
            body()
        finally:
            os._exit(0)
    return child


def command(role, line):
    return [sys.executable, os.path.abspath(__file__), "--as", role, line]


def quoted(words):
    return " ".join("'%s'" % word for word in words)


def forked():
    os.waitpid(fork(lambda: work("forked", LINE)), 0)


def grandchild():
    def child():
        line = below(LINE)
        os.waitpid(fork(lambda: work("grandchild", line)), 0)
    os.waitpid(fork(child), 0)


def spawned():
    """With vfork, where Python uses it."""
    subprocess.call(command("spawned", LINE), close_fds=True)


def posix_spawned():
    os.waitpid(os.posix_spawn(sys.executable, command("posix_spawned", LINE), os.environ), 0)


def shell_exec():
    """The shell becomes a Python."""
    subprocess.call(["sh", "-c", "sleep 0.1; exec " + quoted(command("shell_exec", LINE))])


def shell_child():
    """The shell stays between the two."""
    subprocess.call(["sh", "-c", quoted(command("shell_child", LINE)[:-1]) + " \"%s $$\"; true" % LINE])


def until_ended(body):
    """Waits for a process that is not our child any more: it holds a pipe open."""
    ours, theirs = os.pipe()
    body(ours)
    os.close(theirs)
    os.read(ours, 1)
    os.close(ours)


def orphan():
    """Its parent ends at once."""
    def start(ours):
        def parent():
            os.close(ours)
            fork(lambda: work("orphan", LINE))
        os.waitpid(fork(parent), 0)
    until_ended(start)


def daemon():
    """In a session that nobody leads any more."""
    def start(ours):
        def parent():
            os.close(ours)
            os.setsid()
            fork(lambda: work("daemon", LINE))
        os.waitpid(fork(parent), 0)
    until_ended(start)


def session_leader():
    """In a session that it leads itself, its parent gone."""
    def start(ours):
        def child():
            os.close(ours)
            os.setsid()
            while os.getppid() == parent:
                time.sleep(0.001)
            work("session_leader", LINE)

        def leaver():
            fork(child)
        parent = os.fork()
        if parent == 0:
            parent = os.getpid()
            leaver()
            os._exit(0)
        os.waitpid(parent, 0)
    until_ended(start)


def worker(role, line):
    work(role, line)


def multi(method):
    def start():
        import multiprocessing
        context = multiprocessing.get_context(method)
        process = context.Process(target=worker, args=("multi_" + method, LINE))
        process.start()
        process.join()
    return start


def pool():
    import multiprocessing
    workers = multiprocessing.Pool(2)
    workers.map(pooled, [LINE, LINE], 1)
    workers.terminate()
    workers.join()


def pooled(line):
    work("pooled", line)


KINDS = {
    "forked": forked,
    "grandchild": grandchild,
    "spawned": spawned,
    "posix_spawned": posix_spawned,
    "shell_exec": shell_exec,
    "shell_child": shell_child,
    "orphan": orphan,
    "daemon": daemon,
    "session_leader": session_leader,
    "multi_fork": multi("fork"),
    "multi_spawn": multi("spawn"),
    "multi_forkserver": multi("forkserver"),
    "pool": pool,
}


def main(kinds):
    global LINE
    LINE = below()
    sys.stdin.readline()
    for kind in kinds:
        KINDS[kind]()
    work("root", "")
    print("READY")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    if sys.argv[1] == "--as":
        work(sys.argv[2], sys.argv[3])
    else:
        main(sys.argv[1:])
