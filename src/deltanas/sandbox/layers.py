"""The layers around a candidate, put on between the fork and its first line. What each stops: docs/security.md."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import resource
import signal
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deltanas.sandbox import kernel
from deltanas.train.packages import NEEDED, OFFERED

Layer = Literal["view", "user", "namespaces", "landlock", "seccomp"]
Tier = Literal["A", "B", "C"]

_FIRST_UID = 61184
"""The first of the user ids that systemd keeps for services that come and go."""
_THREADS = 128
_FILES = 64
_VIEW = Path("/proc/fs")
"""Where the view is laid: a folder that every Linux has, in which nothing lies that a candidate may read."""
_SYSTEM = ("/dev/null", "/dev/zero", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu")


@dataclass(frozen=True)
class Bounds:
    """cpu: seconds of CPU time. memory: bytes of address space on top of what is there at the fork."""

    cpu: int
    memory: int


def tier_of(layers: list[Layer], holes: list[str]) -> Tier:
    """The sandbox's strength. holes: the probes that got through, out of "write", "read", "socket" and "fork"."""
    held, open_ = set(layers), set(holes)
    if open_ - {"read"} or not held & {"landlock", "seccomp"}:
        return "C"
    whole = held & {"user", "namespaces"} and held & {"view", "landlock"} and "seccomp" in held
    return "A" if whole and not open_ else "B"


def readable() -> Iterator[Path]:
    """What a candidate may read: the standard library without its site-packages, and a few packages by name."""
    for name in ("stdlib", "platstdlib"):
        folder = Path(sysconfig.get_path(name))
        yield from (entry for entry in folder.iterdir() if entry.name not in {"site-packages", "dist-packages"})
    for package in (*OFFERED, *NEEDED):
        spec = importlib.util.find_spec(package)
        if spec is not None:
            places = spec.submodule_search_locations or [spec.origin or ""]
            yield from (Path(place) for place in places if place)
    yield from map(Path, _SYSTEM)


class Layers:
    """The layers that hold on this machine. Made once in the server, while it has one thread; put on in each child."""

    ruleset = 63
    """The descriptor of the Landlock ruleset, above those that a child takes over."""

    def __init__(self) -> None:
        landlock = kernel.landlock_abi() > 0
        paths = list(readable())
        if landlock:
            kernel.landlock_ruleset(paths, self.ruleset)
        self.wanted: list[Layer] = ["user"] if os.geteuid() == 0 else []
        with contextlib.suppress(OSError):  # not every machine allows it; the tier says what is left
            kernel.leave_namespaces()
            self.wanted.append("namespaces")
            kernel.make_view(paths, _VIEW)
            self.wanted.insert(0, "view")  # while the child may still change its root
        self.wanted += ["landlock", "seccomp"] if landlock else ["seccomp"]

    def put_on(self, bounds: Bounds, slot: int, *, strict: bool) -> list[Layer]:
        """Put the layers on this process, which can never take them off; those that hold.

        Raises OSError if one fails and `strict`, so that no candidate starts with less than the self-test saw.
        """
        held: list[Layer] = []
        self._limit(bounds)
        for layer in self.wanted:
            try:
                self._put_on(layer, slot)
                held.append(layer)
            except OSError:
                if strict:
                    raise
        return held

    def _limit(self, bounds: Bounds) -> None:
        with open("/proc/self/statm") as statm:
            held = int(statm.read().split()[0]) * resource.getpagesize()
        room = {resource.RLIMIT_AS: held + bounds.memory, resource.RLIMIT_NOFILE: _FILES}
        limit(bounds.cpu, {**room, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_MEMLOCK: 0})

    def _put_on(self, layer: Layer, slot: int) -> None:
        match layer:
            case "view":
                os.chroot(_VIEW)
                os.chdir("/")
            case "user":
                drop_user(slot)
            case "namespaces":
                count_threads()
            case "landlock":
                give_up_privileges()
                kernel.landlock_restrict(self.ruleset)
                os.close(self.ruleset)
            case "seccomp":
                give_up_privileges()
                kernel.seccomp()


def drop_user(slot: int) -> None:
    """Become a user that no other child is."""
    kernel.drop_user(_FIRST_UID + slot)
    count_threads()


def give_up_privileges() -> None:
    """For good. The change of user has taken back the first, which the fork had set."""
    kernel.prctl(kernel.PDEATHSIG, signal.SIGKILL)
    kernel.prctl(kernel.DUMPABLE, 0)
    kernel.prctl(kernel.NO_NEW_PRIVS, 1)
    kernel.drop_capabilities()


def count_threads() -> None:
    """Bound the threads, where the count is of one user, or of one user namespace, that is ours alone."""
    resource.setrlimit(resource.RLIMIT_NPROC, (_THREADS, _THREADS))


def limit(cpu: int, others: Mapping[int, int]) -> None:
    """Limits that stay with the process; the CPU's soft one comes first, and its signal says why."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    for name, value in {resource.RLIMIT_CORE: 0, **others}.items():
        resource.setrlimit(name, (value, value))
