"""Code that a program generates, between Python frames. argv: the library of the tests, and what to do: called, or one
of named, plain and lost.

called: C calls Python calls C. The others generate code: it has a name in /tmp/perf-PID.map, or none, or nothing can
tell how its frame is left; and "shared", if its memory is to look like a file. In each case inner() says READY and waits for a line."""
import ctypes
import mmap
import os
import struct
import sys

from native_stand import inner, kit_call

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)


def called():
    if sys.argv[3:] == ["trampolines"]:
        assert sys.is_stack_trampoline_active()
    call = kit_call(sys.argv[1])
    sorted([1], key=lambda _: call(inner))


# mov rax, rdi; mov edi, esi; call rax
CALL = b"\x48\x89\xf8\x89\xf7\xff\xd0"


def named():
    code, start = generated(b"\x53" + CALL + b"\x5b\xc3")
    with open("/tmp/perf-%d.map" % os.getpid(), "w") as file:
        file.write("%x 40 generated_here\n" % start)
    run(start)


def plain():
    # push rbx; ...; pop rbx; ret
    code, start = generated(b"\x53" + CALL + b"\x5b\xc3")
    run(start)


def lost():
    # mov [rip + ...], rsp; sub rsp, 8; ...; mov rsp, [rip + ...]; ret
    store = b"\x48\x89\x25" + struct.pack("<i", 1024 - 7)
    until_load = len(store) + 4 + len(CALL) + 7
    load = b"\x48\x8b\x25" + struct.pack("<i", 1024 - until_load)
    code, start = generated(store + b"\x48\x83\xec\x08" + CALL + load + b"\xc3")
    run(start)


def generated(code):
    """Where the code is, and what keeps it there."""
    flags = mmap.MAP_ANONYMOUS | (mmap.MAP_SHARED if "shared" in sys.argv else mmap.MAP_PRIVATE)
    memory = mmap.mmap(-1, 4096, flags, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


def run(start):
    function = ctypes.CFUNCTYPE(ctypes.c_int, CALLBACK, ctypes.c_int)(start)
    function(CALLBACK(inner), 3)


def outer():
    globals()[sys.argv[2]]()


outer()
