"""Watching one child process: bounded reading, a deadline, and an end that leaves nothing of it behind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, Self

from deltanas.errors import SandboxError
from deltanas.sandbox.host import ForkServer
from deltanas.sandbox.layers import Bounds
from deltanas.sandbox.memory import sealed
from deltanas.sandbox.zygote import SETUP_FAILED

How = Literal["exit", "timeout", "excess", "stopped"]
_TAIL = 2000
"""Bytes of a child's own output that are kept for the reason of a failure."""
_CHUNK = 1 << 16
_REAP_TIMEOUT_MS = 10_000
_TRIES = 3
STARVED = "the machine had no memory left"
"""What is told of a child that the kernel killed for memory, though it was within its own."""


class Asked(Protocol):
    """What a child is asked to do."""

    def to_bytes(self) -> bytes: ...

    def empty(self) -> Self:
        """The same of a program that does nothing."""


@dataclass(frozen=True)
class Limits:
    """timeout: seconds of wall clock."""

    timeout: float
    bounds: Bounds


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        how: "exit" (by itself or by a signal), "timeout" (killed at its deadline), "excess" (killed as it answered
            more than is due), "stopped" (killed as the pool was told to stop).
        code: exit code, or minus the number of the signal that ended it.
        seconds, cpu_seconds: wall and CPU time (user and system, of all of its threads).
        answer: what it wrote to the answer's pipe. tail: the end of its stdout and stderr.
    """

    how: How
    code: int
    seconds: float
    cpu_seconds: float
    answer: bytes
    tail: str


def run_child(
    server: ForkServer, job: Asked, data_fd: int, limits: Limits, *, due: int, slot: int, stop_fd: int
) -> Ended:
    """Run one job in a child of its own; once more, and then again, if the machine fails it.

    That is: the server dies under it, the layers can't be put on, or the kernel kills it as memory runs out.

    Args:
        due: most bytes that the answer may have. slot: a number that no other running child has.
        stop_fd: the child is killed once this descriptor is readable.

    Raises SandboxError if no child can be started.
    """

    def run(job: Asked) -> Ended | None:
        job_fd = sealed([job.to_bytes()])
        try:
            return _run_once(server, (job_fd, data_fd), limits, due=due, slot=slot, stop_fd=stop_fd)
        finally:
            os.close(job_fd)

    ended, starved = None, False
    for _ in range(_TRIES):
        kills = _kills_for_memory()
        ended = run(job)
        killed = ended is not None and ended.how == "exit" and ended.code == -signal.SIGKILL
        starved = killed and _kills_for_memory() > kills
        if ended is not None and not starved and not _not_set_up(ended):
            return ended
    if ended is None:
        raise SandboxError(f"the sandbox's server was killed {_TRIES} times over one program", "is the memory enough?")
    if starved:  # it fits into what it may have, and not beside what else runs here
        return replace(ended, tail=f"{STARVED}, {_TRIES} times")
    # A program can feign this end. It can't for one that does nothing.
    empty = run(job.empty())
    if empty is not None and _not_set_up(empty):
        told = ": ".join(["the sandbox can't be put around a program", *empty.tail.strip().splitlines()[-1:]])
        raise SandboxError(told, "are memory and processes left for it?")
    return ended


def run_alone(server: ForkServer, job: Asked, data: Iterable[bytes | memoryview], limits: Limits, due: int) -> Ended:
    """Run one job, with no other beside it, over data of its own, laid down back to back; otherwise as `run_child`."""
    data_fd, stop_fd = sealed(data), os.eventfd(0)
    try:
        return run_child(server, job, data_fd, limits, due=due, slot=0, stop_fd=stop_fd)
    finally:
        os.close(data_fd)
        os.close(stop_fd)


def _not_set_up(ended: Ended) -> bool:
    """It ended before its program began, or feigns it."""
    return ended.how == "exit" and ended.code == SETUP_FAILED


def _kills_for_memory() -> int:
    """How many processes the kernel has killed on this machine as memory ran out; 0 where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _run_once(
    server: ForkServer, sources: tuple[int, int], limits: Limits, *, due: int, slot: int, stop_fd: int
) -> Ended | None:
    """None if the server died before it could say how the child ended. sources: job and data."""
    job_fd, shared_fd = sources
    with contextlib.ExitStack() as stack:
        # Opened anew: an offset that children share would be a place to leave something for the next one.
        data_fd = os.open(f"/proc/self/fd/{shared_fd}", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, data_fd)
        readers, writers = [], []
        for _ in ("answer", "output", "status"):
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            stack.callback(os.close, reader)
            readers.append(reader)
            writers.append(writer)
        try:
            process = server.launch([job_fd, data_fd, *writers], limits.bounds, slot)
        finally:
            for writer in writers:
                os.close(writer)
        start = time.monotonic()  # a server that had to start first took none of the child's time
        stack.callback(os.close, process)
        answer, output, status = readers
        answered, tail = bytearray(), bytearray()
        try:
            how = _watch(answer, output, status, stop_fd, answered, tail, due, start + limits.timeout)
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
        _wait(status)
        end = bytearray()
        if not _read(status, end):
            return None if how == "exit" else Ended(how, -signal.SIGKILL, time.monotonic() - start, 0.0, b"", "")
        seconds = time.monotonic() - start
        for fd, kept in ((answer, answered), (output, tail)):
            while len(kept) <= due + _TAIL and _read(fd, kept):
                pass
        fields = json.loads(end)
        text = tail[-_TAIL:].decode("utf-8", "replace")
        return Ended(how, fields["code"], seconds, fields["cpu_seconds"], bytes(answered), text)


def _wait(fd: int) -> None:
    """Until it can be read, or the server has had time enough to reap."""
    poll = select.poll()  # select() itself takes no descriptor above 1023, and a user may hold that many
    poll.register(fd, select.POLLIN)
    poll.poll(_REAP_TIMEOUT_MS)


def _watch(
    answer: int, output: int, status: int, stop_fd: int, answered: bytearray, tail: bytearray, due: int, deadline: float
) -> How:
    poll = select.poll()
    for fd in (answer, output, status, stop_fd):
        poll.register(fd, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        ready = {fd for fd, _ in poll.poll(max(0.0, left) * 1000)}
        for fd, kept in ((answer, answered), (output, tail)):
            if fd in ready and not _read(fd, kept):
                poll.unregister(fd)
        del tail[:-_TAIL]
        if stop_fd in ready:
            return "stopped"
        if len(answered) > due:
            return "excess"
        if status in ready:
            return "exit"
        if left <= 0:
            return "timeout"


def _read(fd: int, kept: bytearray) -> bool:
    """Take what lies in a pipe. False at its end, or where nothing lies there."""
    try:
        piece = os.read(fd, _CHUNK)
    except BlockingIOError:
        return False
    kept += piece
    return bool(piece)
