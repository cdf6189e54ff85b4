"""What became of a candidate. A refusal is a record; a failure is a status, never a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev
from typing import Literal

Stage = Literal["parse", "apply", "contract", "build", "step", "limit", "novelty", "ranked"]
"""Where a proposal can be refused, in this order: no edit can be read, it does not apply, the static contract, it does
not build or gives a wrong output, its first training steps fail, it is larger than the run allows, novelty; "ranked":
it passed all of them, and another of the slot's proposals was chosen."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Not trained: `stage` says which gate refused it and `reason` why, in words that can go back to the model."""

    stage: Stage
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Training began and gave no score.

    Attributes:
        kind: "timeout", "memory", "crash", "error" (the program raised), "output" (logits of a wrong
            size or not finite).
        seconds, cpu_seconds: wall and CPU time, measured by the parent of the child process.
        tier: the sandbox's strength, "A" to "C" (docs/security.md).
        epochs: as in `Trained`.
    """

    kind: Literal["timeout", "memory", "crash", "error", "output"]
    reason: str
    seconds: float
    cpu_seconds: float
    tier: str
    epochs: int = 0


Confusion = tuple[tuple[int, int, int], ...]
"""Of a classifier: (class of the image, class that the network names, number of images), sorted, without zeros."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A score.

    Attributes:
        score: mean over the evaluation images, in the unit of the task's first metric (accuracy: share in [0, 1]).
        n: number of evaluation images.
        seed: seed of the initial weights and of the order of the batches; the first one's of several trainings.
        seconds, cpu_seconds: wall and CPU time, measured by the parent of the child process.
        tier: the sandbox's strength, "A" to "C".
        per_image: score of each evaluation image in the order of the data set, as the task packs them
            (`task.Task.unpacked`). None for several trainings together, or where a run of 0.1.0 has none.
        confusion: what the network takes for what, on the test split alone; None elsewhere, where the task has no
            classes, and where a run of 0.2.0 or before has none.
        epochs: length of the training, the number of passes over the training images; of several trainings that of the
            longest, which the score is of. 0 where it is not known.
        picture: PNG of the worst, the median and the best of the test images, before and after; None elsewhere, and
            where the task has nothing to look at.
        further: other figures of the same outputs by name, means over the images, as the task tells them
            (`task.Describes`); no archive keeps them.
        cached: it was not made for this run, but read from an earlier run on this machine (`sandbox.kept`).
    """

    score: float
    n: int
    seed: int
    seconds: float
    cpu_seconds: float
    tier: str
    per_image: bytes | None = field(default=None, repr=False)
    confusion: Confusion | None = field(default=None, repr=False)
    epochs: int = 0
    cached: bool = False
    picture: bytes | None = field(default=None, repr=False)
    further: tuple[tuple[str, float], ...] = ()


Outcome = Refused | Failed | Trained


def combined(trainings: Sequence[Trained | Failed]) -> Trained | Failed:
    """What several trainings of one program come to: a score with all the time spent, or the first failure.

    The score is the mean over the longest ones: a network that was trained for one epoch and for nine has the score
    after nine. Raises ValueError if there is none.
    """
    if not trainings:
        raise ValueError("no training, no outcome")
    failed = next((each for each in trainings if isinstance(each, Failed)), None)
    seconds, cpu = sum(each.seconds for each in trainings), sum(each.cpu_seconds for each in trainings)
    if failed is not None:
        return replace(failed, seconds=seconds, cpu_seconds=cpu)
    longest = max(each.epochs for each in trainings)
    scores = [each for each in trainings if isinstance(each, Trained) and each.epochs == longest]
    if len(trainings) == 1:
        return scores[0]
    score = fmean(each.score for each in scores)
    return replace(scores[0], score=score, seconds=seconds, cpu_seconds=cpu, per_image=None, confusion=None)


def standard_error(scores: Sequence[float]) -> float | None:
    """Standard error of the mean over trainings that differ only in their seeds; None for fewer than two."""
    return stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else None
