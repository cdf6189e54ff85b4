"""One candidate in its own process: read the job, do it, answer. Nothing that comes out of here is trusted."""

from __future__ import annotations

import json
import os
import resource
import traceback

import torch

from deltanas.train.build import check_build
from deltanas.train.job import REASON_LIMIT, Job
from deltanas.train.loop import NET_FILE, ContractError, OutputError, train

_OUT_OF_MEMORY = ("can't allocate memory", "bad_alloc", "Cannot allocate memory")


def main(job_fd: int, data_fd: int, answer_fd: int) -> None:
    """Answer over `answer_fd` as `deltanas.train.job` lays down, whatever the candidate does to raise or exit."""
    raw = b""
    try:
        job = Job.from_bytes(_read(job_fd))
        torch.set_num_threads(job.threads)
        limit_memory(job.memory)
        header: dict[str, object] = check_build(job) if job.mode == "build" else {}
        raw = b"" if job.mode == "build" else train(job, data_fd)
    except BaseException as error:  # noqa: BLE001  a candidate may raise anything, SystemExit too
        header = {"failed": _kind(error), "reason": explain(error)}
    line = json.dumps(header).encode() + b"\n"
    rest = memoryview(line + raw)
    while rest:
        rest = rest[os.write(answer_fd, rest) :]


def limit_memory(more: int) -> None:
    """Let the address space grow by `more` bytes from here; the libraries that are mapped already don't count."""
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def explain(error: BaseException) -> str:
    """One short line, with the candidate's own line number where the error passed through its source."""
    message = " ".join(str(error).split())
    if isinstance(error, (ContractError, OutputError)):
        return message[:REASON_LIMIT]
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == NET_FILE]
    if isinstance(error, SyntaxError) and error.filename == NET_FILE:
        lines, message = [error.lineno], error.msg
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {message}".removesuffix(": ")[:REASON_LIMIT]


def _kind(error: BaseException) -> str:
    if isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY):
        return "memory"
    return "output" if isinstance(error, OutputError) else "error"


def _read(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)
