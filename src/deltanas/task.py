"""What a network is asked to do: the shape of its outputs, and how the parent process scores them, image by image.

A task is one record here and its other half, which trains inside the sandbox, in `train/tasks.py`, by the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DeltanasError
from deltanas.imagery import before_and_after, in_levels, psnr, ssim
from deltanas.intervals import Estimate, mean, wilson
from deltanas.program import Confusion, Trained

Floats = NDArray[np.float64]
Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Metric:
    """The figure that ranks programs: the mean over the evaluation images of a score an image.

    Attributes:
        name: as it is written in tables and in JSON. better: which end is better.
        interval: the score's 95 % interval, given the score, the number of images, and the score of each image if that
            is known; it tells how another sample of images would move the score. None if it can't be told.
        shown: a score, or the spread of scores, in words.
        gain: a difference of two scores in words; of a gain it is positive if the child is better (`over`).
        unit: of the difference, as `gain` shows it; "" if it has none.
        factor, sign: an axis and a column of a table show `factor` times the score, under this sign, which follows a
            number at once. digits: after the point, if the score is told exactly.
        limits: between which every score lies.
    """

    name: str
    better: Better
    interval: Callable[[float, int, Floats | None], Estimate | None]
    shown: Callable[[float], str]
    gain: Callable[[float], str]
    unit: str
    factor: float = 1.0
    sign: str = ""
    digits: int = 2
    limits: tuple[float, float] = (-inf, inf)

    def over(self, child: float, parent: float) -> float:
        """The gain of a score over another: positive if it is better, whichever end is."""
        return child - parent if self.better == "higher" else parent - child

    def key(self, score: float) -> float:
        """A sort key: the best score first."""
        return -score if self.better == "higher" else score

    def best(self, scores: Iterable[float]) -> float | None:
        """None of no scores."""
        return min(scores, key=self.key, default=None)

    def column(self, score: float, digits: int | None = None) -> str:
        """A score as a number in a column that `heading` names."""
        return f"{self.factor * score:.{self.digits if digits is None else digits}f}"

    def said(self, score: float) -> str:
        """A score in a sentence, as "90.3 % accuracy"."""
        shown = self.shown(score)
        return f"{shown.replace(self.sign, f' {self.sign.strip()}') if self.sign else shown} {self.name}"

    def moved(self, gain: float) -> str:
        """By how much the score itself rose (+) or fell (-) for a gain, with its unit."""
        return self.points(gain if self.better == "higher" else -gain)

    @property
    def heading(self) -> str:
        """The name with the sign, as "accuracy (%)"."""
        return f"{self.name} ({self.sign.strip()})" if self.sign else self.name

    def points(self, gain: float) -> str:
        """A gain with its unit."""
        return f"{self.gain(gain)} {self.unit}".rstrip()


class Task(Protocol):
    """What the parent process does with a network's outputs; the targets never enter the child."""

    @property
    def name(self) -> str: ...
    @property
    def metric(self) -> Metric: ...
    def out_shape(self, classes: int, in_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of one image's output. classes: number of classes. in_shape: (1, channels, height, width)."""

    def target(self, x: NDArray[np.uint8], y: NDArray[Any]) -> NDArray[Any]:
        """What the outputs for images should be, [n, ...], of the type and shape that the child's half names.

        x: [n, channels, height, width]. y: [n, ...], as the data set gives it.
        """

    def scores(self, outputs: NDArray[np.float32], target: NDArray[Any]) -> Floats:
        """The metric of each image, float64 [n]. outputs: [n, *out_shape], finite. target: [n, ...]."""

    def packed(self, scores: Floats) -> bytes:
        """The scores as they are kept with a training."""

    def unpacked(self, packed: bytes, n: int) -> Floats:
        """The scores of n images. Raises ValueError if the bytes are of another number of images."""


@runtime_checkable
class Sorts(Protocol):
    """What a task has beside all others whose networks name a class for each image."""

    def confusion(self, outputs: NDArray[np.float32], target: NDArray[Any]) -> Confusion:
        """What is taken for what. Arguments as in `Task.scores`."""


@runtime_checkable
class Describes(Protocol):
    """What a task has whose outputs are worth more figures than the one that ranks."""

    def further(self, outputs: NDArray[np.float32], target: NDArray[Any]) -> tuple[tuple[str, float], ...]:
        """Means over the images by name. Arguments as in `Task.scores`."""


@runtime_checkable
class Shows(Protocol):
    """What a task has whose outputs can be looked at."""

    def picture(self, x: NDArray[np.uint8], outputs: NDArray[np.float32], target: NDArray[Any]) -> bytes:
        """A PNG of what became of some images x, [n, channels, height, width]. Others as in `Task.scores`."""


def _share(score: float, n: int, per_image: Floats | None) -> Estimate | None:  # noqa: ARG001
    if n < 1 or not isfinite(score) or not 0 <= score <= 1:
        return None
    found = wilson(score * n, n)
    return Estimate(score, found.low, found.high)


@dataclass(frozen=True, slots=True)
class Classify:
    """An image belongs to the class of its largest logit; the metric is accuracy, the share of images that are right.

    The score of an image is 0 or 1 and is kept as one bit.
    """

    name: str = "classify"
    metric: Metric = Metric(
        "accuracy",
        "higher",
        _share,
        lambda score: f"{score:.1%}",
        # Adding 0.0 turns -0.0 into 0.0.
        lambda gain: f"{round(100 * gain, 1) + 0.0:+.1f}",
        "points",
        factor=100,
        sign="%",
        limits=(0.0, 1.0),
    )

    def out_shape(self, classes: int, in_shape: tuple[int, ...]) -> tuple[int, ...]:  # noqa: ARG002
        return (classes,)

    def target(self, x: NDArray[np.uint8], y: NDArray[Any]) -> NDArray[Any]:  # noqa: ARG002
        return y

    def scores(self, outputs: NDArray[np.float32], target: NDArray[Any]) -> Floats:
        right: NDArray[np.bool_] = outputs.argmax(axis=1) == target
        return right.astype(np.float64)

    def confusion(self, outputs: NDArray[np.float32], target: NDArray[Any]) -> Confusion:
        named = np.stack([target, outputs.argmax(axis=1)], axis=1)
        pairs, counts = np.unique(named, axis=0, return_counts=True)
        return tuple((one, other, n) for (one, other), n in zip(pairs.tolist(), counts.tolist(), strict=True))

    def packed(self, scores: Floats) -> bytes:
        return np.packbits(scores > 0).tobytes()

    def unpacked(self, packed: bytes, n: int) -> Floats:
        if len(packed) != (n + 7) // 8:
            raise ValueError(f"{len(packed)} bytes are not the scores of {n} images")
        return np.unpackbits(np.frombuffer(packed, np.uint8), count=n).astype(float)


def _over_images(score: float, n: int, per_image: Floats | None) -> Estimate | None:
    """By Student's t over the images. None where their scores are not known."""
    found = None if per_image is None or len(per_image) != n else mean(per_image)
    return found and Estimate(score, min(score, found.low), max(score, found.high))


@dataclass(frozen=True, slots=True)
class Denoise:
    """A noisy image is to become the clean one. The metric is the PSNR of an image, in dB.

    An image is judged as it is deployed: outputs, on the scale 0 to 1, are clipped and rounded to 8 bits, and the error
    is over all its pixels and channels. `further` tells SSIM beside it. Scores are kept as float32.
    """

    name: str = "denoise"
    metric: Metric = Metric(
        "psnr",
        "higher",
        _over_images,
        lambda score: f"{score:.2f} dB",
        # Adding 0.0 turns -0.0 into 0.0.
        lambda gain: f"{round(gain, 2) + 0.0:+.2f}",
        "dB",
        sign=" dB",
        limits=(0.0, inf),
    )

    def out_shape(self, classes: int, in_shape: tuple[int, ...]) -> tuple[int, ...]:  # noqa: ARG002
        return in_shape[1:]

    def target(self, x: NDArray[np.uint8], y: NDArray[Any]) -> NDArray[Any]:  # noqa: ARG002
        return y

    def scores(self, outputs: NDArray[np.float32], target: NDArray[Any]) -> Floats:
        return psnr(in_levels(outputs), target)

    def further(self, outputs: NDArray[np.float32], target: NDArray[Any]) -> tuple[tuple[str, float], ...]:
        found = float(ssim(in_levels(outputs), target).mean())
        return (("ssim", found),) if isfinite(found) else ()

    def picture(self, x: NDArray[np.uint8], outputs: NDArray[np.float32], target: NDArray[Any]) -> bytes:
        return before_and_after(x, in_levels(outputs), target)

    def packed(self, scores: Floats) -> bytes:
        return scores.astype("<f4").tobytes()

    def unpacked(self, packed: bytes, n: int) -> Floats:
        if len(packed) != 4 * n:
            raise ValueError(f"{len(packed)} bytes are not the scores of {n} images")
        return np.frombuffer(packed, "<f4").astype(np.float64)


CLASSIFY, DENOISE = Classify(), Denoise()
TASKS: dict[str, Task] = {task.name: task for task in (CLASSIFY, DENOISE)}


def task_of(manifest: Mapping[str, object]) -> Task:
    """The task of a run, by its settings; runs that name none classify.

    Raises:
        DeltanasError: a task that this version does not know.
    """
    config = manifest.get("config")
    name = config.get("task", CLASSIFY.name) if isinstance(config, Mapping) else CLASSIFY.name
    if isinstance(name, str) and name in TASKS:
        return TASKS[name]
    raise DeltanasError(
        f"the run's task is {name!r}, and this version knows {', '.join(TASKS)}",
        "read it with the version that made it: the run's manifest names it",
    )


def image_scores(task: Task, trainings: Sequence[object]) -> Floats | None:
    """The mean score of each image over the trainings that ended well; None if one of them has not kept it."""
    scored = [each for each in trainings if isinstance(each, Trained)]
    if not scored or any(each.per_image is None for each in scored):
        return None
    kept = [task.unpacked(each.per_image, each.n) for each in scored if each.per_image is not None]
    return np.mean(kept, axis=0) if len({len(each) for each in kept}) == 1 else None
