"""One candidate in its own process: read the job, do it, answer. Nothing that comes out of here is trusted."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from collections.abc import Callable

import torch

from deltanas.train.build import check_build
from deltanas.train.export import export, graph, infer, latency, quantized
from deltanas.train.faults import StepError, explain, failure_kind
from deltanas.train.job import Job
from deltanas.train.loop import train

# What a candidate may import, and what those and an optimizer's first step load later by themselves: in a child some of
# it may be out of reach, and to import it costs each child seconds.
_WARM = (
    "abc", "collections.abc", "contextlib", "copy", "dataclasses", "enum", "functools", "inspect", "itertools", "json",
    "logging", "math", "numbers", "operator", "random", "re", "statistics", "string", "time", "types", "typing",
    "typing_extensions", "warnings", "weakref", "numpy", "torch.nn.functional", "torch.optim.lr_scheduler",
    "torch.nn.utils.parametrizations", "torch.nn.attention", "torch.distributions", "torch.fft", "torch.linalg",
    "torch.special", "torch.utils.checkpoint", "torch.utils.data", "torch.amp", "torch._dynamo", "torchvision",
    "torchvision.models",
)  # fmt: skip


def warm() -> None:
    """Load now what would cost each child seconds. No thread is left.

    A first backward pass, or a first question to CUDA, would start some where there is a GPU, even if it is hidden.
    """
    torch.set_num_threads(1)
    for name in _WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def main(job_fd: int, data_fd: int, answer_fd: int) -> None:
    """Answer over `answer_fd` as `deltanas.train.job` lays down, whatever the candidate does to raise or exit."""

    def work() -> tuple[dict[str, object], bytes]:
        job = Job.from_bytes(os.pread(job_fd, os.fstat(job_fd).st_size, 0))
        torch.set_num_threads(job.threads)
        return _done(job, data_fd)

    answer(answer_fd, work)


def answer(answer_fd: int, work: Callable[[], tuple[dict[str, object], bytes]]) -> None:
    """The header and the bytes that come of the work, or why nothing does."""
    header: dict[str, object]
    raw = b""
    try:
        header, raw = work()
    except BaseException as error:  # noqa: BLE001  a candidate may raise anything, SystemExit too
        header = {"failed": failure_kind(error), "reason": explain(error), "step": isinstance(error, StepError)}
    line = json.dumps(header, ensure_ascii=False).encode(errors="replace") + b"\n"
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
        case "quantize":
            return {}, quantized(job, data_fd)
