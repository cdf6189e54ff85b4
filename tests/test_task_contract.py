"""Classification holds the contract of tasks."""

from __future__ import annotations

import numpy as np

from deltanas.task import CLASSIFY, Task
from deltanas.testing import Scored, TaskContract
from deltanas.testing.task import N


class TestClassify(TaskContract):
    def task(self) -> Task:
        return CLASSIFY

    def example(self) -> Scored:
        rng = np.random.RandomState(0)
        labels = np.arange(N) % 3
        right = np.eye(3, dtype=np.float32)[labels]
        bad = rng.rand(N, 3).astype(np.float32)
        return Scored(rng.randint(0, 256, (N, 1, 4, 4)).astype(np.uint8), labels, 3, right + 0.5 * bad, bad)
