"""The tools that are compared, and the interpreters they look into."""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import time

BENCH = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(BENCH)
CACHE = os.environ.get("PYSPY_TEST_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "py-spy-tests")
OURS = "this py-spy"
PEER = "py-spy 0.4.3"


def pythons():
    rows = subprocess.run([os.path.join(ROOT, "scripts/interpreters")], check=True,
                          capture_output=True, text=True).stdout
    found = {}
    for row in rows.splitlines():
        _, path, version, flavour = row.split("\t")
        if "ft" not in flavour.split(","):
            found.setdefault(tuple(map(int, re.findall(r"\d+", version)[:2])), path)
    return found


def install_peers(found):
    env = os.path.join(CACHE, "bench-venv")
    stamp = os.path.join(env, "peers-installed")
    if not os.path.exists(stamp):
        any_of = (path for version, path in sorted(found.items()) if version >= (3, 11))
        subprocess.run([found.get((3, 13)) or next(any_of), "-m", "venv", "--clear", env],
                       check=True)
        subprocess.run([os.path.join(env, "bin/python"), "-m", "pip", "install", "-q",
                        "py-spy==0.4.3", "austin-dist", "austin-python"], check=True)
        open(stamp, "w").close()
    return env


def install_native(env):
    """What the programs that compute in native code need: numpy, and fast.pyx built. Returns the
    environment for them, or None where it cannot be built."""
    folder = os.path.join(CACHE, "bench-native")
    stamp = os.path.join(folder, "built")
    if not os.path.exists(stamp):
        os.makedirs(folder, exist_ok=True)
        shutil.copy(os.path.join(BENCH, "fast.pyx"), folder)
        python = os.path.join(env, "bin/python")
        for command in ("pip install -q numpy cython setuptools",
                        "Cython.Build.Cythonize -i -q fast.pyx"):
            if subprocess.run([python, "-m"] + command.split(), cwd=folder).returncode != 0:
                return None
        open(stamp, "w").close()
    return dict(os.environ, PYTHONPATH=folder, OPENBLAS_NUM_THREADS="1")


def native_tools(both):
    """The first two that are compared, with --native."""
    return [Tool(tool.name, tool.command + ["--native"], tool.quality) for tool in both]


def starts(command):
    try:
        got = subprocess.run(command + ["--version"], capture_output=True, text=True)
    except OSError as error:
        return False, str(error)
    last = (got.stdout + got.stderr).strip().splitlines() or [""]
    return got.returncode == 0, last[-1]


def austin_command(env):
    """austin 4 needs a newer C library than some systems have; the cache may hold one."""
    plain = [os.path.join(env, "bin/austin")]
    good, said = starts(plain)
    if good:
        return plain, said
    for loader in glob.glob(os.path.join(CACHE, "*/usr/lib/*/ld-linux-x86-64.so.2")):
        command = [loader, "--library-path", os.path.dirname(loader)] + plain
        if starts(command)[0]:
            return command, starts(command)[1] + " (with the C library of the test setup)"
    return None, "does not run here: " + said.replace(CACHE, "~").replace("|", "/")


def pinned(core):
    return lambda: os.sched_setaffinity(0, {core})


class Result:
    """What a run of a tool did. `tried` counts dropped samples too."""

    def __init__(self, said, kept, dropped, cpu, wall, out):
        self.said, self.cpu, self.wall, self.out = said, cpu, wall, out
        self.kept, self.dropped, self.tried = kept, dropped, kept + dropped


class Tool:
    def __init__(self, name, command, quality, folded=None, slow=False):
        self.name, self.command, self.quality = name, command, quality
        self.folded, self.slow = folded or (lambda out: out), slow

    def run(self, pid, rate, seconds, folder, meanwhile=None, prefix=()):
        out = os.path.join(folder, "out")
        if os.path.exists(out):
            os.unlink(out)
        command = list(prefix) + [
            part.format(pid=pid, rate=rate, seconds=seconds, out=out, us=1000000 // rate)
            for part in self.command]
        with tempfile.TemporaryFile("w+") as said:
            began = time.monotonic()
            process = subprocess.Popen(command, stdout=said, stderr=said, preexec_fn=pinned(1))
            if meanwhile:
                meanwhile()
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - began
            process.returncode = status
            said.seek(0)
            text = said.read()
        return Result(text, *self.quality(text), usage.ru_utime + usage.ru_stime, wall, out)


def number(pattern, said, kind=int):
    found = re.findall(pattern, said)
    return kind(found[-1].replace(",", "")) if found else kind(0)


def our_quality(said):
    return number(r"(\d+) samples", said), number(r"(\d+) dropped", said)


def peer_quality(said):
    return number(r"Samples: (\d+)", said), number(r"Errors: (\d+)", said)


def sampling_quality(said):
    tried = number(r"Captured ([\d,]+) samples", said)
    dropped = round(tried * number(r"Error rate: ([\d.]+)", said, float) / 100)
    return tried - dropped, dropped


def austin_quality(said):
    said = re.sub("\x1b\\[[\\d;]*m", "", said)
    tried, dropped = number(r"\d+/(\d+) ", said), number(r"(\d+)/\d+ ", said)
    return tried - dropped, dropped


def tools(found, env, austin):
    """The tools for each version of the target."""
    built = os.environ.get("CARGO_TARGET_DIR") or os.path.join(ROOT, "target")
    ours = os.path.join(built, "release/py-spy")
    theirs = os.path.join(env, "bin/py-spy")
    record = ["record", "-p", "{pid}", "-r", "{rate}", "-d", "{seconds}", "-f", "raw",
              "-o", "{out}"]
    both = [
        Tool(OURS, [ours] + record, our_quality),
        Tool(OURS + " `--nonblocking`", [ours] + record + ["--nonblocking"], our_quality),
        Tool(OURS + " `--blocking`", [ours] + record + ["--blocking"], our_quality),
        Tool("py-spy 0.4.3", [theirs] + record, peer_quality, slow=True),
        Tool("py-spy 0.4.3 `--nonblocking`", [theirs] + record + ["--nonblocking"], peer_quality,
             slow=True),
    ]
    # The second table is there for austin, which knows CPython up to 3.14.
    kinds = {(3, 15): list(both), (3, 13): [both[0], both[3]]}
    if (3, 15) in found:
        attach = [found[3, 15], "-m", "profiling.sampling", "attach", "-r", "{rate}hz",
                  "-d", "{seconds}", "--collapsed", "-o", "{out}"]
        for name, flags in (("", []), (" `--blocking`", ["--blocking"])):
            kinds[3, 15].append(Tool("`profiling.sampling`" + name, attach + flags + ["{pid}"],
                                     sampling_quality))
    if austin:
        def folded(out):
            subprocess.run([os.path.join(env, "bin/mojo2austin"), out, out + ".txt"], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return out + ".txt"
        kinds[3, 13].append(Tool("austin 4", austin + ["-i", "{us}us", "-x", "{seconds}", "-o",
                                                       "{out}", "-p", "{pid}"],
                                 austin_quality, folded))
    return kinds
