"""The kernel's own fences, called directly: Landlock, seccomp, namespaces, capabilities. See their manual pages."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable
from pathlib import Path

from deltanas.sandbox.syscalls import device_filter_program, filter_program, known, seccomp_number

_LIBC = ctypes.CDLL(None, use_errno=True)

# prctl(2)
PDEATHSIG, DUMPABLE, SUBREAPER, NO_NEW_PRIVS = 1, 4, 36, 38
# Numbers that all architectures share.
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_CAPABILITY_VERSION_3 = 0x20080522
_NEWUSER, _NEWNET, _NEWIPC, _NEWNS = 0x10000000, 0x40000000, 0x08000000, 0x00020000

# mount(2)
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _NOATIME, _NODIRATIME = 1, 2, 4, 8, 32, 1024, 2048
_BIND, _REC, _PRIVATE = 4096, 16384, 1 << 18
_KEPT = _NOSUID | _NODEV | _NOEXEC | _NOATIME | _NODIRATIME
"""What a mount in a user namespace must keep of the mount that it shows; `statvfs` gives the same bits."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = 1, 2, 4, 8, 1 << 14, 1 << 15
_FILES_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK = 0b11
"""TCP bind and connect, from ABI 4."""
_SCOPES = 0b11
"""Abstract unix sockets and signals, from ABI 6."""


def prctl(option: int, value: int = 0) -> None:
    _check(_LIBC.prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3), f"prctl {option}")


def landlock_abi() -> int:
    """The version of Landlock that the kernel offers, 0 for none."""
    return max(0, int(_LIBC.syscall(ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(1))))


def landlock_ruleset(readable: Iterable[Path], descriptor: int) -> None:
    """Make a ruleset, as that descriptor: only `readable` can be read, nothing written, run or connected to."""
    _ruleset(readable, descriptor, ~0, _READ_FILE | _READ_DIR)


def landlock_writing_ruleset(writable: Iterable[Path], descriptor: int) -> None:
    """The same, but that all can be read and run: only `writable` can be written, and devices there controlled."""
    _ruleset(writable, descriptor, ~(_EXECUTE | _READ_FILE | _READ_DIR), ~0)


def _ruleset(paths: Iterable[Path], descriptor: int, handled: int, allowed: int) -> None:
    abi = landlock_abi()
    files = (_FILES_BY_ABI[min(abi, max(_FILES_BY_ABI))] if abi else 0) & handled
    attributes = struct.pack("<QQQ", files, _NETWORK, _SCOPES)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = _syscall(
        _LANDLOCK_CREATE, ctypes.c_char_p(attributes), ctypes.c_size_t(len(attributes)), ctypes.c_uint(0)
    )
    for path in paths:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # what isn't there, or not for us, can't be read anyway
        access = (
            files & allowed & (~0 if path.is_dir() else _EXECUTE | _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV)
        )
        rule = struct.pack("<Qi", access, place)
        _syscall(_LANDLOCK_ADD, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.c_char_p(rule), ctypes.c_uint(0))
        os.close(place)
    os.dup2(ruleset, descriptor, inheritable=False)
    os.close(ruleset)


def landlock_restrict(ruleset: int) -> None:
    _syscall(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0))


def seccomp(*, device: bool = False) -> None:
    """Refuse this process every system call that is not on the list, or with `device` those on another list.

    Needs NO_NEW_PRIVS. Raises OSError.
    """
    machine = platform.machine()
    if not known(machine):
        raise OSError(f"no table of system calls for {machine}")
    code = (device_filter_program if device else filter_program)(machine, os.getpid())
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("<HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
    _syscall(seccomp_number(machine), ctypes.c_uint(1), ctypes.c_uint(0), ctypes.c_char_p(program))


def drop_capabilities() -> None:
    """Keep no capability, whatever the user id; they would count inside a user namespace."""
    header = struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)
    _check(_LIBC.capset(ctypes.c_char_p(header), ctypes.c_char_p(bytes(24))), "capset")


def drop_user(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def leave_namespaces() -> None:
    """Enter an empty network of our own, an IPC and a mount namespace; an ordinary user needs a user namespace for it.

    Only for a process of one thread. Raises OSError where the machine does not allow it.
    """
    uid, gid = os.getuid(), os.getgid()
    privileged = os.geteuid() == 0
    _check(_LIBC.unshare(ctypes.c_int(_NEWNET | _NEWIPC | _NEWNS | (0 if privileged else _NEWUSER))), "unshare")
    if not privileged:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def lay_memory_over(place: Path, size: int) -> None:
    """An empty folder in memory over the folder `place`, of `size` bytes, that ends with this mount namespace.

    Only in a mount namespace of our own (`leave_namespaces`). Raises OSError.
    """
    _mount(None, Path("/"), _REC | _PRIVATE)
    _mount("tmpfs", place, _NOSUID | _NODEV | _NOEXEC, "tmpfs", f"mode=1777,size={size}".encode())


def make_view(readable: Iterable[Path], place: Path) -> None:
    """Lay a small read-only tree over the folder `place`: nothing but `readable`, each under its own path.

    Only in a mount namespace of our own (`leave_namespaces`): no other process sees it. Raises OSError.
    """
    _mount(None, Path("/"), _REC | _PRIVATE)
    _mount("tmpfs", place, _NOSUID | _NODEV, "tmpfs", b"mode=755")
    folders: set[Path] = set()
    for path in readable:
        target = place / path.relative_to("/")
        try:
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
            _mount(str(path), target, _BIND | _REC)
        except OSError:
            continue  # as for Landlock
        _close_to_writing(target)
        folders.update(path.parents)
    for folder in folders:  # importers that have listed a folder already need not, and must not, list it again
        os.utime(place / folder.relative_to("/"), ns=(0, folder.stat().st_mtime_ns))
    _close_to_writing(place)


def _close_to_writing(place: Path) -> None:
    _mount(None, place, _REMOUNT | _BIND | _RDONLY | (os.statvfs(place).f_flag & _KEPT))


def _mount(source: str | None, target: Path, flags: int, kind: str | None = None, options: bytes | None = None) -> None:
    names = [name and os.fsencode(name) for name in (source, str(target), kind)]
    _check(_LIBC.mount(*names, ctypes.c_ulong(flags), options), f"mount on {target}")


def _syscall(number: int, *arguments: object) -> int:
    return _check(_LIBC.syscall(ctypes.c_long(number), *arguments), f"system call {number}")


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
