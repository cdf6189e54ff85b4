"""The exported network, quantised in the sandbox by training images, and scored beside the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deltanas.intervals import paired
from deltanas.onnxfile import with_metadata
from deltanas.program import Failed
from deltanas.sandbox import Exported, LocalPool

Kind = Literal["int8", "w8a16"]
KINDS: dict[Kind, Literal[8, 16]] = {"int8": 8, "w8a16": 16}
"""Bits of the activations, by what a file is called; weights have eight."""
_CALIBRATION = 64
"""Training images by which ranges are measured, at most; they are taken from all over the training split."""
MOST_LOSS = {"psnr": 0.15, "accuracy": 0.01}
"""Upper end of the loss's interval above which a file is written with a warning, by the name of the metric."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """What became of the network with weights of eight bits.

    Attributes:
        bytes: of the file. score: over `images` images of both splits. loss: of the score against the network of
            floats over the same images, `low` to `high` with 95 %, from the images' differences.
        calibration: number of training images by which it was quantised.
        warned: the loss may be above what is let through without a word (`MOST_LOSS`).
    """

    bytes: int
    score: float
    loss: float
    low: float
    high: float
    images: int
    calibration: int
    warned: bool


def quantized(
    graph: bytes, found: Exported, pool: LocalPool, metadata: Mapping[str, str], kind: Kind = "int8"
) -> tuple[Quantized, bytes] | str:
    """The record and the file, or the reason why there is none. Raises SandboxError."""
    train = pool.dataset.train.x
    chosen = np.linspace(0, len(train) - 1, min(_CALIBRATION, len(train))).astype(int)
    made = pool.quantized(graph, train[chosen], KINDS[kind])
    if isinstance(made, Failed):
        return f"ONNX Runtime does not quantise it: {made.reason}"
    file = with_metadata(made, metadata)
    targets = pool.targets("both")
    answer = pool.infer(file, pool.evaluated("both", len(targets)))
    if isinstance(answer, Failed):
        return f"ONNX Runtime does not run the quantised file: {answer.reason}"
    floats, integers = (pool.task.scores(outputs, targets) for outputs in (found.outputs, answer))
    higher = pool.task.metric.better == "higher"
    lost = paired(floats, integers) if higher else paired(integers, floats)
    warned = lost.high > MOST_LOSS.get(pool.task.metric.name, np.inf)
    return (
        Quantized(
            len(file), float(integers.mean()), lost.value, lost.low, lost.high, len(targets), len(chosen), bool(warned)
        ),
        file,
    )
