"""Measured edits of the transform, from transforms that others measured: each is an edit of none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from deltanas.learn.measured import MeasuredEdit
from deltanas.learn.noise import gain_noise, training_noise
from deltanas.program import prm_text
from deltanas.program.transforms import Step, transform_text

FEWEST_NONE = 4
"""Trainings without a transform that are enough to tell the gain of the others."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One training with a transform.

    Attributes:
        steps: what it does. text: its text as it was trained; trainings of one text tell the noise.
        prm: hyperparameters of the training.
    """

    name: str
    steps: tuple[Step, ...]
    text: str
    accuracy: float
    prm: Mapping[str, float]


def is_idle(step: Step) -> bool:
    """Whether an operation of the menu leaves every image as it is, by its parameters."""
    match step.name, step.values:
        case ("Pad", (padding, *_)):
            return padding == 0
        case ("CenterCrop", (size,)):
            return size == 1
        case ("RandomCrop", (padding, size)):
            return padding == 0 and size == 1
        case ("RandomRotation", (degrees,)):
            return degrees == (0.0, 0.0)
        case ("RandomPosterize", (bits, _)):
            return bits == 8
        case _:
            return False


def transform_edits(scored: Iterable[Scored], origin: str) -> list[MeasuredEdit]:
    """An edit for each policy: from none to it. Its gain is over the mean of all trainings without a policy.

    A policy that was trained several times is one edit, with the mean. A family is the operations of a policy, in any
    order and at any strength. Operations that do nothing are left out.

    Returns no edit where fewer than `FEWEST_NONE` trainings had no policy.
    """
    same: dict[str, list[float]] = defaultdict(list)
    policies: dict[tuple[Step, ...], list[Scored]] = defaultdict(list)
    for one in scored:
        same[one.text].append(one.accuracy)
        policies[tuple(step for step in one.steps if not is_idle(step))].append(one)
    none = policies.pop((), [])
    if len(none) < FEWEST_NONE:
        return []
    before = fmean(one.accuracy for one in none)
    noise = training_noise(("", accuracies) for accuracies in same.values())
    return [_edit(steps, those, before, gain_noise(noise, "", len(those), len(none)), origin)
            for steps, those in policies.items()]  # fmt: skip


def _edit(
    steps: Sequence[Step], those: Sequence[Scored], before: float, noise: float | None, origin: str
) -> MeasuredEdit:
    accuracy = fmean(one.accuracy for one in those)
    return MeasuredEdit(
        family="+".join(sorted(step.name for step in steps)),
        source="",
        edit=insertion(steps),
        gain=accuracy - before,
        accuracy=accuracy,
        noise=noise,
        before=before,
        origin=f"{origin} {those[0].name}",
        part="transform",
        prm=prm_text(those[0].prm),
    )


def insertion(steps: Sequence[Step]) -> str:
    """The edit of a transform without operations that gives it these."""
    old, new = (_returned(transform_text(some)) for some in ((), steps))
    return f"<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE"


def _returned(text: str) -> str:
    lines = text.splitlines(keepends=True)
    first = next(place for place, line in enumerate(lines) if line.lstrip().startswith("return"))
    return "".join(lines[first:])
