"""What became of a network that was exported, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from deltanas.export.quantizing import KINDS, Kind, Quantized
from deltanas.gains import interval, measured
from deltanas.program import Trained
from deltanas.report import ClassScore
from deltanas.task import Task


@dataclass(frozen=True, slots=True)
class Score:
    """Score on n images with the 95 % interval of the task's metric, None where it has none."""

    score: float
    low: float | None
    high: float | None
    n: int


def score(trained: Trained, task: Task) -> Score:
    found = measured(task, trained)
    bounds = interval(task.metric, found) if found else None
    return Score(trained.score, bounds.low if bounds else None, bounds.high if bounds else None, trained.n)


@dataclass(frozen=True, slots=True)
class Net:
    """What became of one network.

    Attributes:
        name: "cycle.index" in the search, or the baseline's. folder: where its files are.
        reason: why it has no weights, if so.
        validation, test: of the weights that were written; None where there are none.
        classes: of the test images, by output; () where the task has none.
        tensors, bytes: of the weights. onnx: is there a file? onnx_reason: if not, why.
        onnx_difference: largest difference of an output between ONNX Runtime and torch, over `onnx_images` images.
        onnx_agreement: share of these on which both name the same class; of images the share of equal levels.
        int8, w8a16: of the quantised files that were asked for. int8_reason, w8a16_reason: if there is none, why.
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
    classes: tuple[ClassScore, ...] = ()
    tensors: int | None = None
    bytes: int | None = None
    onnx: bool = False
    onnx_reason: str | None = None
    onnx_difference: float | None = None
    onnx_agreement: float | None = None
    onnx_images: int | None = None
    int8: Quantized | None = None
    int8_reason: str | None = None
    w8a16: Quantized | None = None
    w8a16_reason: str | None = None

    @property
    def quantized(self) -> dict[Kind, Quantized | str]:
        """What became of the quantised files that were asked for: a record, or the reason why there is none."""
        found = {kind: getattr(self, kind) or getattr(self, f"{kind}_reason") for kind in KINDS}
        return {kind: one for kind, one in found.items() if one}
