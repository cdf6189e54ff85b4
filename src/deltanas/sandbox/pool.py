"""Pools: jobs are laid out and their ends judged in the tool's own process; children run here, or on other machines."""

from __future__ import annotations

import math
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import KW_ONLY, dataclass, field, replace
from itertools import count
from math import prod
from queue import SimpleQueue
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from deltanas.objective import LATENCY
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import Measurement
from deltanas.sandbox.exported import Exported, judge_export, most_bytes
from deltanas.sandbox.host import ForkServer, require_tight
from deltanas.sandbox.judge import Reading, Target, answered, due, judge_build, judge_curve, outputs_of
from deltanas.sandbox.latency import MOST_BYTES, MOST_GRAPH, TRIES, cut_off, judge_graph, judge_latency, not_measured
from deltanas.sandbox.layers import Bounds
from deltanas.sandbox.memory import sealed
from deltanas.sandbox.secret import shuffled
from deltanas.sandbox.supervise import Ended, Limits, run_alone, run_child
from deltanas.seams import Built, Split
from deltanas.task import CLASSIFY, Shows, Task
from deltanas.train.data import Dataset, Images
from deltanas.train.job import EXPORT_SECONDS, Augment, Job

_GIB = 2**30
Part = Split | Literal["both"]
"""The images to evaluate: those of one split, or of validation and test together."""


@dataclass(eq=False, repr=False)
class Pool(ABC):
    """The half of `deltanas.seams.Runner` that never leaves the tool: evaluation labels, the secret order, judging.

    A context manager. A subclass says where the children run, and hands no more than `_arrays` to them.

    Attributes:
        dataset: what is trained and evaluated on. epochs: passes over the training images.
        timeout, build_timeout: seconds of wall clock for a training, and for a build check, which gets no more than it.
        shortest: number of epochs that `timeout` is for, by default `epochs`; a longer training may take longer by as
            much.
        memory_bytes: address space that a program may take on top of the interpreter.
        workers: children at a time on each machine, by default as many as its cores allow.
        threads: CPU threads of each child.
        augment: what is done to training images, "flip" and "crop"; evaluation images are never changed.
        crops: where targets are images, sizes that training pairs are cropped to, one after another over the epochs.
        task: what the networks are asked to do.
        average: share of the last steps over which weights are averaged before they are evaluated; 0: the last weights.
        unsafe: run even where the self-test shows that the sandbox is not tight (tier C).

    Raises SandboxError on entry where the sandbox can't start, or is not tight and `unsafe` is not given.
    """

    dataset: Dataset
    _: KW_ONLY
    epochs: int = 1
    timeout: float = 60.0
    build_timeout: float = 20.0
    shortest: int | None = None
    memory_bytes: int = 4 * _GIB
    workers: int | None = None
    threads: int = 1
    augment: tuple[Augment, ...] = ()
    crops: tuple[int, ...] = ()
    unsafe: bool = False
    task: Task = CLASSIFY
    average: float = 0.0

    @property
    @abstractmethod
    def tier(self) -> str:
        """ "A", "B" or "C", by the self-test of the fork server (docs/security.md)."""

    def spread(self) -> dict[str, int]:
        """Number of trainings that ended, by the host that they ran on; empty where all run here."""
        return {}

    @abstractmethod
    def __enter__(self) -> Self: ...

    @abstractmethod
    def __exit__(self, *_: object) -> None: ...

    @abstractmethod
    def _run(self, jobs: Sequence[Job], split: Part | None, limits: Limits, most: int) -> Iterator[tuple[int, Ended]]:
        """Run jobs, several at a time, over the arrays of a split; (position, end) as each ends, each exactly once."""

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        """Check programs in children; the answers in the order of `programs`. Raises SandboxError."""
        limits = self._limits(min(self.build_timeout, self.timeout))
        jobs = [self._job(program, "build", seed=0) for program in programs]
        ended = dict(self._run(jobs, None, limits, due(0)))
        return [judge_build(ended[position], limits) for position in range(len(jobs))]

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        """Train programs in children; (position, outcome) as each ends. Closing the iterator kills all of them.

        epochs: another length than the run's own.
        """
        curves = self.curves(programs, seed=seed, split=split, epochs=epochs)
        with closing(curves):
            for position, curve in curves:
                outcome = curve if isinstance(curve, Failed) else curve[-1].outcome
                yield position, replace(outcome, epochs=epochs or self.epochs)

    def curves(
        self,
        programs: Sequence[Program],
        *,
        seed: int,
        split: Split = "validation",
        epochs: int | None = None,
        evaluate: Sequence[int] = (),
        average: float | None = None,
        both: bool = False,
    ) -> Generator[tuple[int, tuple[Reading, ...] | Failed]]:
        """Train programs as `train` does, and tell what each gives while it trains.

        Args:
            evaluate: numbers of epochs, below `epochs`, after which it is told too; the training stays the same.
            average: share of the last steps whose weights are averaged, in place of the pool's own.
            both: tell of the last weights too where weights are averaged, before those.
        """
        images, order = self._evaluated(split)
        target, length = self._target(images, order, confused=split == "test"), epochs or self.epochs
        limits = self._limits(self.timeout * max(1.0, length / (self.shortest or self.epochs)))
        jobs = [
            replace(
                self._job(program, "train", seed=seed, evaluation=len(images)),
                epochs=length,
                evaluate=tuple(evaluate),
                average=self.average if average is None else average,
                both=both,
            )
            for program in programs
        ]
        most = due(target.floats * len(jobs[0].readings)) if jobs else 0
        for position, ended in self._run(jobs, split, limits, most):
            yield position, judge_curve(ended, limits, target, jobs[position], self.tier)

    def export(self, programs: Sequence[Program], *, seed: int) -> Iterator[tuple[int, Exported | Failed]]:
        """Train programs as `train` does, score both splits, and fetch the networks out of their children."""
        images, order = self._evaluated("both")
        target, tested = self._target(images, order, confused=True), order >= len(self.dataset.validation)
        limits = self._limits(self.timeout + EXPORT_SECONDS)
        jobs = [
            replace(self._job(program, "train", seed=seed, evaluation=len(images)), mode="export")
            for program in programs
        ]
        for position, ended in self._run(jobs, "both", limits, most_bytes(target.floats)):
            yield position, judge_export(ended, limits, target, tested, seed=seed, tier=self.tier)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of one image's output."""
        return self.task.out_shape(self.dataset.classes, self.dataset.in_shape)

    def _target(self, images: Images, order: NDArray[np.int64], *, confused: bool) -> Target:
        inputs = images.x[order] if confused and isinstance(self.task, Shows) else None
        return Target(self.task, self.out_shape, self.task.target(images.x, images.y)[order], order, confused, inputs)

    def evaluated(self, part: Part, n: int) -> NDArray[np.uint8]:
        """The first n of the images that a child evaluates, in the order in which it gets them."""
        images, order = self._evaluated(part)
        return images.x[order[:n]]

    def targets(self, part: Part) -> NDArray[Any]:
        """What is asked for of the images that a child evaluates, in the order in which it gets them."""
        images, order = self._evaluated(part)
        return self.task.target(images.x, images.y)[order]

    def _limits(self, timeout: float) -> Limits:
        return Limits(timeout, Bounds(math.ceil(timeout * self.threads) + 1, self.memory_bytes))

    def _job(self, program: Program, mode: Literal["build", "train"], *, seed: int, evaluation: int = 0) -> Job:
        return Job(
            mode=mode,
            net=program.net,
            transform=program.transform,
            prm=program.prm,
            in_shape=self.dataset.in_shape,
            task=self.task.name,
            out_shape=self.out_shape,
            seed=seed,
            epochs=self.epochs,
            threads=self.threads,
            training=len(self.dataset.train) if mode == "train" else 0,
            evaluation=evaluation,
            mean=self.dataset.scale[0],
            std=self.dataset.scale[1],
            augment=self.augment,
            crops=self.crops,
            average=self.average if mode == "train" else 0.0,
        )

    def _evaluated(self, split: Part) -> tuple[Images, NDArray[np.int64]]:
        """The images of a split, and the secret order in which a child gets them."""
        validation, test = self.dataset.validation, self.dataset.test
        images = test if split == "test" else validation
        if split == "both":
            images = Images(np.concatenate([validation.x, test.x]), np.concatenate([validation.y, test.y]))
        return images, shuffled(len(images), f"{self.dataset.name}:{split}")

    def _arrays(self, split: Part | None) -> list[NDArray[np.generic]]:
        """All of the data that a child may see, laid down as `Job` says; nothing for a build."""
        if split is None:
            return []
        images, order = self._evaluated(split)
        train = self.dataset.train
        return [self.task.target(train.x, train.y), train.x, images.x[order]]


