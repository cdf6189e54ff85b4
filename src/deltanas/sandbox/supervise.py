"""Watching one child process: bounded reading, a deadline, and an end that leaves nothing of it behind."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Literal

from deltanas.errors import SandboxError
from deltanas.sandbox.memory import sealed
from deltanas.train.job import Job

_TAIL = 2000
"""Bytes of a child's own output that are kept for the reason of a failure."""
_CHUNK = 1 << 16
_FILE_SIZE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """timeout: seconds of wall clock. cpu: seconds of CPU time. memory: bytes on top of the interpreter."""

    timeout: float
    cpu: int
    memory: int


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

    how: Literal["exit", "timeout", "excess", "stopped"]
    code: int
    seconds: float
    cpu_seconds: float
    answer: bytes
    tail: str


def run_child(job: Job, data_fd: int, *, limits: Limits, due: int, stop_fd: int) -> Ended:
    """Run one job in a child process of its own.

    Args:
        limits: what it may take. due: most bytes that the answer may have.
        stop_fd: the child is killed once this descriptor is readable.

    Raises SandboxError if no child can be started.
    """
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        answer, output, process = _spawn(job, data_fd, stack)
        _limit(process.pid, limits)
        pidfd = os.pidfd_open(process.pid)
        stack.callback(os.close, pidfd)
        how: Literal["exit", "timeout", "excess", "stopped"] = "exit"
        answered, tail = bytearray(), bytearray()
        poll = select.poll()
        for fd in (answer, output, pidfd, stop_fd):
            poll.register(fd, select.POLLIN)
        try:
            running = True
            while running and how == "exit":
                left = start + limits.timeout - time.monotonic()
                ready = [fd for fd, _ in poll.poll(max(0, left) * 1000)]
                for fd, kept in ((answer, answered), (output, tail)):
                    if fd in ready and not _read(fd, kept):
                        poll.unregister(fd)
                del tail[:-_TAIL]
                running = pidfd not in ready
                if stop_fd in ready:
                    how = "stopped"
                elif len(answered) > due:
                    how = "excess"
                elif running and left <= 0:
                    how = "timeout"
        finally:
            code, cpu_seconds = _end(process)
        seconds = time.monotonic() - start
        for fd, kept in ((answer, answered), (output, tail)):
            while len(kept) <= due + _TAIL and _read(fd, kept):
                pass
        text = tail[-_TAIL:].decode("utf-8", "replace")
        return Ended(how, code, seconds, cpu_seconds, bytes(answered), text)


def _spawn(job: Job, data_fd: int, stack: contextlib.ExitStack) -> tuple[int, int, subprocess.Popen[bytes]]:
    job_fd = sealed([job.to_bytes()])
    stack.callback(os.close, job_fd)
    answer, answer_end = os.pipe()
    output, output_end = os.pipe()
    for fd in (answer, output):
        os.set_blocking(fd, False)
        stack.callback(os.close, fd)
    with contextlib.ExitStack() as ends:
        ends.callback(os.close, answer_end)
        ends.callback(os.close, output_end)
        # Not -I: it would ignore PYTHONHASHSEED, and the order of a candidate's sets would differ from run to run.
        # -s, -P and the environment below leave as little of the user's own settings.
        arguments = [str(fd) for fd in (job_fd, data_fd, answer_end)]
        try:
            process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-m", "deltanas.train", *arguments],
                pass_fds=(job_fd, data_fd, answer_end),
                stdin=subprocess.DEVNULL,
                stdout=output_end,
                stderr=output_end,
                cwd="/",
                env=environment(job.threads),
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"no child process can be started: {error}", f"is {sys.executable} in place?") from error
    return answer, output, process


def environment(threads: int) -> dict[str, str]:
    """All that a child sees of the environment."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return kept | {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": "/nonexistent",
        "OMP_NUM_THREADS": str(threads),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }


def _limit(pid: int, limits: Limits) -> None:
    """Limits that a child can't raise again. Its memory it limits itself, once the interpreter is loaded."""
    bounds = {
        resource.RLIMIT_CPU: limits.cpu,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: _FILE_SIZE,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_NPROC: 256,
    }
    with contextlib.suppress(ProcessLookupError):
        for name, bound in bounds.items():
            resource.prlimit(pid, name, (bound, bound))


def _read(fd: int, kept: bytearray) -> bool:
    """Take what lies in a pipe. False at its end, or where nothing lies there."""
    try:
        piece = os.read(fd, _CHUNK)
    except BlockingIOError:
        return False
    kept += piece
    return bool(piece)


def _end(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Kill the child's whole group and reap the child: (exit code or minus the signal, CPU seconds)."""
    # The child is not reaped yet, so its number, which is its group's too, can't be another's.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime
