"""The pool of a machine with GPUs: checks run in children of one fork server, trainings in those of another."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from typing import Literal

import numpy as np

from deltanas.errors import SandboxError
from deltanas.nets import DEFAULT_PRM, baseline
from deltanas.program import Failed, Program, prm_text
from deltanas.sandbox.host import ForkServer, require_tight
from deltanas.sandbox.judge import Target, due, judge_curve
from deltanas.sandbox.layers import Bounds
from deltanas.sandbox.pool import LocalPool, Part
from deltanas.sandbox.supervise import Ended, Limits, run_alone
from deltanas.task import CLASSIFY
from deltanas.train.job import Device, Job

_COUNT = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
_COUNT_SECONDS = 120.0
_START_CPU = 30
"""Seconds of CPU time for the start of CUDA's own library."""
_PROOF_SECONDS = 120.0
_PROOF_IMAGES = 4


@dataclass(eq=False, repr=False)
class DevicePool(LocalPool):
    """Each training in a process that starts CUDA itself, on one of the GPUs in turn; that counts towards its limits.

    Attributes:
        device: "cuda"; with "cpu" the same processes train on the CPU, so that the way can be tested anywhere.
        workers: trainings at a time, by default one a GPU. More share the GPUs: one starts while another trains.

    Raises SandboxError on entry, beside the reasons of `Pool`, where there is no such device or nothing trains on it.
    """

    device: Device = field(default="cuda", kw_only=True)
    _trainer: ForkServer | None = field(init=False, default=None)
    _devices: list[str] = field(init=False, default_factory=list)

    @property
    def tier(self) -> str:
        """The letter of the self-test, for the boundary around a training, and the device."""
        return f"{self._training_server.tier} ({self.device})"

    def __exit__(self, *_: object) -> None:
        if self._trainer is not None:
            self._trainer.close()
            self._trainer = None
        super().__exit__()

    @property
    def _training_server(self) -> ForkServer:
        if self._trainer is None:
            self._devices = require_cuda() if self.device == "cuda" else []
            self._trainer = ForkServer(("deltanas.sandbox.device_server", ",".join(self._devices)))
        return self._trainer

    def _open(self) -> None:
        require_tight(self._server.tier, self.unsafe)
        require_tight(self._training_server.tier, self.unsafe, f"around trainings on {self.device}")
        self._prove()

    def _run(self, jobs: Sequence[Job], split: Part | None, limits: Limits, most: int) -> Iterator[tuple[int, Ended]]:
        if split is None:
            return super()._run(jobs, split, limits, most)
        workers = self.workers or len(self._devices) or self._workers()
        return self._children(self._training_server, workers, jobs, split, limits, most)

    def _limits(self, timeout: float) -> Limits:
        # One thread more: the one that runs CUDA's backward pass.
        return Limits(timeout, Bounds(math.ceil(timeout * (self.threads + 1)) + _START_CPU, self.memory_bytes))

    def _job(self, program: Program, mode: Literal["build", "train"], *, seed: int, evaluation: int = 0) -> Job:
        job = super()._job(program, mode, seed=seed, evaluation=evaluation)
        return replace(job, device=self.device) if mode == "train" else job

    def _prove(self) -> None:
        """Train a small network on black images. Raises SandboxError with what went wrong."""
        program = Program.of(net=baseline("mlp"), prm=prm_text(DEFAULT_PRM))
        job = replace(self._job(program, "train", seed=0, evaluation=_PROOF_IMAGES), training=_PROOF_IMAGES)
        job = replace(job, task=CLASSIFY.name, out_shape=(2,))
        labels = np.zeros(_PROOF_IMAGES, np.int64)
        images = np.zeros((_PROOF_IMAGES, *self.dataset.in_shape[1:]), np.uint8)
        limits = self._limits(_PROOF_SECONDS)
        target = Target(CLASSIFY, job.out_shape, labels, np.arange(_PROOF_IMAGES))
        data = [labels.data, images.data, images.data]
        ended = run_alone(self._training_server, job, data, limits, due(target.floats))
        curve = judge_curve(ended, limits, target, job, self.tier)
        outcome = curve if isinstance(curve, Failed) else curve[-1].outcome
        if isinstance(outcome, Failed):
            raise SandboxError(f"nothing trains on {self.device} in the sandbox: {outcome.reason}", _HINT)


_HINT = "give --device cpu; `nvidia-smi` says whether the driver sees a GPU, and torch must be a build for CUDA"


def require_cuda() -> list[str]:
    """Raises SandboxError where torch finds no CUDA device."""
    found = cuda_devices()
    if not found:
        raise SandboxError(f"torch {metadata.version('torch')} finds no CUDA device on this machine", _HINT)
    return found


def cuda_devices() -> list[str]:
    """What torch finds, as CUDA_VISIBLE_DEVICES names them. Asked in another process: this one never loads torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = _count(visible)
    return visible.split(",")[:count] if visible else [str(number) for number in range(count)]


@cache
def _count(_: str | None) -> int:
    """How many torch finds in this environment."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _COUNT], capture_output=True, text=True, timeout=_COUNT_SECONDS, check=True
        )
        return int(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return 0
