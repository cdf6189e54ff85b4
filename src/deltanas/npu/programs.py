"""What is asked of a program, untrained: its ONNX file, its partition. Neither depends on the weights."""

from __future__ import annotations

import json
import math
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from shlex import quote

from deltanas.errors import DataError
from deltanas.npu.catalog import target_of
from deltanas.npu.checker import UnfinishedError, report_of
from deltanas.npu.report import Report
from deltanas.program import Program
from deltanas.sandbox import Bounds, Ended, ForkServer, Limits, answered, object_of, require_tight, run_alone
from deltanas.sandbox.supervise import Asked
from deltanas.task import DENOISE, Task
from deltanas.train.job import Job

_PARTITIONING = ("deltanas.sandbox.zygote", "deltanas.npu.xnnpack")
_MOST_GRAPH = 1 << 30
_MOST_REPORT = 1 << 24
_SECONDS, _MEMORY = 120.0, 4 << 30
_CLASSES = 10


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a child is asked that partitions. size: height and width of the image."""

    job: Job
    size: tuple[int, int]

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    def empty(self) -> _Ask:
        return replace(self, job=self.job.empty())


def graph_of(program: Program, task: Task, size: tuple[int, int], name: str, *, unsafe: bool = False) -> bytes:
    """The ONNX file of a network of `task` for images of three channels. name: what an error calls it.

    A denoiser's takes any size, a classifier's the given one, and has ten classes. unsafe: run even where the sandbox
    is not tight.

    Raises DataError where the program does not build or can't be written as ONNX; SandboxError.
    """
    _, raw, failure = _answered(ForkServer(), _job(program, task, size), _MOST_GRAPH, unsafe)
    if failure is not None:
        raise DataError(f"{name} can't be written as ONNX: {failure[1]}", f"`{_checking(name, task)}` says more")
    return raw


def partition_of(
    program: Program, task: Task, size: tuple[int, int], name: str, target: str, *, unsafe: bool = False
) -> Report:
    """Which operators a target takes that reads programs. name: what an error calls the program.

    unsafe: run even where the sandbox is not tight.

    Raises:
        UsageError: an unknown target, or one whose compiler is not installed.
        DataError: a program that does not build or can't be exported; `UnfinishedError` where that took too much.
        SandboxError: no child can be started, or the sandbox is not tight.
    """
    wanted = target_of(target)
    asked = _Ask(_job(program, task, size), size)
    ended, raw, failure = _answered(ForkServer(_PARTITIONING), asked, _MOST_REPORT, unsafe)
    if failure is not None:
        message = f"{name} can't be checked for {target}: {failure[1]}"
        if failure[0] in ("timeout", "memory", "crash"):
            raise UnfinishedError(message, "a smaller --size takes less of both", ended)
        raise DataError(message, f"`{_checking(name, task)}` tells whether it builds")
    found = report_of(object_of(raw) or {}, wanted)
    if found is None:
        raise DataError(f"the check for {target} gave an answer that makes no sense", f"is {name} sound?")
    return found


def _checking(name: str, task: Task) -> str:
    """The command that builds a program; a denoiser takes its shapes from a data set."""
    return f"deltanas check {quote(name)} --task {task.name}" + " --dataset photos" * (task is DENOISE)


def _job(program: Program, task: Task, size: tuple[int, int]) -> Job:
    height, width = (64, 64) if task is DENOISE else size
    shape = (1, 3, height, width)
    return Job(
        mode="graph",
        net=program.net,
        transform="",
        prm=program.prm,
        in_shape=shape,
        task=task.name,
        out_shape=task.out_shape(_CLASSES, shape),
        seed=0,
        epochs=1,
        threads=1,
        mean=(0.0, 0.0, 0.0),
        std=(255.0, 255.0, 255.0),
    )


def _answered(server: ForkServer, asked: Asked, due: int, unsafe: bool) -> tuple[Ended, bytes, tuple[str, str] | None]:
    """How a child of the server ended, what it answered and why it did not. The server is closed."""
    limits = Limits(_SECONDS, Bounds(math.ceil(_SECONDS), _MEMORY))
    with closing(server):
        require_tight(server.tier, unsafe)
        ended = run_alone(server, asked, [b"\0"], limits, due)
    _, raw, failure = answered(ended, limits)
    return ended, raw, failure
