"""What became of a network that was exported, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from deltanas.intervals import wilson
from deltanas.program import Trained


@dataclass(frozen=True, slots=True)
class Score:
    """Accuracy on n images with its 95 % Wilson interval, all in [0, 1]."""

    accuracy: float
    low: float
    high: float
    n: int


def score(trained: Trained) -> Score:
    found = wilson(round(trained.score * trained.n), trained.n)
    return Score(trained.score, found.low, found.high, trained.n)


@dataclass(frozen=True, slots=True)
class Net:
    """What became of one elite.

    Attributes:
        name: "cycle.index" in the search. folder: where its files are. reason: why it has no weights, if so.
        validation, test: of the weights that were written; None where there are none.
        tensors, bytes: of the weights. onnx: is there a file? onnx_reason: if not, why.
        onnx_difference: largest difference of a logit between ONNX Runtime and torch, over `onnx_images` images.
        onnx_agreement: share of these on which both name the same class.
    """

    rank: int
    program: str
    name: str
    folder: str
    params: int | None
    flops: int | None
    reason: str | None = None
    seed: int | None = None
    epochs: int | None = None
    validation: Score | None = None
    test: Score | None = None
    tensors: int | None = None
    bytes: int | None = None
    onnx: bool = False
    onnx_reason: str | None = None
    onnx_difference: float | None = None
    onnx_agreement: float | None = None
    onnx_images: int | None = None
