"""The seccomp filter, run by a small interpreter of BPF, so that both architectures are tested on either."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from deltanas.sandbox.syscalls import device_filter_program, filter_program

AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PID = 4321
ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE, UNKNOWN = 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
CLONE_THREAD, SIGCHLD = 0x10000, 17
# name: (x86-64, aarch64), as in the kernel's headers
NUMBERS = {
    "read": (0, 63), "open": (2, None), "openat": (257, 56), "mmap": (9, 222), "clone": (56, 220), "fork": (57, None),
    "execve": (59, 221), "kill": (62, 129), "tgkill": (234, 131), "fcntl": (72, 25), "prctl": (157, 167),
    "ptrace": (101, 117), "socket": (41, 198), "prlimit64": (302, 261), "clone3": (435, 435), "setuid": (105, 146),
    "bpf": (321, 280), "io_uring_setup": (425, 425), "unlinkat": (263, 35), "fchmodat": (268, 53), "mount": (165, 40),
    "ioctl": (16, 29),
}  # fmt: skip


def decide(
    machine: str,
    name: str,
    *arguments: int,
    audit: int | None = None,
    shift: int = 0,
    program: Callable[[str, int], bytes] = filter_program,
) -> int | None:
    """What the filter answers; None where the architecture has no such call."""
    number = NUMBERS[name][0 if machine == "x86_64" else 1]
    if number is None:
        return None
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number + shift, audit or AUDIT[machine], 0, *padded)
    code = list(struct.iter_unpack("<HBBI", program(machine, PID)))
    place = held = 0
    while True:
        operation, true, false, k = code[place]
        place += 1
        match operation:
            case 0x20:
                (held,) = struct.unpack_from("<I", data, k)
            case 0x15:
                place += true if held == k else false
            case 0x35:
                place += true if held >= k else false
            case 0x45:
                place += true if held & k else false
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(f"operation {operation:#x}")


@pytest.mark.parametrize("machine", AUDIT)
@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("read", (), ALLOW),
        ("mmap", (), ALLOW),
        ("open", (0, 0o2000000), ALLOW),
        ("open", (0, 0o1), REFUSE),
        ("open", (0, 0o100), REFUSE),
        ("openat", (0, 0, 0o2000000), ALLOW),
        ("openat", (0, 0, 0o2), REFUSE),
        ("openat", (0, 0, 0o1000), REFUSE),
        ("openat", (0, 0, 0o20200002), REFUSE),
        ("clone", (0x3D0F00,), ALLOW),
        ("clone", (SIGCHLD,), REFUSE),
        ("clone", (0x3D0F00 & ~CLONE_THREAD,), REFUSE),
        ("clone3", (), UNKNOWN),
        ("fork", (), REFUSE),
        ("execve", (), REFUSE),
        ("kill", (PID, 9), ALLOW),
        ("kill", (PID + 1, 9), REFUSE),
        ("kill", (0xFFFFFFFF, 9), REFUSE),
        ("kill", (0, 9), REFUSE),
        ("tgkill", (PID, PID, 6), ALLOW),
        ("tgkill", (1, 1, 6), REFUSE),
        ("fcntl", (1, 3), ALLOW),
        ("fcntl", (1, 1030), ALLOW),
        ("fcntl", (1, 8), REFUSE),
        ("fcntl", (1, 10), REFUSE),
        ("prctl", (15,), ALLOW),
        ("prctl", (1, 0), REFUSE),
        ("prctl", (4, 1), REFUSE),
        ("prlimit64", (0, 9, 0), ALLOW),
        ("prlimit64", (PID, 9, 0), ALLOW),
        ("prlimit64", (0, 9, 4096), REFUSE),
        ("prlimit64", (0, 9, 1 << 32), REFUSE),
        ("prlimit64", (1, 9, 0), REFUSE),
        *((name, (), REFUSE) for name in ("ptrace", "socket", "setuid", "bpf", "io_uring_setup", "unlinkat", "mount")),
    ],
)
def test_decisions(machine: str, name: str, arguments: tuple[int, ...], answer: int) -> None:
    assert decide(machine, name, *arguments) in {answer, None}


@pytest.mark.parametrize("machine", AUDIT)
@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("read", (), ALLOW),
        ("ioctl", (), ALLOW),
        ("open", (0, 0o2), ALLOW),
        ("openat", (0, 0, 0o2), ALLOW),
        ("clone", (0x3D0F00,), ALLOW),
        ("clone", (SIGCHLD,), REFUSE),
        ("clone3", (), UNKNOWN),
        ("kill", (PID, 9), ALLOW),
        ("kill", (0xFFFFFFFF, 9), REFUSE),
        ("tgkill", (1, 1, 6), REFUSE),
        ("fcntl", (1, 1033), ALLOW),
        ("fcntl", (1, 8), REFUSE),
        ("fcntl", (1, 15), REFUSE),
        ("prctl", (15,), ALLOW),
        ("prctl", (1, 0), REFUSE),
        ("prlimit64", (0, 9, 0), ALLOW),
        ("prlimit64", (0, 9, 4096), REFUSE),
        *((name, (), REFUSE) for name in ("fork", "execve", "ptrace", "socket", "bpf", "io_uring_setup", "mount")),
    ],
)
def test_decisions_where_a_gpu_is_driven(machine: str, name: str, arguments: tuple[int, ...], answer: int) -> None:
    assert decide(machine, name, *arguments, program=device_filter_program) in {answer, None}


@pytest.mark.parametrize("program", [filter_program, device_filter_program])
@pytest.mark.parametrize("machine", AUDIT)
def test_another_architecture_is_killed(machine: str, program: Callable[[str, int], bytes]) -> None:
    assert decide(machine, "read", audit=0x40000003, program=program) == KILL


@pytest.mark.parametrize("program", [filter_program, device_filter_program])
def test_the_x32_numbers_are_refused(program: Callable[[str, int], bytes]) -> None:
    assert decide("x86_64", "read", shift=0x40000000, program=program) == REFUSE


@pytest.mark.parametrize("program", [filter_program, device_filter_program])
@pytest.mark.parametrize("machine", AUDIT)
def test_a_filter_fits_the_kernels_limit(machine: str, program: Callable[[str, int], bytes]) -> None:
    assert len(program(machine, PID)) // 8 < 4096


def test_the_tables_agree_with_the_kernels_headers() -> None:
    from deltanas.sandbox.syscalls import _ALLOWED, _DENIED

    headers = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    if not headers.exists():
        pytest.skip("needs the kernel's headers (Debian's linux-libc-dev)")
    lines = [line.split() for line in headers.read_text().splitlines() if line.startswith("#define __NR_")]
    numbers = {name.removeprefix("__NR_"): int(number) for _, name, number in lines}
    for table in (_ALLOWED, _DENIED):
        assert {name: pair[0] for name, pair in table.items() if name in numbers} == {
            name: numbers[name] for name in table if name in numbers
        }
    assert set(_ALLOWED) <= set(numbers)
