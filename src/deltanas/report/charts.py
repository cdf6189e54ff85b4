"""Where the marks of a chart go; the templates draw them.

Across, places are percent of the plot's width and heights are pixels, so a chart fits any screen and its letters keep
their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import fmean, quantiles

from deltanas.intervals import Estimate
from deltanas.task import CLASSIFY, Metric

HEIGHT = 300
"""Height of a plot in pixels."""
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Point:
    """A scored network: its cycle, its group (one mark each), its score and what to say of it."""

    cycle: int
    group: str
    score: float
    title: str


@dataclass(frozen=True, slots=True)
class Dot:
    x: float
    y: float
    mark: int
    title: str


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line: a tick of the axis, or the mean of a cycle (with its centre and half its width)."""

    y: float
    text: str
    x: float = 50.0
    half: float = 50.0


@dataclass(frozen=True, slots=True)
class Strip:
    """A strip plot: a column of dots a cycle. `beyond` dots lie off the axis and are drawn on its worse end, `edge`."""

    ticks: tuple[Level, ...]
    columns: tuple[tuple[float, str], ...]
    dots: tuple[Dot, ...]
    best: Dot
    means: tuple[Level, ...]
    reference: Level | None
    groups: tuple[tuple[int, str, int], ...]
    beyond: int
    edge: str


@dataclass(frozen=True, slots=True)
class Whisker:
    """A mean with its interval; `before` is the place of the same group's one before it, to draw a line from."""

    x: float
    y: float
    low: float
    high: float
    mark: int
    title: str
    before: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Course:
    """Means over the cycles, a line for each group."""

    ticks: tuple[Level, ...]
    columns: tuple[tuple[float, str], ...]
    whiskers: tuple[Whisker, ...]
    groups: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from `low` to `high` with round `ticks`."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def part(self, value: float) -> float:
        """Where `value` lies between the ends: 0 at `low`, 1 at `high`, and never beyond."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def axis(low: float, high: float, limits: tuple[float, float]) -> Axis:
    """About five round steps that hold [low, high], within `limits`."""
    span = max(high - low, 1e-3)
    rough = span / 5
    power = 10.0 ** floor(log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    first, last = (first, last) if last > first else (first - 1, last + 1)
    ticks = [tick * step for tick in range(first, last + 1)]
    kept = tuple(tick for tick in ticks if limits[0] - 1e-9 <= tick <= limits[1] + 1e-9)
    return Axis(max(limits[0], ticks[0]), min(limits[1], ticks[-1]), kept)


def strip(points: Sequence[Point], reference: tuple[str, float] | None, metric: Metric = CLASSIFY.metric) -> Strip:
    """Lay out a strip plot. Raises ValueError if there is no point."""
    shown = _worth_room([p.score for p in points], metric)
    scale = axis(min(shown), max(shown), metric.limits)
    edge = scale.low if metric.better == "higher" else scale.high
    cycles = range(min(p.cycle for p in points), max(p.cycle for p in points) + 1)
    band = 100 / len(cycles)
    centre = {cycle: band * (place + 0.5) for place, cycle in enumerate(cycles)}
    groups = list(dict.fromkeys(p.group for p in points))
    dots = tuple(_dots(points, centre, band, groups, scale))
    top = min(range(len(points)), key=lambda place: metric.key(points[place].score))
    return Strip(
        ticks=tuple(Level(_height(scale, each), tick(each, scale, metric)) for each in scale.ticks),
        columns=tuple((centre[c], str(c) if _labelled(place, len(cycles)) else "") for place, c in enumerate(cycles)),
        dots=dots,
        best=dots[top],
        means=tuple(_means(points, centre, band, scale, metric)),
        reference=Level(_height(scale, reference[1]), reference[0]) if reference else None,
        groups=tuple((mark, group, sum(p.group == group for p in points)) for mark, group in enumerate(groups)),
        beyond=sum(not scale.low <= p.score <= scale.high for p in points),
        edge=tick(edge, scale, metric),
    )


def course(series: Sequence[tuple[str, Sequence[tuple[int, Estimate]]]], metric: Metric = CLASSIFY.metric) -> Course:
    """Lay out a chart of means: by group, (cycle, mean). Raises ValueError if there is none."""
    found = [(cycle, estimate) for _, points in series for cycle, estimate in points]
    scale = axis(min(e.low for _, e in found), max(e.high for _, e in found), metric.limits)
    cycles = range(min(cycle for cycle, _ in found), max(cycle for cycle, _ in found) + 1)
    band = 100 / len(cycles)
    whiskers = []
    for mark, (name, points) in enumerate(series):
        # Side by side in their cycle, so that none hides another's interval.
        aside = band * 0.4 * ((mark + 0.5) / len(series) - 0.5)
        before = None
        for cycle, e in points:
            x, y = band * (cycle - cycles[0] + 0.5) + aside, _height(scale, e.value)
            value, low, high = map(metric.shown, (e.value, e.low, e.high))
            title = f"{name}, cycle {cycle}: {value} ({low} to {high})"
            whiskers.append(Whisker(x, y, _height(scale, e.low), _height(scale, e.high), mark + 1, title, before))
            before = (x, y)
    return Course(
        ticks=tuple(Level(_height(scale, each), tick(each, scale, metric)) for each in scale.ticks),
        columns=tuple(
            (band * (place + 0.5), str(cycle) if _labelled(place, len(cycles)) else "")
            for place, cycle in enumerate(cycles)
        ),
        whiskers=tuple(whiskers),
        groups=tuple((mark, name) for mark, (name, _) in enumerate(series, 1)),
    )


def tick(score: float, scale: Axis, metric: Metric) -> str:
    """A tick's text with as many digits as the steps of the axis need."""
    step = scale.ticks[1] - scale.ticks[0] if len(scale.ticks) > 1 else 0.01
    return metric.column(score, max(0, ceil(-log10(metric.factor * step) - 1e-9)))


def _dots(
    points: Iterable[Point], centre: dict[int, float], band: float, groups: list[str], scale: Axis
) -> Iterable[Dot]:
    seen: dict[int, int] = {}
    for point in points:
        place = seen[point.cycle] = seen.get(point.cycle, -1) + 1
        # The multiples of the golden ratio spread evenly however many there are, and the same way each time.
        jitter = ((place * _GOLDEN + 0.5) % 1 - 0.5) * 0.62 * band
        yield Dot(centre[point.cycle] + jitter, _height(scale, point.score), groups.index(point.group), point.title)


def _means(
    points: Sequence[Point], centre: dict[int, float], band: float, scale: Axis, metric: Metric
) -> Iterable[Level]:
    for place, cycle in enumerate(centre):
        column = [p.score for p in points if p.cycle == cycle]
        if column:
            text = metric.column(fmean(column), metric.digits - 1) if _labelled(place, len(centre)) else ""
            yield Level(_height(scale, fmean(column)), text, centre[cycle], band * 0.4)


def _labelled(place: int, count: int) -> bool:
    """Whether a column carries a label: eight or so of them have room on a phone."""
    return place % ceil(count / 8) == 0


def _height(scale: Axis, value: float) -> float:
    return HEIGHT * (1 - scale.part(value))


def _worth_room(scores: Sequence[float], metric: Metric) -> list[float]:
    """The scores worth room on the axis: poor ones, by three quartile ranges and more, would flatten the rest."""
    if len(scores) < 8:
        return list(scores)
    heights = [-metric.key(score) for score in scores]
    first, _, third = quantiles(heights, n=4)
    fence = first - 3 * max(third - first, 0.5 / metric.factor)
    return [score for score, height in zip(scores, heights, strict=True) if height >= fence]
