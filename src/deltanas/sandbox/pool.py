"""The local pool: a few children at a time on this machine, and their answers judged as they end."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator, Sequence
from itertools import count
from queue import SimpleQueue
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import SandboxError
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.sandbox.host import ForkServer
from deltanas.sandbox.judge import due, judge_build, judge_training
from deltanas.sandbox.layers import Bounds
from deltanas.sandbox.memory import sealed
from deltanas.sandbox.secret import shuffled
from deltanas.sandbox.supervise import Ended, Limits, run_child
from deltanas.seams import Built, Split
from deltanas.train.data import Dataset, Images
from deltanas.train.job import Job

_GIB = 2**30


class LocalPool:
    """`deltanas.seams.Runner` on this machine. A context manager: entering it starts the fork server.

    Args:
        dataset: what is trained and evaluated on. epochs: passes over the training images.
        timeout, build_timeout: seconds of wall clock for a training, and for a build check.
        memory_bytes: address space that a program may take on top of the interpreter.
        workers: children at a time, by default as many as the cores allow. threads: CPU threads of each.
        unsafe: run even where the self-test shows that the sandbox is not tight (tier C).

    Raises SandboxError on entry where the sandbox can't start, or is not tight and `unsafe` is not given.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        epochs: int = 1,
        timeout: float = 60.0,
        build_timeout: float = 20.0,
        memory_bytes: int = 4 * _GIB,
        workers: int | None = None,
        threads: int = 1,
        unsafe: bool = False,
    ) -> None:
        self._dataset = dataset
        self._epochs = epochs
        self._threads = threads
        self._workers = workers or max(1, len(os.sched_getaffinity(0)) // threads)
        self._training = self._limits(timeout, memory_bytes)
        self._building = self._limits(build_timeout, memory_bytes)
        self._mean, self._std = _statistics(dataset.train.x)
        self._unsafe = unsafe
        self._server = ForkServer()
        self._data: dict[str, int] = {}

    @property
    def tier(self) -> str:
        """ "A", "B" or "C", by the self-test of the fork server (docs/architecture.md)."""
        return self._server.tier

    def __enter__(self) -> LocalPool:
        if self.tier == "C" and not self._unsafe:
            self._server.close()
            raise SandboxError(
                "the sandbox is not tight here: the self-test could write a file, open a socket or fork",
                "use a kernel with seccomp and Landlock, or take the risk with --unsafe",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        while self._data:
            os.close(self._data.popitem()[1])

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        """Check programs in children; the answers in the order of `programs`. Raises SandboxError."""
        jobs = [self._job(program, "build", seed=0) for program in programs]
        ended = dict(self._run(jobs, self._shared("", None), self._building, due(0, 0)))
        return [judge_build(ended[position], self._building) for position in range(len(jobs))]

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation"
    ) -> Iterator[tuple[int, Trained | Failed]]:
        """Train programs in children; (position, outcome) as each ends. Closing the iterator kills all of them."""
        images = self._dataset.test if split == "test" else self._dataset.validation
        order = shuffled(len(images), f"{self._dataset.name}:{split}")
        data_fd = self._shared(split, images.take(order))
        labels, classes = images.y[order], self._dataset.classes
        jobs = [self._job(program, "train", seed=seed, evaluation=len(images)) for program in programs]
        for position, ended in self._run(jobs, data_fd, self._training, due(len(images), classes)):
            yield position, judge_training(ended, self._training, labels, classes=classes, seed=seed, tier=self.tier)

    def _limits(self, timeout: float, memory: int) -> Limits:
        return Limits(timeout, Bounds(math.ceil(timeout * self._threads) + 1, memory))

    def _job(self, program: Program, mode: Literal["build", "train"], *, seed: int, evaluation: int = 0) -> Job:
        return Job(
            mode=mode,
            net=program.net,
            transform=program.transform,
            prm=program.prm,
            in_shape=self._dataset.in_shape,
            classes=self._dataset.classes,
            seed=seed,
            epochs=self._epochs,
            threads=self._threads,
            training=len(self._dataset.train) if mode == "train" else 0,
            evaluation=evaluation,
            mean=self._mean,
            std=self._std,
        )

    def _shared(self, split: str, evaluation: Images | None) -> int:
        """The descriptor of the data for a split, laid down as `Job` says; nothing for a build."""
        if split not in self._data:
            train = self._dataset.train
            arrays = [train.y, train.x, evaluation.x] if evaluation else []
            self._data[split] = sealed(np.ascontiguousarray(array).data for array in arrays)
        return self._data[split]

    def _run(self, jobs: Sequence[Job], data_fd: int, limits: Limits, most: int) -> Iterator[tuple[int, Ended]]:
        """Run jobs, several at a time; (position, end) as each ends."""
        results: SimpleQueue[tuple[int, Ended | BaseException]] = SimpleQueue()
        places = count()
        stop_fd = os.eventfd(0)

        def work(slot: int) -> None:
            while (position := next(places)) < len(jobs):
                try:
                    ended = run_child(
                        self._server, jobs[position], data_fd, limits, due=most, slot=slot, stop_fd=stop_fd
                    )
                except BaseException as error:  # noqa: BLE001  carried over to the thread that waits
                    results.put((position, error))
                    return
                if ended.how == "stopped":
                    return
                results.put((position, ended))

        threads = [threading.Thread(target=work, args=(slot,)) for slot in range(min(self._workers, len(jobs)))]
        try:
            for thread in threads:
                thread.start()
            for _ in jobs:
                position, ended = results.get()
                if isinstance(ended, BaseException):
                    raise ended
                yield position, ended
        finally:
            os.eventfd_write(stop_fd, 1)
            for thread in threads:
                thread.join()
            os.close(stop_fd)


def _statistics(x: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, on the scale 0 to 255; x: [n, c, h, w]."""
    levels = np.arange(256)
    means, deviations = [], []
    for channel in range(x.shape[1]):
        shares = sum(np.bincount(part[:, channel].ravel(), minlength=256) for part in np.array_split(x, 64)) / (
            x[:, channel].size
        )
        mean = float(np.sum(levels * shares))
        means.append(mean)
        deviations.append(float(np.sqrt(np.sum((levels - mean) ** 2 * shares))) or 1.0)
    return tuple(means), tuple(deviations)
