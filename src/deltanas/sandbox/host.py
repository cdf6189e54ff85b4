"""The tool's end of the fork server: start it, ask it for children, start it again when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from select import select
from typing import IO, Protocol

from deltanas.errors import SandboxError
from deltanas.sandbox.layers import Bounds, Tier, tier_of

_FORKING = ("deltanas.sandbox.zygote", "deltanas.train.child")
_KEEPING = ("deltanas.sandbox.keeper", "deltanas.train.child")
_START_TIMEOUT = 120.0
_ANSWER_TIMEOUT = 30.0
_TRIES = 3
_END_SECONDS = 1.0


class _Process(Protocol):
    """What is needed of a `subprocess.Popen`."""

    def wait(self, timeout: float | None = None) -> int: ...

    def kill(self) -> None: ...


class _Server:
    """A process at the other end of a control socket. It says a first word once it is ready.

    Args: module: what it runs, and its arguments after the descriptor of the control socket.
    """

    def __init__(self, module: tuple[str, ...]) -> None:
        self._module = module
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._process: _Process | None = None

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _asked(self, request: bytes, fds: list[int], dies: str) -> int:
        """Ask for a process over descriptors; gives one of it. Raises SandboxError, which says `dies`, in the end."""
        with self._lock:
            for _ in range(_TRIES):
                if self._control is None:
                    self._start()
                assert self._control is not None
                try:
                    socket.send_fds(self._control, [request], fds)
                    _, received, _, _ = socket.recv_fds(self._control, 4096, 1)
                except OSError:
                    received = []
                if received:
                    return received[0]
                self._stop()
        raise SandboxError(dies, "is there enough memory?")

    def _start(self) -> None:
        self._started()

    def _started(self) -> bytes:
        """Its first word. Raises SandboxError where it does not start, or is killed time and again while it does."""
        for _ in range(_TRIES):
            hello, reason = self._hello()
            if hello:
                return hello
            if self._stop() != -signal.SIGKILL:
                hint = f"try: {sys.executable} -s -P -c 'import torch, deltanas'"
                raise SandboxError(f"the sandbox's server does not start: {reason or 'no word from it'}", hint)
        raise SandboxError(f"the sandbox's server was killed {_TRIES} times as it started", "is there enough memory?")

    def _hello(self) -> tuple[bytes, str]:
        """Start a server; what it says of itself, and the last line of its log where it says nothing."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with os.fdopen(os.memfd_create("log"), "w+b") as log:  # a disk may be full
            try:
                with theirs:
                    self._process = self._spawn(theirs.fileno(), log)
                self._control.settimeout(_START_TIMEOUT)
                hello = self._control.recv(4096)
            except OSError as error:
                hello, reason = b"", str(error)
            else:
                log.seek(0)
                reason = "".join(log.read().decode("utf-8", "replace").strip().splitlines()[-1:])
        self._control.settimeout(_ANSWER_TIMEOUT)
        return hello, reason

    def _spawn(self, control_fd: int, log: IO[bytes]) -> _Process:
        # Not -I: it would ignore PYTHONHASHSEED, and the order of a candidate's sets would differ from run to run.
        # -s, -P and the environment leave as little of the user's own settings.
        name, *arguments = self._module
        command = [sys.executable, "-s", "-P", "-m", name, str(control_fd), *arguments]
        return subprocess.Popen(
            command,
            pass_fds=(control_fd,),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )

    def _stop(self) -> int | None:
        """The exit code of the server, where it had ended by itself."""
        if self._control is not None:
            self._control.close()
            self._control = None
        code = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # its end of the socket closes a moment before it ends
                code = self._process.wait(_END_SECONDS)
            self._process.kill()
            self._process.wait()
            self._process = None
        return code


def require_tight(tier: str, unsafe: bool, where: str = "here") -> None:
    """Raises SandboxError where the sandbox is not tight, and that risk is not taken."""
    if tier == "C" and not unsafe:
        raise SandboxError(
            f"the sandbox is not tight {where}: the self-test could write a file, open a socket or fork",
            "use a kernel with seccomp and Landlock, or take the risk with --unsafe",
        )


class ForkServer(_Server):
    """One warmed interpreter for the whole pool. `launch` may be called from several threads."""

    def __init__(self, module: tuple[str, ...] = _FORKING) -> None:
        super().__init__(module)
        self._tier: Tier | None = None

    @property
    def tier(self) -> Tier:
        """The sandbox's strength, as the self-test of a running server showed it. Starts the server if need be."""
        with self._lock:
            if self._tier is None:
                self._start()
            assert self._tier is not None
            return self._tier

    def launch(self, fds: list[int], bounds: Bounds, slot: int) -> int:
        """Start a child over descriptors (job, data, answer, output, status). Returns a descriptor of the process.

        Raises SandboxError where the server can't be started or dies at once time and again.
        """
        request = json.dumps({"cpu": bounds.cpu, "memory": bounds.memory, "slot": slot}).encode()
        return self._asked(request, fds, "the sandbox's server dies when it is asked for a child")

    def _start(self) -> None:
        """Raises SandboxError where the server does not start, or is killed time and again while it does."""
        found = json.loads(self._started())
        tier = tier_of(found["layers"], found["holes"])
        if self._tier not in {None, tier}:
            self._stop()
            raise SandboxError(f"the sandbox was of tier {self._tier} and is now of tier {tier}", "start again")
        self._tier = tier

    def _spawn(self, control_fd: int, log: IO[bytes]) -> _Process:
        if _kept is None or self._module != _FORKING:
            return super()._spawn(control_fd, log)
        return _kept.fork(control_fd, log.fileno())


class _Keeper(_Server):
    """A warmed interpreter that serves no pool: fork servers are forked from it."""

    def fork(self, control_fd: int, log_fd: int) -> _Process:
        """Start a fork server over descriptors. Raises SandboxError where the keeper dies time and again."""
        dies = "the interpreter that servers are forked from dies"
        return _Forked(self._asked(b"{}", [control_fd, log_fd], dies), os.dup(log_fd))


class _Forked:
    """A process that is not this one's child; how it ended is told by its log: it is empty if it was killed."""

    def __init__(self, pid_fd: int, log_fd: int) -> None:
        self._pid, self._log = pid_fd, log_fd
        for fd in (pid_fd, log_fd):
            weakref.finalize(self, os.close, fd)

    def wait(self, timeout: float | None = None) -> int:
        if not select([self._pid], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a forked server", timeout or 0)
        return 1 if os.fstat(self._log).st_size else -signal.SIGKILL

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pid, signal.SIGKILL)


_kept: _Keeper | None = None


@contextlib.contextmanager
def kept_warm() -> Iterator[None]:
    """Import torch once for all pools of this process that open within: the second opens in milliseconds, not seconds.

    It holds the memory of one interpreter with torch until it ends. Within another one it does nothing.
    """
    global _kept
    if _kept is not None:
        yield
        return
    _kept = keeper = _Keeper(_KEEPING)
    try:
        yield
    finally:
        _kept = None
        keeper.close()


def _environment() -> dict[str, str]:
    """All that a child sees of the environment."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return kept | {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",
        "CUDA_VISIBLE_DEVICES": "",  # none but to a child that trains on one: `device_server`
        "OMP_NUM_THREADS": "1",
        # Threads that wait for one another spin for microseconds only: where a core is taken, they would spin for long.
        "GOMP_SPINCOUNT": "1000",
        # Keep freed memory: activations are freed and taken again each batch, and to fault their pages in anew is dear.
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
