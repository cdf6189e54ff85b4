"""A task whose metric is an error in grams: the lower the better, real-valued and without bounds above."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.intervals import Estimate, mean
from deltanas.program import Trained
from deltanas.task import Floats, Metric


def _interval(_score: float, _n: int, per_image: Floats | None) -> Estimate | None:
    return None if per_image is None else mean(per_image)


ERROR = Metric(
    "error",
    "lower",
    _interval,
    lambda score: f"{score:.2f} g",
    lambda gain: f"{gain:+.2f}",
    "g",
    sign=" g",
    limits=(0.0, inf),
)


@dataclass(frozen=True, slots=True)
class Weigh:
    name: str = "weigh"
    metric: Metric = ERROR

    def out_shape(self, classes: int, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (1,)

    def target(self, x: NDArray[np.uint8], y: NDArray[Any]) -> NDArray[Any]:
        return y

    def scores(self, outputs: NDArray[np.float32], target: NDArray[Any]) -> Floats:
        found: Floats = np.abs(outputs[:, 0] - target).astype(np.float64)
        return found

    def packed(self, scores: Floats) -> bytes:
        return scores.astype(np.float32).tobytes()

    def unpacked(self, packed: bytes, n: int) -> Floats:
        if len(packed) != 4 * n:
            raise ValueError(f"{len(packed)} bytes are not the scores of {n} images")
        return np.frombuffer(packed, np.float32).astype(np.float64)


WEIGH = Weigh()


def weighed(errors: NDArray[np.float64], seed: int = 0) -> Trained:
    return Trained(float(errors.mean()), len(errors), seed, 1.0, 1.0, "A", WEIGH.packed(errors))
