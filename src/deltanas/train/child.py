"""One candidate in its own process: read the job, do it, answer. Nothing that comes out of here is trusted."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import traceback

import torch

from deltanas.train.build import StepError, check_build
from deltanas.train.export import export, graph, infer, latency
from deltanas.train.job import REASON_LIMIT, Job
from deltanas.train.loop import NET_FILE, ContractError, OutputError, train

# What a candidate may import, and what those load later by themselves: in a child some of it may be out of reach.
_WARM = (
    "abc", "collections.abc", "contextlib", "copy", "dataclasses", "enum", "functools", "inspect", "itertools", "json",
    "logging", "math", "numbers", "operator", "random", "re", "statistics", "string", "time", "types", "typing",
    "typing_extensions", "warnings", "weakref", "numpy", "torch.nn.functional", "torch.optim.lr_scheduler",
    "torch.nn.utils.parametrizations", "torch.nn.attention", "torch.distributions", "torch.fft", "torch.linalg",
    "torch.special", "torch.utils.checkpoint", "torch.utils.data", "torch.amp", "torchvision", "torchvision.models",
)  # fmt: skip
_OUT_OF_MEMORY = ("can't allocate memory", "bad_alloc", "Cannot allocate memory", "CUDA out of memory")


def warm() -> None:
    """Load now what would cost each child seconds: an optimizer's first step alone imports hundreds of modules."""
    torch.set_num_threads(1)
    for name in _WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    layer = torch.nn.Linear(1, 1)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.zeros(1, 1)).sum().backward()
    optimizer.step()


def main(job_fd: int, data_fd: int, answer_fd: int) -> None:
    """Answer over `answer_fd` as `deltanas.train.job` lays down, whatever the candidate does to raise or exit."""
    header: dict[str, object]
    raw = b""
    try:
        job = Job.from_bytes(os.pread(job_fd, os.fstat(job_fd).st_size, 0))
        torch.set_num_threads(job.threads)
        header, raw = _done(job, data_fd)
    except BaseException as error:  # noqa: BLE001  a candidate may raise anything, SystemExit too
        header = {"failed": _kind(error), "reason": explain(error), "step": isinstance(error, StepError)}
    line = json.dumps(header).encode() + b"\n"
    rest = memoryview(line + raw)
    while rest:
        rest = rest[os.write(answer_fd, rest) :]


def _done(job: Job, data_fd: int) -> tuple[dict[str, object], bytes]:
    match job.mode:
        case "build":
            return check_build(job), b""
        case "train":
            return {}, train(job, data_fd)
        case "export":
            return export(job, data_fd)
        case "infer":
            return {}, infer(job, data_fd)
        case "graph":
            return {}, graph(job)
        case "latency":
            return {}, latency(job, data_fd)


def explain(error: BaseException) -> str:
    """One short line, with the candidate's own line number where the error passed through its source."""
    if isinstance(error, StepError) and error.__cause__ is not None:
        return explain(error.__cause__)
    message = " ".join(str(error).split())
    if isinstance(error, (ContractError, OutputError)):
        return message[:REASON_LIMIT]
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == NET_FILE]
    if isinstance(error, SyntaxError) and error.filename == NET_FILE:
        lines, message = [error.lineno], error.msg
    where = f"line {lines[-1]}: " if lines else ""
    return f"{where}{type(error).__name__}: {message}".removesuffix(": ")[:REASON_LIMIT]


def _kind(error: BaseException) -> str:
    if isinstance(error, StepError) and error.__cause__ is not None:
        return _kind(error.__cause__)
    if isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY):
        return "memory"
    return "output" if isinstance(error, OutputError) else "error"
