"""Takes rights away from this process: memory, time and files by rlimits, the rest by seccomp.

After `lock` there is no opening of files, no socket, no other program, no look into other
processes; what is open stays usable. Linux on x86-64 and 64-bit ARM; elsewhere rlimits alone.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 22, 38
SECCOMP_MODE_FILTER = 2
RETURN_ALLOW, RETURN_KILL, RETURN_ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
EPERM = 1
X32 = 0x40000000
FILES = 32

# linux/audit.h, and the numbers of system calls there; names in comments where they differ.
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
DENIED = {
    "x86_64": {
        "open": 2, "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50,
        "socketpair": 53, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "truncate": 76,
        "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87,
        "symlink": 88, "chmod": 90, "chown": 92, "ptrace": 101, "chroot": 161, "mount": 165,
        "umount2": 166, "init_module": 175, "tkill": 200, "add_key": 248, "request_key": 249,
        "keyctl": 250, "openat": 257, "mkdirat": 258, "mknodat": 259, "unlinkat": 263,
        "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268, "unshare": 272,
        "accept4": 288, "perf_event_open": 298, "open_by_handle_at": 304, "setns": 308,
        "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313,
        "renameat2": 316, "bpf": 321, "execveat": 322, "userfaultfd": 323,
    },
    "aarch64": {
        "mknodat": 33, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37,
        "renameat": 38, "umount2": 39, "mount": 40, "truncate": 45, "chroot": 51,
        "fchmodat": 53, "openat": 56, "unshare": 97, "init_module": 105, "ptrace": 117,
        "kill": 129, "tkill": 130, "socket": 198, "socketpair": 199, "bind": 200, "listen": 201,
        "accept": 202, "connect": 203, "add_key": 217, "request_key": 218, "keyctl": 219,
        "execve": 221, "perf_event_open": 241, "accept4": 242, "open_by_handle_at": 265,
        "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "finit_module": 273,
        "renameat2": 276, "bpf": 280, "execveat": 281, "userfaultfd": 282,
    },
}  # fmt: skip
# The same everywhere: pidfd_send_signal, io_uring_setup, pidfd_open, openat2, pidfd_getfd.
DENIED_EVERYWHERE = (424, 425, 434, 437, 438)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def limit(memory: int, seconds: int, written: int) -> None:
    """Before anything is read. A process that goes beyond dies, alone."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def lock() -> bool:
    """For good, for every thread to come. False where the kernel has nothing like it."""
    machine = platform.machine()
    if os.uname().sysname != "Linux" or machine not in ARCHITECTURES:
        return False
    program = _program(machine)
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    found = _Program(len(program), code)
    return bool(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(found), 0, 0) == 0)


def _program(machine: str) -> list[tuple[int, int, int, int]]:
    """Classic BPF over `struct seccomp_data`: number at 0, architecture at 4 (seccomp(2))."""
    denied = sorted({*DENIED[machine].values(), *DENIED_EVERYWHERE})
    steps = [
        (LOAD, 0, 0, 4),
        (JUMP_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, RETURN_KILL),
        (LOAD, 0, 0, 0),
        (JUMP_AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, RETURN_KILL),
    ]
    count = len(denied)
    steps += [(JUMP_EQUAL, count - place, 0, number) for place, number in enumerate(denied)]
    return [*steps, (RETURN, 0, 0, RETURN_ALLOW), (RETURN, 0, 0, RETURN_ERRNO | EPERM)]
