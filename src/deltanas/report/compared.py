"""Treatments compared over blocks, drawn: ranks with their critical difference, a map of scores, curves over a rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from deltanas.intervals import Estimate
from deltanas.report import charts
from deltanas.task import CLASSIFY

STEP = 24
"""Height of a line of labels in a rank diagram, in pixels."""
_TOP = 58
_SIDE = 27.0
"""Part of the width that labels take on either side of the axis, in percent: enough on a phone."""
_TINTS = 6


@dataclass(frozen=True, slots=True)
class Label:
    """A treatment: where it stands on the axis, and at which height its name. left: on which side."""

    x: float
    y: float
    left: bool
    name: str
    rank: str


@dataclass(frozen=True, slots=True)
class Bar:
    """From one place of the axis to another."""

    low: float
    high: float
    y: float


@dataclass(frozen=True, slots=True)
class RankDiagram:
    """Mean ranks on an axis, the best on the left; bars join those within the critical difference, `unit` long."""

    height: int
    axis: Bar
    ticks: tuple[tuple[float, int], ...]
    labels: tuple[Label, ...]
    bars: tuple[Bar, ...]
    unit: Bar
    difference: str


def rank_diagram(
    ranks: Sequence[tuple[str, float]], cliques: Sequence[Sequence[int]], difference: float
) -> RankDiagram:
    """ranks: (name, mean rank) of each treatment. cliques: places of those that are not told apart."""
    most = len(ranks)

    def across(rank: float) -> float:
        return _SIDE + (100 - 2 * _SIDE) * (rank - 1) / (most - 1)

    bars = [Bar(across(min(r)) - 0.6, across(max(r)) + 0.6, 0.0) for c in cliques if (r := [ranks[i][1] for i in c])]
    stacked = _stacked(bars)
    below = _TOP + 10 * (1 + max((int(bar.y) for bar in stacked), default=-1)) + 8
    order = sorted(range(most), key=lambda place: ranks[place][1])
    half = ceil(most / 2)
    labels = []
    for number, place in enumerate(order):
        left = number < half
        line = number if left else most - 1 - number
        name, rank = ranks[place]
        labels.append(Label(across(rank), below + STEP * (line + 1), left, name, f"{rank:.2f}"))
    return RankDiagram(
        below + STEP * half + 12,
        Bar(across(1), across(most), _TOP - 8),
        tuple((across(rank), rank) for rank in range(1, most + 1)),
        tuple(labels),
        tuple(Bar(bar.low, bar.high, _TOP + 10 * bar.y) for bar in stacked),
        Bar(across(1), across(min(most, 1 + difference)), 14),
        f"{difference:.2f}",
    )


def _stacked(bars: Iterable[Bar]) -> list[Bar]:
    """Each bar on the first line where it touches no other."""
    ends: list[float] = []
    found = []
    for bar in bars:
        line = next((place for place, end in enumerate(ends) if end < bar.low), len(ends))
        ends[line : line + 1] = [bar.high]
        found.append(Bar(bar.low, bar.high, line))
    return found


@dataclass(frozen=True, slots=True)
class Cell:
    """A mean score with its interval, and its tint from 0 (the lowest of the map) up.

    half: half the width of the interval, in points; "" without one. failed: number of trainings.
    """

    text: str
    half: str
    tint: int
    title: str
    failed: int = 0


def cell(name: str, score: Estimate, known: bool, ends: tuple[float, float], failed: int = 0) -> Cell:
    """known: there is an interval. ends: the lowest and the highest score of the map."""
    low, high = ends
    tint = min(_TINTS - 1, int(_TINTS * (score.value - low) / (high - low))) if high > low else 0
    interval = f" ({100 * score.low:.1f} to {100 * score.high:.1f})" if known else ", one training"
    lost = f"; {failed} failed" if failed else ""
    half = f"{50 * (score.high - score.low):.1f}" if known else ""
    title = f"{name}: {100 * score.value:.1f} %{interval}{lost}"
    return Cell(f"{100 * score.value:.1f}", half, tint, title, failed)


@dataclass(frozen=True, slots=True)
class Curves:
    """Scores over a logarithmic rate, a line for each of `groups` (mark, name)."""

    ticks: tuple[charts.Level, ...]
    columns: tuple[tuple[float, str], ...]
    whiskers: tuple[charts.Whisker, ...]
    groups: tuple[tuple[int, str], ...]


def curves(series: Sequence[tuple[str, Sequence[tuple[float, Estimate]]]]) -> Curves:
    """By name, (rate, mean score). Raises ValueError if there is no point."""
    points = [(log10(rate), estimate) for _, line in series for rate, estimate in line]
    low, high = min(x for x, _ in points) - 0.15, max(x for x, _ in points) + 0.15
    metric = CLASSIFY.metric
    scale = charts.axis(min(e.value for _, e in points), max(e.value for _, e in points), metric.limits)

    def up(value: float) -> float:
        return charts.HEIGHT * (1 - scale.part(value))

    whiskers = []
    for mark, (name, line) in enumerate(series, 1):
        before = None
        for rate, e in line:
            x, y = 100 * (log10(rate) - low) / (high - low), up(e.value)
            title = f"{name}, rate {rate:.3g}: {100 * e.value:.1f} % ({100 * e.low:.1f} to {100 * e.high:.1f})"
            whiskers.append(charts.Whisker(x, y, up(e.low), up(e.high), mark, title, before))
            before = (x, y)
    decades = range(ceil(low), floor(high) + 1)
    return Curves(
        tuple(charts.Level(up(each), charts.tick(each, scale, metric)) for each in scale.ticks),
        tuple((100 * (power - low) / (high - low), f"{10.0**power:g}") for power in decades),
        tuple(whiskers),
        tuple((mark, name) for mark, (name, _) in enumerate(series, 1)),
    )
