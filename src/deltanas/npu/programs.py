"""What is asked of a program, untrained: its ONNX file, its partition. Neither depends on the weights."""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, replace

from deltanas.errors import DataError
from deltanas.npu.catalog import target_of
from deltanas.npu.checker import UnfinishedError, report_of, require_tight
from deltanas.npu.report import Report
from deltanas.program import Program
from deltanas.sandbox import Bounds, Ended, ForkServer, Limits, failed_as, parted, run_child, sealed
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
    limits = Limits(_SECONDS, Bounds(math.ceil(_SECONDS), _MEMORY))
    server = ForkServer()
    try:
        require_tight(server, unsafe)
        ended = _answered(server, _job(program, task, size), limits, _MOST_GRAPH)
    finally:
        server.close()
    header, raw = parted(ended.answer)
    failure = failed_as(ended, header, limits)
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
    limits = Limits(_SECONDS, Bounds(math.ceil(_SECONDS), _MEMORY))
    server = ForkServer(_PARTITIONING)
    try:
        require_tight(server, unsafe)
        ended = _answered(server, _Ask(_job(program, task, size), size), limits, _MOST_REPORT)
    finally:
        server.close()
    header, raw = parted(ended.answer)
    failure = failed_as(ended, header, limits)
    if failure is not None:
        message = f"{name} can't be checked for {target}: {failure[1]}"
        if failure[0] in ("timeout", "memory", "crash"):
            raise UnfinishedError(message, "a smaller --size takes less of both", ended)
        raise DataError(message, f"`{_checking(name, task)}` tells whether it builds")
    found = report_of(_object(raw), wanted)
    if found is None:
        raise DataError(f"the check for {target} gave an answer that makes no sense", f"is {name} sound?")
    return found


def _checking(name: str, task: Task) -> str:
    """The command that builds a program; a denoiser takes its shapes from a data set."""
    return f"deltanas check {name} --task {task.name}" + " --dataset photos" * (task is DENOISE)


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


def _answered(server: ForkServer, asked: Asked, limits: Limits, due: int) -> Ended:
    data_fd, stop_fd = sealed([b"\0"]), os.eventfd(0)
    try:
        return run_child(server, asked, data_fd, limits, due=due, slot=0, stop_fd=stop_fd)
    finally:
        os.close(data_fd)
        os.close(stop_fd)


def _object(raw: bytes) -> dict[str, object]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
