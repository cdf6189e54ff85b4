"""Measured edits of the transform, from transforms that others measured: each is an edit of none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import cast

from deltanas.learn.measured import MeasuredEdit
from deltanas.learn.noise import gain_noise, training_noise
from deltanas.program import prm_text
from deltanas.program.transforms import MENU, Step, Value, transform_text

FEWEST_NONE = 4
"""Trainings without a transform that are enough to tell the gain of the others."""

_ONES, _ZEROS = (1.0, 1.0), (0.0, 0.0)
_STILL: Mapping[str, Mapping[str, Value]] = {
    "CenterCrop": {"size": 1.0},
    "Pad": {"padding": 0.0},
    "RandomCrop": {"padding": 0.0, "size": 1.0},
    "RandomRotation": {"degrees": _ZEROS},
    "RandomAffine": {"degrees": _ZEROS, "translate": _ZEROS, "scale": _ONES, "shear": _ZEROS},
    "RandomPerspective": {"distortion_scale": 0.0},
    "ColorJitter": {"brightness": _ONES, "contrast": _ONES, "saturation": _ONES, "hue": _ZEROS},
    "RandomPosterize": {"bits": 8.0},
    "RandomSolarize": {"threshold": 256.0},
    "RandomAdjustSharpness": {"sharpness_factor": 1.0},
}
"""Parameters with which an operation does nothing. A test compares them with the bytes that come out."""


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
    """Whether an operation of the menu leaves every square image as it is, by its parameters."""
    named = dict(zip((one.name for one in MENU[step.name].parameters), step.values, strict=True))
    if named.get("p") == 0:
        return True
    if step.name == "RandomResizedCrop":
        low, high = cast("tuple[float, float]", named["ratio"])
        return named["scale"] == _ONES and low <= 1 <= high
    still = _STILL.get(step.name, {})
    return bool(still) and all(named[name] == value for name, value in still.items())


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