@dataclass(eq=False, repr=False)
class LocalPool(Pool):
    """Children of one fork server on this machine."""

    _server: ForkServer = field(init=False, default_factory=ForkServer)
    _data: dict[Part | None, int] = field(init=False, default_factory=dict)

    @property
    def tier(self) -> str:
        return self._server.tier

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        while self._data:
            os.close(self._data.popitem()[1])

    def _open(self) -> None:
        require_tight(self.tier, self.unsafe)

    def _run(self, jobs: Sequence[Job], split: Part | None, limits: Limits, most: int) -> Iterator[tuple[int, Ended]]:
        return self._children(self._server, self._workers(), jobs, split, limits, most)

    def infer(self, model: bytes, pixels: NDArray[np.uint8]) -> NDArray[np.float32] | Failed:
        """What ONNX Runtime computes by a file, in a child of the sandbox: the outputs, float32 [n, *out_shape].

        pixels: uint8 [n, c, h, w], on the scale 0 to 255. Raises SandboxError.
        """
        limits = self._limits(self.timeout)
        ended = self._run_file("infer", model, pixels, limits, due(len(pixels) * prod(self.out_shape)))
        outputs = outputs_of(ended, limits, len(pixels), self.out_shape, self.tier)
        if isinstance(outputs, Failed) or np.isfinite(outputs).all():
            return outputs
        reason = "ONNX Runtime computes values that are not finite"
        return Failed("output", reason, ended.seconds, ended.cpu_seconds, self.tier)

    def quantized(self, model: bytes, pixels: NDArray[np.uint8], activations: Literal[8, 16] = 8) -> bytes | Failed:
        """An ONNX file with weights of eight bits and activations of so many, their ranges by what images give.

        pixels: uint8 [n, c, h, w]. Raises SandboxError.
        """
        limits = self._limits(self.timeout + EXPORT_SECONDS)
        ended = self._run_file("quantize", model, pixels, limits, MOST_GRAPH, activations)
        _, raw, failure = answered(ended, limits)
        if failure is None and raw:
            return raw
        kind, reason = failure or ("output", "the quantizer gave nothing")
        return Failed(kind, reason, ended.seconds, ended.cpu_seconds, self.tier)

    def latencies(self, programs: Sequence[Program]) -> Iterator[Measurement]:
        """Milliseconds of one image in ONNX Runtime on one thread; otherwise as `by_graph`."""
        pixels = self.evaluated("validation", 1)
        return self.by_graph(programs, LATENCY, lambda graph: self._latency(graph, pixels))

    def by_graph(
        self, programs: Sequence[Program], name: str, measure: Callable[[bytes], Measurement | Ended]
    ) -> Iterator[Measurement]:
        """What `measure` tells of networks with their initial weights, each as the bytes of an ONNX file.

        One network at a time, nothing else of the pool beside it. What can't be exported or run has no value, and the
        reason; a child that ran out of time or of memory (`Ended`), as on a busy machine, is tried `TRIES` times.
        Raises SandboxError.
        """
        for program in programs:
            for _ in range(TRIES):
                found = self._by_graph(program, name, measure)
                if not isinstance(found, Ended):
                    break
            yield not_measured(name) if isinstance(found, Ended) else found

    def _by_graph(
        self, program: Program, name: str, measure: Callable[[bytes], Measurement | Ended]
    ) -> Measurement | Ended:
        """An `Ended` is that of a child that did not come to an answer."""
        limits = self._limits(self.timeout)
        job = replace(self._job(program, "build", seed=0), mode="graph")
        ended = run_alone(self._server, job, [], limits, MOST_GRAPH)
        graph = judge_graph(ended, limits, name)
        if isinstance(graph, bytes):
            return measure(graph)
        return ended if cut_off(ended, limits) else graph

    def _latency(self, graph: bytes, pixels: NDArray[np.uint8]) -> Measurement | Ended:
        limits = self._limits(self.timeout)
        ended = self._run_file("latency", graph, pixels, limits, MOST_BYTES)
        found = judge_latency(ended, limits)
        return ended if found.value is None and cut_off(ended, limits) else found

    def _run_file(
        self,
        mode: Literal["infer", "latency", "quantize"],
        model: bytes,
        pixels: NDArray[np.uint8],
        limits: Limits,
        most: int,
        activations: int = 8,
    ) -> Ended:
        """A child that runs an ONNX file over images."""
        job = replace(self._job(Program.of(""), "build", seed=0), mode=mode, file=len(model), evaluation=len(pixels))
        job = replace(job, activations=activations)
        job = replace(job, threads=1) if mode == "latency" else job
        return run_alone(self._server, job, [model, np.ascontiguousarray(pixels).data], limits, most)

    def _workers(self) -> int:
        return self.workers or cores() // self.threads or 1

    def _children(
        self, server: ForkServer, workers: int, jobs: Sequence[Job], split: Part | None, limits: Limits, most: int
    ) -> Iterator[tuple[int, Ended]]:
        if split not in self._data:
            self._data[split] = laid_down(self._arrays(split))
        data_fd = self._data[split]
        results: SimpleQueue[tuple[int, Ended | BaseException]] = SimpleQueue()
        places = count()
        stop_fd, stopping = os.eventfd(0), threading.Event()

        def work(slot: int) -> None:
            while not stopping.is_set() and (position := next(places)) < len(jobs):
                try:
                    ended = run_child(server, jobs[position], data_fd, limits, due=most, slot=slot, stop_fd=stop_fd)
                except BaseException as error:  # noqa: BLE001  carried over to the thread that waits
                    results.put((position, error))
                    return
                if ended.how == "stopped":
                    return
                results.put((position, ended))

        threads = [threading.Thread(target=work, args=(slot,)) for slot in range(min(workers, len(jobs)))]
        try:
            for thread in threads:
                thread.start()
            for _ in jobs:
                position, ended = results.get()
                if isinstance(ended, BaseException):
                    raise ended
                yield position, ended
        finally:
            stopping.set()
            os.eventfd_write(stop_fd, 1)
            for thread in threads:
                if thread.ident is not None:  # else an interrupt came before it began: it will end at once
                    thread.join()
            os.close(stop_fd)


def laid_down(arrays: Iterable[NDArray[np.generic]]) -> int:
    """A descriptor of a sealed memory file with the arrays back to back. The caller closes it."""
    return sealed(np.ascontiguousarray(array).data for array in arrays)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))
