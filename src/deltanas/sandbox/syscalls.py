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

# For a process that drives a GPU: its driver's library makes many calls, so that these are refused and others allowed.
_DENIED: dict[str, tuple[int | None, int | None]] = {
    # other processes, other programs
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "setpriority": (141, 140), "setsid": (112, 157),
    "setpgid": (109, 154), "sched_setscheduler": (144, 119), "sched_setattr": (314, 274),
    # networks and what is shared
    "socket": (41, 198), "socketpair": (53, 199), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180),
    # what files are, besides what is in them; Landlock holds the rest
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None),
    "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None),
    "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5), "lsetxattr": (189, 6),
    "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "mknod": (133, None),
    "mknodat": (259, 33), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    # the machine
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219),
    "seccomp": (317, 277), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "acct": (163, 89), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "personality": (135, 92), "syslog": (103, 116), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "vhangup": (153, 58), "iopl": (172, None), "ioperm": (173, None), "memfd_secret": (447, 447),
}  # fmt: skip
_FIRST_X32 = 0x40000000
"""From here on x86-64 takes the numbers of another ABI, which the list does not name."""

_CLONE, _KILL, _TGKILL, _FCNTL, _PRCTL, _OPEN, _OPENAT, _PRLIMIT = range(8)
_GUARDED = ((56, 220), (62, 129), (234, 131), (72, 25), (157, 167), (2, None), (257, 56), (302, 261))

_CLONE_THREAD = 0x10000
_OPEN_TO_WRITE = 0o1 | 0o2 | 0o100 | 0o1000
"""O_WRONLY, O_RDWR, O_CREAT and O_TRUNC."""
_FCNTL_HARMLESS = (0, 1, 2, 3, 4, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: none names a process to be sent signals."""
_PRCTL_HARMLESS = (15, 16, 0x53564D41)
"""PR_SET_NAME, PR_GET_NAME and PR_SET_VMA (names of memory areas)."""

_FCNTL_OWNERS = (8, 15)
"""F_SETOWN and F_SETOWN_EX: who is sent signals."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
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
    allowed, refused = [_op(_RETURN, k=_ALLOW)], [_refuse(errno.ENOSYS)]
    code = [line for pair in _ALLOWED.values() for line in _for(machine, pair, allowed)]
    code += [line for pair in _UNKNOWN.values() for line in _for(machine, pair, refused)]
    guards = _guards(pid) | {
        _FCNTL: _one_of(1, _FCNTL_HARMLESS),
        _OPEN: [*_argument(1), _op(_ANY_BIT, 0, 1, _OPEN_TO_WRITE), _refuse(), _op(_RETURN, k=_ALLOW)],
        _OPENAT: [*_argument(2), _op(_ANY_BIT, 0, 1, _OPEN_TO_WRITE), _refuse(), _op(_RETURN, k=_ALLOW)],
    }
    code += [line for which, body in guards.items() for line in _for(machine, _GUARDED[which], body)]
    return b"".join([*_head(machine), *code, _refuse()])


def device_filter_program(machine: str, pid: int) -> bytes:
    """The same for a process that drives a GPU: what is not known to harm is allowed."""
    code = [_op(_AT_LEAST, 0, 1, _FIRST_X32), _refuse()]
    code += [line for pair in _DENIED.values() for line in _for(machine, pair, [_refuse()])]
    code += _for(machine, _UNKNOWN["clone3"], [_refuse(errno.ENOSYS)])
    guards = _guards(pid) | {_FCNTL: [*_one_of(1, _FCNTL_OWNERS)[:-2], _op(_RETURN, k=_ALLOW), _refuse()]}
    code += [line for which, body in guards.items() for line in _for(machine, _GUARDED[which], body)]
    return b"".join([*_head(machine), *code, _op(_RETURN, k=_ALLOW)])


def _head(machine: str) -> list[bytes]:
    """Calls of another architecture end the process."""
    audit = _MACHINES[machine].audit
    kill = _op(_RETURN, k=_KILL_PROCESS)
    return [_op(_LOAD, k=_ARCHITECTURE), _op(_EQUAL, 1, 0, audit), kill, _op(_LOAD, k=_NUMBER)]


def _for(machine: str, pair: tuple[int | None, int | None], body: list[bytes]) -> list[bytes]:
    number = pair[_MACHINES[machine].column]
    return [] if number is None else _when(number, body)


def _guards(pid: int) -> dict[int, list[bytes]]:
    return {
        _CLONE: [*_argument(0), _op(_ANY_BIT, 1, 0, _CLONE_THREAD), _refuse(), _op(_RETURN, k=_ALLOW)],
        _KILL: _one_of(0, (pid,)),
        _TGKILL: _one_of(0, (pid,)),
        _PRCTL: _one_of(0, _PRCTL_HARMLESS),
        _PRLIMIT: [*_one_of(0, (0, pid))[:-1], *_null(2)],
    }


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
