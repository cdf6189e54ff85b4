"""How far chance alone moves a gain, by trainings of the same program with other seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from statistics import variance

SHARE = (0.0, 1.0)
"""`Metric.limits` of a share of the images."""
FEWEST = 4
"""Repeats beyond each program's first that a family needs to speak for itself; with fewer it takes the noise of all."""


def training_noise(repeats: Iterable[tuple[str, Sequence[float]]]) -> Mapping[str, float]:
    """By family, the standard deviation of one training's accuracy over seeds; under "" that of all families.

    Pooled over programs, as two or three seeds of one program tell little of its own. Families differ: some networks
    are moved by their seed four times as much as others. Empty where nothing was trained twice.

    repeats: a family, and the accuracies of one of its programs, all trained alike but for the seed.
    """
    squares: dict[str, float] = {}
    freedom: dict[str, int] = {}
    for family, accuracies in repeats:
        if len(accuracies) > 1:
            for name in {family, ""}:
                squares[name] = squares.get(name, 0.0) + variance(accuracies) * (len(accuracies) - 1)
                freedom[name] = freedom.get(name, 0) + len(accuracies) - 1
    return {name: sqrt(squares[name] / freedom[name]) for name in squares if not name or freedom[name] >= FEWEST}


def gain_noise(known: Mapping[str, float], family: str, child: int, parent: int) -> float | None:
    """Standard error of the gain between two means, given the number of seeds of each; None where no noise is known."""
    one = known.get(family, known.get(""))
    return None if one is None else one * sqrt(1 / child + 1 / parent)


def scoring_noise(before: float, after: float, n: int) -> float:
    """Standard error of a gain in a share that comes of scoring on no more than `n` images. That of seeds is on top."""
    return sqrt((before * (1 - before) + after * (1 - after)) / n)
