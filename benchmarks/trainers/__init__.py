"""Other trainers, each in a process of its own, that train a candidate when told to, so that all take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from deltanas.errors import DeltanasError
from deltanas.program import Program
from deltanas.train.data import Dataset

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one candidate, where `candidates` were trained in a turn: seconds of wall clock and of CPU.

    The accuracy shows that the work was done.
    """

    seconds: float
    cpu_seconds: float
    accuracy: float
    candidates: int = 1


def measured(work: Callable[[], float]) -> Cost:
    """Time `work`, which gives an accuracy."""
    began, spent = time.perf_counter(), sum(os.times()[:4])
    accuracy = work()
    return Cost(time.perf_counter() - began, sum(os.times()[:4]) - spent, accuracy)


def write_task(folder: Path, program: Program, data: Dataset) -> None:
    """Lay down what a rival trains: `candidate.py`, `prm.json` and `data.npz` with both splits."""
    (folder / "candidate.py").write_text(program.net, encoding="utf-8")
    (folder / "prm.json").write_text(program.prm, encoding="utf-8")
    np.savez(folder / "data.npz", x=data.train.x, y=data.train.y, held_x=data.validation.x, held_y=data.validation.y)


class Rival:
    """`python -m MODULE ARGUMENTS...` in the folder of the task; a context manager.

    It answers each line on its stdin, a seed, with one line of JSON, a `Cost`; see `serve`.
    """

    def __init__(self, module: str, *arguments: str, folder: Path, threads: int, hint: str = "") -> None:
        self._hint = hint
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(_ROOT)},
            text=True,
        )

    def __enter__(self) -> Rival:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            self._process.kill()
        self._log.close()

    def train(self, seed: int) -> Cost:
        """Raises DeltanasError where the rival can't."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{seed}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._process.wait()
            self._log.seek(0)
            last = self._log.read().decode("utf-8", "replace").strip().splitlines()[-1:]
            raise DeltanasError(f"the trainer to compare with ended: {''.join(last)}", self._hint)
        return Cost(**json.loads(answer))


def serve(train: Callable[[int], float]) -> None:
    """The rival's end: train for each seed that comes in. What `train` prints goes nowhere."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        for line in sys.stdin:
            cost = measured(lambda seed=int(line): train(seed))  # type: ignore[misc]
            print(json.dumps(asdict(cost)), file=answers, flush=True)
