"""Strategies side by side, cycle by cycle, and what each brings over the control that edits uniformly at random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from statistics import fmean, geometric_mean

from deltanas.intervals import Estimate, mean, mean_difference, wilson
from deltanas.prices import priced, prices, ratios
from deltanas.program import parts_named
from deltanas.records import RunView
from deltanas.report import charts
from deltanas.report.gain import Gain, told
from deltanas.report.reading import AbsentError, Reading, label
from deltanas.settings import BEFORE, merged
from deltanas.task import Metric

CONTROL = "random"
_ALIKE = (
    ("data", "sha256"),
    *(("config", key) for key in ("baselines", "edits", "steps_per_edit", "growth", "max_params", "max_flops")),
    *(("config", key) for key in ("seeds", "seeds_budget", "rungs", "promote", "prm", "proposals")),
    *(("config", "train", key) for key in ("size", "resize", "colour", "epochs", "augment", "crops", "average")),
)
"""Places in the manifest that must be alike in two runs for their scores to be compared."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A cycle of a group, or all its cycles (`cycle` None).

    Attributes:
        score: mean over the trained candidates, with its interval; None for fewer than two.
        single: the score of the only one. best: the best up to this cycle.
        over: gain of `score` over the control's in the same cycles; None for the control itself.
        gain: mean gain over the parent. better: share that beat their parent. None where no parent has a score.
        flops: geometric mean of the FLOPs as multiples of the baselines' at the roots; None where none is known.
    """

    cycle: int | None
    n: int
    score: Estimate | None
    single: float
    best: float
    over: Estimate | None
    gain: Estimate | None
    better: Estimate | None
    flops: float | None


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    control: bool
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class Rival:
    """The best network of a run, its name and score, and its gain over the best one of another run.

    price, their_price: of both, in times of their baselines', in words.
    """

    run: str
    name: str
    score: float
    gain: Gain
    price: str
    their_price: str


@dataclass(frozen=True, slots=True)
class _Trained:
    cycle: int
    score: float
    gain: float | None
    flops: float | None


def comparison(reading: Reading) -> dict[str, object]:
    """Groups are the strategies of the run and of the runs that it is compared with."""
    found = dict(_groups(reading))
    if not found:
        raise AbsentError(f"{reading.none_trained()}, so there is nothing to compare.")
    control = next((rows for (_, strategy), rows in found.items() if strategy == CONTROL), None)
    runs = len({run for run, _ in found})
    groups = [
        Group(
            strategy if runs == 1 else f"{strategy} ({run})",
            rows is control,
            tuple(_stretches(rows, control, reading.metric)),
        )
        for (run, strategy), rows in found.items()
    ]
    return {
        "groups": groups,
        "chart": charts.course([(group.name, list(_course(group))) for group in groups], reading.metric),
        "height": charts.HEIGHT,
        "control": next((group.name for group in groups if group.control), None),
        "rivals": list(_rivals(reading)),
        "warnings": [word for other in reading.others if (word := _unlike(reading.view, other.view))],
    }


def _rivals(reading: Reading) -> Iterator[Rival]:
    """The best network of the run against the best of each other one that was scored on the same images."""
    mine = next(iter(reading.ranked()), None)
    for other in reading.others:
        theirs = next(iter(other.ranked()), None)
        if mine is None or theirs is None or theirs.program is None or other.task != reading.task:
            continue
        known = [_recorded(each.view.manifest, ("data", "sha256")) for each in (reading, other)]
        one, two = reading.measured(mine), other.measured(theirs)
        if one is None or two is None or ... in known or known[0] != known[1]:
            continue
        found = reading.compared(one, two)
        if found is not None:
            over = told(theirs.program.id, f"{other.view.name}, {label(theirs)}", two.score, found)
            costs = [priced(prices(best, each.journal)) for best, each in ((mine, reading), (theirs, other))]
            yield Rival(reading.view.name, label(mine), one.score, over, *costs)


def _course(group: Group) -> Iterator[tuple[int, Estimate]]:
    for stretch in group.stretches:
        if stretch.cycle is not None:
            yield stretch.cycle, stretch.score or Estimate(stretch.single, stretch.single, stretch.single)


def _groups(reading: Reading) -> Iterator[tuple[tuple[str, str], list[_Trained]]]:
    names: set[str] = set()
    for each in (reading, *reading.others):
        # Runs of one name are told apart by their number.
        name = next(n for n in chain([each.view.name], (f"{each.view.name} {i}" for i in count(2))) if n not in names)
        names.add(name)
        groups: dict[str, list[_Trained]] = {}
        for candidate in each.search:
            reached = each.longest(candidate)
            if reached is not None:
                parent = each.holder(candidate.parent or "")
                before = each.value(parent.at(candidate.rung) if parent else None)
                gain = None if before is None else each.metric.over(reached, before)
                row = _Trained(candidate.cycle, reached, gain, ratios(candidate, each.journal)["flops"])
                groups.setdefault(candidate.strategy, []).append(row)
        yield from (((name, strategy), rows) for strategy, rows in groups.items())


def _stretches(rows: Sequence[_Trained], control: Sequence[_Trained] | None, metric: Metric) -> Iterator[Stretch]:
    held, others = _by_cycle(rows), _by_cycle(control or ())
    best = rows[0].score
    for cycle in sorted(held):
        best = min(best, *(row.score for row in held[cycle]), key=metric.key)
        yield _stretch(cycle, held[cycle], best, None if control is rows else others.get(cycle, []), metric)
    as_long = [row for row in control or () if row.cycle <= max(held)]
    yield _stretch(None, rows, best, None if control is rows else as_long, metric)


def _by_cycle(rows: Sequence[_Trained]) -> dict[int, list[_Trained]]:
    found: dict[int, list[_Trained]] = {}
    for row in rows:
        found.setdefault(row.cycle, []).append(row)
    return found


def _stretch(
    cycle: int | None, rows: Sequence[_Trained], best: float, control: Sequence[_Trained] | None, metric: Metric
) -> Stretch:
    values, gains = [row.score for row in rows], [row.gain for row in rows if row.gain is not None]
    costs = [row.flops for row in rows if row.flops]
    both = (values, [row.score for row in control or ()])
    return Stretch(
        cycle=cycle,
        n=len(rows),
        score=mean(values),
        single=fmean(values),
        best=best,
        over=mean_difference(*(both if metric.better == "higher" else both[::-1])),
        gain=mean(gains),
        better=wilson(sum(gain > 0 for gain in gains), len(gains)) if gains else None,
        flops=geometric_mean(costs) if costs else None,
    )


def _unlike(view: RunView, other: RunView) -> str:
    """What is recorded of both runs and differs."""
    one, two = (_held(each.manifest) for each in (view, other))
    pairs = [("data" if path[0] == "data" else path[-1], _recorded(one, path), _recorded(two, path)) for path in _ALIKE]
    unlike = [name for name, mine, theirs in pairs if ... not in (mine, theirs) and mine != theirs]
    return f"{other.name} differs from {view.name} in {', '.join(unlike)}" if unlike else ""


def _held(manifest: Mapping[str, object]) -> Mapping[str, object]:
    """The manifest, with what the run was held to where it is older than a setting."""
    config = manifest.get("config")
    return {**manifest, "config": merged(BEFORE, config)} if isinstance(config, dict) else manifest


def _recorded(manifest: Mapping[str, object], path: Sequence[str]) -> object:
    """The value at a place, `...` where the run recorded none."""
    value: object = manifest
    for key in path:
        value = value.get(key, ...) if isinstance(value, Mapping) else ...
    if isinstance(value, tuple):
        value = list(value)
    return parts_named(value) if path[-1] == "edits" and value is not ... else value
