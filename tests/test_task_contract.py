"""The tasks hold their contract."""

from __future__ import annotations

import numpy as np

from deltanas.task import CLASSIFY, DENOISE, Task
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


class TestDenoise(TaskContract):
    step = 1e-5

    def task(self) -> Task:
        return DENOISE

    def example(self) -> Scored:
        rng = np.random.RandomState(0)
        clean = rng.randint(0, 256, (N, 3, 6, 5)).astype(np.uint8)
        near, far = (clean / 255 + deviation * rng.standard_normal(clean.shape) for deviation in (0.02, 0.1))
        return Scored(clean ^ np.uint8(7), clean, 0, near.astype(np.float32), far.astype(np.float32))
