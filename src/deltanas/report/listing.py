"""The list of the runs of a folder: what each came to, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from deltanas.report import charts
from deltanas.report.page import Live, Part, environment, framed
from deltanas.task import Metric

TILES = 4
"""Number of data sets whose best run is told above the list."""
ORDER = ("running", "finished", "stopped", "broken")


@dataclass(frozen=True, slots=True)
class Score:
    """A score of a metric with its 95 % interval, None where it has none. name: the candidate's, as "2.5"."""

    value: float
    low: float | None
    high: float | None
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A run in the list. All but the first three are unknown of a broken run, whose `reason` says what is wrong.

    Attributes:
        address: of its page, below "runs/". best: of the search's networks. model: "" where none is asked.
        content: hash of the data, by which runs are compared; "" where it is not known.
        counts: number of candidates by status. slots: how many there are to be. seconds: of all trainings together.
        begun: in UTC.
    """

    name: str
    address: str
    state: Literal["running", "finished", "stopped", "broken"]
    reason: str = ""
    metric: Metric | None = None
    best: Score | None = None
    data: str = ""
    content: str = ""
    strategy: str = ""
    model: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    slots: int | None = None
    seconds: float | None = None
    begun: datetime | None = None

    @property
    def model_name(self) -> str:
        """The model without the place where it is."""
        return self.model.rpartition("#")[2].rstrip("/").rpartition("/")[2]

    @property
    def settled(self) -> int:
        return sum(count for status, count in self.counts.items() if status != "open")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Where a score lies on the axis of its metric, in percent."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class Leader:
    """The best run of a data set, of `runs` that have a score on it."""

    entry: Entry
    best: Score
    metric: Metric
    runs: int


@dataclass(frozen=True, slots=True)
class Listed:
    """The page, as a server hands it out (`serve.Snapshot`)."""

    title: str
    parts: Mapping[str, str]

    def page(self, *, nonce: str, script: str, revision: str) -> str:
        titles = {"top": "", "runs": "Runs"}
        parts = {name: Part(titles[name], html) for name, html in self.parts.items()}
        return framed(self.title, parts, Live(nonce, script, revision))

    def candidate(self, name: str) -> None:
        """The list opens none."""


def draw_list(folder: str, entries: Sequence[Entry]) -> Listed:
    """The list, in the order of the entries. A run is compared with those on the same data, by the same metric."""
    leaders = _leaders(entries)
    env, axes = environment(), _axes(entries)
    best = {leader.entry.name for leader in leaders if leader.runs > 1}
    states = [(state, sum(each.state == state for each in entries)) for state in ORDER]
    top = env.get_template("list-top.html.j2").render(
        folder=folder, states=[pair for pair in states if pair[1]], leaders=leaders[:TILES], runs=len(entries)
    )
    rows = [(each, _drawn(each, axes)) for each in entries]
    ends = _ends(axes) if len(axes) == 1 else None
    runs = env.get_template("list.html.j2").render(rows=rows, leading=best, ends=ends)
    return Listed(f"{folder} · deltanas runs", {"top": top, "runs": runs})


def _leaders(entries: Sequence[Entry]) -> list[Leader]:
    """For each data set and metric, those with the most runs first."""
    groups: dict[tuple[str, str], list[tuple[Entry, Score, Metric]]] = {}
    for each in entries:
        if each.best and each.metric:
            groups.setdefault((each.content or each.data, each.metric.name), []).append((each, each.best, each.metric))
    found = [
        Leader(*min(alike, key=lambda one: one[2].key(one[1].value)), runs=len(alike)) for alike in groups.values()
    ]
    return sorted(found, key=lambda leader: -leader.runs)


def _axes(entries: Sequence[Entry]) -> dict[str, tuple[Metric, charts.Axis]]:
    """An axis for each metric that holds the intervals of all its scores."""
    ends: dict[str, list[float]] = {}
    metrics = {each.metric.name: each.metric for each in entries if each.metric and each.best}
    for each in entries:
        if each.metric and each.best:
            known = (each.best.low, each.best.value, each.best.high)
            ends.setdefault(each.metric.name, []).extend(end for end in known if end is not None)
    return {
        name: (metrics[name], charts.axis(min(all_), max(all_), metrics[name].limits)) for name, all_ in ends.items()
    }


def _ends(axes: Mapping[str, tuple[Metric, charts.Axis]]) -> tuple[str, str]:
    ((metric, scale),) = axes.values()
    low, high = (f"{charts.tick(end, scale, metric)}{metric.sign}" for end in (scale.low, scale.high))
    return low, high


def _drawn(entry: Entry, axes: Mapping[str, tuple[Metric, charts.Axis]]) -> Drawn | None:
    if entry.metric is None or entry.best is None:
        return None
    _, scale = axes[entry.metric.name]
    best = entry.best
    low, high = (best.value if end is None else end for end in (best.low, best.high))
    return Drawn(*(100 * scale.part(value) for value in (low, best.value, high)))
