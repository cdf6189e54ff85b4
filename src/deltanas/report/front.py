"""The front of a run with several objectives: who stands on it, at what price, and how much it covers by cycle."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor, log10

import numpy as np

from deltanas.objective import COSTS, Objective, figures, front, hypervolume, improves, score_of, stored_objectives
from deltanas.prices import Price, prices
from deltanas.program import Trained
from deltanas.records import Candidate
from deltanas.report import charts
from deltanas.report.reading import AbsentError, Reading, label

MOST_DOTS = 1500
"""Networks that are drawn beside the front, at most: spread evenly over the run."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A network of the front.

    Attributes:
        root: short name of the baseline of its line. score, low, high: with the metric's 95 % interval.
        improves: it dominates its parent; None for a baseline.
    """

    program: str
    name: str
    baseline: bool
    root: str
    score: float
    low: float | None
    high: float | None
    prices: tuple[Price, ...]
    improves: bool | None


@dataclass(frozen=True, slots=True)
class Advance:
    """The front after a cycle.

    Attributes:
        known: networks of the cycle with a figure for each objective. improved: those of them that dominate their
            parent or stand on the front after the cycle. size: of the front.
        volume: hypervolume; None without a baseline that has all figures.
    """

    cycle: int
    known: int
    improved: int
    size: int
    volume: float | None


@dataclass(frozen=True, slots=True)
class Front:
    """members: by the first objective, the best first. reference: the point from which the hypervolume is counted."""

    objectives: tuple[str, ...]
    members: tuple[Standing, ...]
    cycles: tuple[Advance, ...]
    reference: dict[str, float]


def standing_front(reading: Reading) -> Front | None:
    """None for a run with one objective."""
    objectives = stored_objectives(reading.view.manifest)
    if len(objectives) < 2:
        return None
    cycles, members, reference = _advances(reading, objectives)
    return Front(
        tuple(one.name for one in objectives),
        tuple(_standing(reading, one, objectives) for one in members),
        tuple(cycles),
        reference,
    )


def _standing(reading: Reading, candidate: Candidate, objectives: Sequence[Objective]) -> Standing:
    line = reading.lineage(candidate)
    assert isinstance(candidate.outcome, Trained)
    bounds = reading.interval(candidate)
    return Standing(
        program=candidate.program.id if candidate.program else "",
        name=label(candidate),
        baseline=candidate.cycle == 0,
        root=label(line.steps[0]),
        score=candidate.outcome.score,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        prices=prices(candidate, reading.journal),
        improves=improves(candidate, line.parent, objectives) if line.parent else None,
    )


def _advances(
    reading: Reading, objectives: Sequence[Objective]
) -> tuple[list[Advance], list[Candidate], dict[str, float]]:
    reference, unit = _scale(reading.baselines, objectives)
    advances, members = [], list[Candidate]()
    for cycle, group in groupby(reading.view.candidates, key=lambda row: row.cycle):
        rows = [row for row in group if figures(row, objectives) is not None]
        members = front([*members, *rows], objectives)
        stands = {(row.cycle, row.index) for row in members}
        improved = sum((row.cycle, row.index) in stands or _improves(reading, row, objectives) for row in rows if cycle)
        volume = None
        if len(unit):
            points = np.array([figures(row, objectives) for row in members]).reshape(-1, len(objectives))
            volume = hypervolume((reference - points) / unit)
        advances.append(Advance(cycle, len(rows), improved, len(members), volume))
    told = {
        one.name: float(-at if one.better == "higher" else at) + 0.0
        for one, at in zip(objectives, reference, strict=False)
    }
    return advances, members, told


def _improves(reading: Reading, row: Candidate, objectives: Sequence[Objective]) -> bool:
    parent = reading.holder(row.parent) if row.parent else None
    return parent is not None and improves(row, parent, objectives)


def _scale(
    baselines: Sequence[Candidate], objectives: Sequence[Objective]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """The reference point and its distance from the far corner, lower is better; empty without a known baseline.

    What should be high counts from 0 and in units of the best baseline, a cost from twice the worst one and in units of
    that: the far corner is as good as the best baseline and free.
    """
    known = [values for row in baselines if (values := figures(row, objectives)) is not None]
    reference, unit = [], []
    for column, objective in zip(zip(*known, strict=True), objectives, strict=bool(known)):
        high = objective.better == "higher"
        reference.append(0.0 if high else 2 * max(column))
        unit.append((abs(min(column)) if high else 2 * max(column)) or 1.0)
    return np.array(reference), np.array(unit)


@dataclass(frozen=True, slots=True)
class Plane:
    """The metric over one cost, on a logarithmic axis.

    Attributes:
        columns: (place in percent, label). dots: mark 0 baselines, 1 the rest. rings: places of the front, in order.
        left_out: networks that are not drawn, to keep the page small.
    """

    cost: str
    ticks: tuple[charts.Level, ...]
    columns: tuple[tuple[float, str], ...]
    dots: tuple[charts.Dot, ...]
    rings: tuple[charts.Dot, ...]
    left_out: int


def front_card(reading: Reading) -> dict[str, object]:
    """What the template `front` needs. Raises AbsentError where there is no front."""
    found = standing_front(reading)
    if found is None:
        raise AbsentError("This run has one objective, so there is no front.")
    if not found.members:
        raise AbsentError("No network has a figure for each objective yet.")
    metric, objectives = score_of(reading.task), stored_objectives(reading.view.manifest)
    names = [name for name in found.objectives if name != metric.name]
    members = {one.name for one in found.members}
    return {
        "front": found,
        "planes": [plane(reading, members, COSTS[name], objectives) for name in names],
        "height": charts.HEIGHT,
        "reference": ", ".join(f"{one.name} {one.shown(found.reference[one.name])}" for one in objectives),
        "axis": reading.metric.heading,
    }


def plane(reading: Reading, members: Collection[str], cost: Objective, objectives: Sequence[Objective]) -> Plane:
    """All networks whose figures are known. members: labels of those on the front."""
    metric = score_of(reading.task)
    rows = [row for row in reading.view.candidates if figures(row, objectives) is not None]
    others = [row for row in rows if label(row) not in members]
    drawn = others[:: ceil(len(others) / MOST_DOTS) or 1]
    chosen = [row for row in rows if label(row) in members]
    points = [(row, row.score or 0.0, log10(max(cost.of(row) or 0.0, 1e-6))) for row in [*drawn, *chosen]]
    scores = [score for _, score, _ in points]
    up = charts.axis(min(scores), max(scores), reading.metric.limits)
    low, high = min(x for *_, x in points), max(x for *_, x in points)
    margin = max(0.05 * (high - low), 0.05)
    low, high = low - margin, high + margin

    def dot(row: Candidate, score: float, x: float) -> charts.Dot:
        title = f"{label(row)}: {metric.shown(score)}, {cost.name} {cost.shown(cost.of(row) or 0.0)}"
        place = 100 * (x - low) / (high - low)
        return charts.Dot(place, charts.HEIGHT * (1 - up.part(score)), int(row.cycle > 0), title)

    dots = {label(row): dot(row, score, x) for row, score, x in points}
    return Plane(
        cost=cost.name,
        ticks=tuple(
            charts.Level(charts.HEIGHT * (1 - up.part(tick)), charts.tick(tick, up, reading.metric))
            for tick in up.ticks
        ),
        columns=tuple((100 * (log10(value) - low) / (high - low), cost.shown(value)) for value in _decades(low, high)),
        dots=tuple(dots.values()),
        rings=tuple(sorted((dots[name] for name in members), key=lambda mark: mark.x)),
        left_out=len(others) - len(drawn),
    )


def _decades(low: float, high: float) -> list[float]:
    """Round values between two powers of ten: 1, 2 and 5 of each decade, or less where these are many."""
    steps = (1, 2, 5) if high - low < 3 else (1,)
    values = [step * 10.0**power for power in range(floor(low), ceil(high) + 1) for step in steps]
    return [value for value in values if low <= log10(value) <= high]
