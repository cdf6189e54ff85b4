"""The seccomp filter: a list of the system calls that computing needs; every other one is refused."""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass

# name: (number on x86-64, number on aarch64); None where the architecture has no such call.
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    # reading and writing what is open
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "lseek": (8, 62), "pread64": (17, 67), "readv": (19, 65),
    "writev": (20, 66), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "poll": (7, None), "ppoll": (271, 73),
    "select": (23, None), "pselect6": (270, 72),
    # looking at files; Landlock decides which
    "stat": (4, None), "fstat": (5, 80), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291),
    "access": (21, None), "faccessat": (269, 48), "readlink": (89, None), "readlinkat": (267, 78),
    "getdents64": (217, 61), "getcwd": (79, 17), "statfs": (137, 43), "fstatfs": (138, 44), "fadvise64": (221, 223),
    # memory
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216),
    "madvise": (28, 233), "membarrier": (324, 283), "get_mempolicy": (239, 236),
    # threads and their signals
    "futex": (202, 98), "set_robust_list": (273, 99), "set_tid_address": (218, 96), "rseq": (334, 293),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getcpu": (309, 168),
    "sched_getscheduler": (145, 120), "sched_getparam": (143, 121), "arch_prctl": (158, None), "exit": (60, 93),
    "exit_group": (231, 94),
    # clocks
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "setitimer": (38, 103),
    # who and where am I
    "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getresuid": (118, 148), "getresgid": (120, 150),
    "getgroups": (115, 158), "uname": (63, 160), "sysinfo": (99, 179), "getrusage": (98, 165), "getrlimit": (97, 163),
    "getrandom": (318, 278),
}  # fmt: skip
_UNKNOWN = {"clone3": (435, 435), "openat2": (437, 437), "faccessat2": (439, 439)}
"""Answered with ENOSYS, upon which libraries turn to the older call, whose arguments a filter can see."""

_CLONE, _KILL, _TGKILL, _FCNTL, _PRCTL, _OPEN, _OPENAT, _PRLIMIT = range(8)
_GUARDED = ((56, 220), (62, 129), (234, 131), (72, 25), (157, 167), (2, None), (257, 56), (302, 261))

_CLONE_THREAD = 0x10000
_OPEN_TO_WRITE = 0o1 | 0o2 | 0o100 | 0o1000
"""O_WRONLY, O_RDWR, O_CREAT and O_TRUNC."""
_FCNTL_HARMLESS = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: none names a process to be sent signals."""
_PRCTL_HARMLESS = (15, 16, 0x53564D41)
"""PR_SET_NAME, PR_GET_NAME and PR_SET_VMA (names of memory areas)."""

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _ERROR = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER, _ARCHITECTURE = 0, 4


@dataclass(frozen=True)
class _Machine:
    audit: int
    column: int
    seccomp: int


_MACHINES = {"x86_64": _Machine(0xC000003E, 0, 317), "aarch64": _Machine(0xC00000B7, 1, 277)}


def known(machine: str) -> bool:
    """Is there a table for this machine (as `platform.machine()` names it)?"""
    return machine in _MACHINES


def seccomp_number(machine: str) -> int:
    """The number of the call `seccomp`."""
    return _MACHINES[machine].seccomp


def filter_program(machine: str, pid: int) -> bytes:
    """The filter for a process, as an array of `struct sock_filter` (8 bytes each): signals go to itself only."""
    architecture = _MACHINES[machine]
    code = [_op(_LOAD, k=_ARCHITECTURE), _op(_EQUAL, 1, 0, architecture.audit), _op(_RETURN, k=_KILL_PROCESS)]
    code.append(_op(_LOAD, k=_NUMBER))

    def number(pair: tuple[int | None, int | None]) -> int | None:
        return pair[architecture.column]

    for pair in _ALLOWED.values():
        if (found := number(pair)) is not None:
            code += _when(found, [_op(_RETURN, k=_ALLOW)])
    for pair in _UNKNOWN.values():
        if (found := number(pair)) is not None:
            code += _when(found, [_refuse(errno.ENOSYS)])
    guards: dict[int, list[bytes]] = {
        _CLONE: [*_argument(0), _op(_ANY_BIT, 1, 0, _CLONE_THREAD), _refuse(), _op(_RETURN, k=_ALLOW)],
        _KILL: _one_of(0, (pid,)),
        _TGKILL: _one_of(0, (pid,)),
        _FCNTL: _one_of(1, _FCNTL_HARMLESS),
        _PRCTL: _one_of(0, _PRCTL_HARMLESS),
        _OPEN: [*_argument(1), _op(_ANY_BIT, 0, 1, _OPEN_TO_WRITE), _refuse(), _op(_RETURN, k=_ALLOW)],
        _OPENAT: [*_argument(2), _op(_ANY_BIT, 0, 1, _OPEN_TO_WRITE), _refuse(), _op(_RETURN, k=_ALLOW)],
        _PRLIMIT: [*_one_of(0, (0, pid))[:-1], *_null(2)],
    }
    for which, body in guards.items():
        if (found := number(_GUARDED[which])) is not None:
            code += _when(found, body)
    code.append(_refuse())
    return b"".join(code)


def _op(code: int, true: int = 0, false: int = 0, k: int = 0) -> bytes:
    return struct.pack("<HBBI", code, true, false, k)


def _refuse(number: int = errno.EPERM) -> bytes:
    return _op(_RETURN, k=_ERROR | number)


def _when(number: int, body: list[bytes]) -> list[bytes]:
    return [_op(_EQUAL, 0, len(body), number), *body]


def _argument(position: int, *, high: bool = False) -> list[bytes]:
    """Load one half of an argument (64 bits, little-endian). The low half holds all of an int."""
    return [_op(_LOAD, k=16 + 8 * position + 4 * high)]


def _one_of(position: int, values: tuple[int, ...]) -> list[bytes]:
    """Allow the call where an int argument is one of `values`."""
    code = _argument(position)
    for index, value in enumerate(values):
        code.append(_op(_EQUAL, len(values) - index, 0, value))
    return [*code, _refuse(), _op(_RETURN, k=_ALLOW)]


def _null(position: int) -> list[bytes]:
    """Allow the call where a pointer is null."""
    return [
        *_argument(position),
        _op(_EQUAL, 0, 2, 0),
        *_argument(position, high=True),
        _op(_EQUAL, 1, 0, 0),
        _refuse(),
        _op(_RETURN, k=_ALLOW),
    ]
