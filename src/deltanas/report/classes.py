"""What the final networks name right, class by class, and what they take for what, on the test images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from deltanas.intervals import wilson
from deltanas.program import Confusion, Trained
from deltanas.records import Final
from deltanas.report.reading import AbsentError, Reading, label
from deltanas.train.data import class_names, order_told

MOST = 20
"""Number of classes up to which all are shown; of more the worst are, and the largest confusions."""
WORST = 10
_SHADES = 5


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Of the images of one class.

    Attributes:
        output: number of the class, which is the network's output for it. n: number of images. right: of them named so.
        accuracy, low, high: share of these with its 95 % interval (Wilson); None without images.
        mistaken: the class that most of the others were taken for, "" for none.
    """

    output: int
    name: str
    n: int
    right: int
    accuracy: float | None
    low: float | None
    high: float | None
    mistaken: str


@dataclass(frozen=True, slots=True)
class Confused:
    """A confusion. count: number of images of the class `name` taken for `named`; of: number of its images."""

    name: str
    named: str
    count: int
    of: int


@dataclass(frozen=True, slots=True)
class ClassScores:
    """A network on the test images: `classes` by output, `confused` with the largest number first."""

    program: str
    name: str
    baseline: bool
    score: float
    n: int
    seed: int
    classes: tuple[ClassScore, ...]
    confused: tuple[Confused, ...]

    @property
    def worst(self) -> list[ClassScore]:
        return least_accurate(self.classes)

    def shades(self) -> list[tuple[ClassScore, list[tuple[int, int]]]]:
        """The confusion table: for each class and each named one the number of images, and its shade from 0 to 5."""
        counts = {(each.name, each.named): each.count for each in self.confused}
        counts |= {(each.name, each.name): each.right for each in self.classes}
        rows = []
        for row in self.classes:
            cells = [counts.get((row.name, other.name), 0) for other in self.classes]
            rows.append((row, [(count, ceil(_SHADES * count / max(1, row.n))) for count in cells]))
        return rows


def least_accurate(classes: Sequence[ClassScore]) -> list[ClassScore]:
    """The classes with images, the least accurate first; of several alike the one with more images."""
    return sorted((each for each in classes if each.n), key=lambda each: (each.right / each.n, -each.n, each.output))


def class_scores(confusion: Confusion, names: Sequence[str]) -> tuple[ClassScore, ...]:
    taken: list[dict[int, int]] = [{} for _ in names]
    for true, named, count in confusion:
        taken[true][named] = count
    return tuple(_class_score(mine, names, output) for output, mine in enumerate(taken))


def _class_score(mine: dict[int, int], names: Sequence[str], output: int) -> ClassScore:
    """mine: for how many images of the class each output was named."""
    n, right = sum(mine.values()), mine.pop(output, 0)
    bounds = wilson(right, n) if n else None
    most = max(mine, key=lambda named: (mine[named], -named), default=None)
    return ClassScore(
        output=output,
        name=names[output],
        n=n,
        right=right,
        accuracy=bounds.value if bounds else None,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        mistaken="" if most is None else names[most],
    )


def confused(confusion: Confusion, names: Sequence[str]) -> tuple[Confused, ...]:
    of = {true: 0 for true, _, _ in confusion}
    for true, _, count in confusion:
        of[true] += count
    wrong = sorted((one for one in confusion if one[0] != one[1]), key=lambda one: (-one[2], one[0], one[1]))
    return tuple(Confused(names[true], names[named], count, of[true]) for true, named, count in wrong)


def names_of(reading: Reading) -> tuple[str, ...]:
    """Of the classes of the run's data, as far as its record tells; their numbers else."""
    data = reading.view.manifest.get("data")
    record = data if isinstance(data, dict) else {}
    names, classes = record.get("names") or (), record.get("classes") or 0
    told = [o.confusion for f in reading.view.finals if isinstance(o := f.outcome, Trained) and o.confusion]
    known = max([int(classes), *(1 + max(true, named) for each in told for true, named, _ in each)])
    return class_names(names, known)


def by_class(reading: Reading) -> tuple[ClassScores, ...]:
    """The finals whose confusions are known: the best of the search first, as the validation images ranked them."""
    names, found = names_of(reading), []
    ranks = {c.program.id: rank for rank, c in enumerate(reading.ranked()) if c.program}
    for final in sorted(reading.view.finals, key=lambda each: ranks.get(each.program, len(ranks))):
        if isinstance(final.outcome, Trained) and final.outcome.confusion is not None:
            found.append(_scores(reading, final, final.outcome, final.outcome.confusion, names))
    return tuple(found)


def _scores(
    reading: Reading, final: Final, outcome: Trained, confusion: Confusion, names: Sequence[str]
) -> ClassScores:
    holder = reading.holder(final.program)
    shown = label(holder) if holder else final.program[:8]
    baseline = holder is not None and holder.cycle == 0
    known = (outcome.score, outcome.n, outcome.seed)
    return ClassScores(
        final.program, shown, baseline, *known, class_scores(confusion, names), confused(confusion, names)
    )


def classes_card(reading: Reading) -> dict[str, object]:
    if not reading.view.finals:
        raise AbsentError("No final scores yet: they are taken once, on the test images, after the last cycle.")
    found = by_class(reading)
    if not found:
        raise AbsentError(
            "What the final networks took for what was not kept: no final training gave a score, or the "
            "run was scored by an older version."
        )
    names = names_of(reading)
    return {"networks": found, "whole": len(names) <= MOST, "worst": WORST, "order": order_told(names)}
