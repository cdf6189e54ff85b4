"""Strategies side by side, cycle by cycle, and what each brings over the control that edits uniformly at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from statistics import fmean

from deltanas.intervals import Estimate, mean, mean_difference, wilson
from deltanas.journal import RunView
from deltanas.report import charts
from deltanas.report.reading import AbsentError, Reading, score

CONTROL = "random"
_ALIKE = (
    ("data",),
    *(("config", key) for key in ("dataset", "baselines", "edits", "seeds", "proposals", "prm")),
    *(("config", "train", key) for key in ("size", "resize", "epochs", "augment")),
)
"""Places in the manifest that must be alike in two runs for their accuracies to be compared."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A cycle of a group, or all its cycles (`cycle` None).

    Attributes:
        accuracy: mean over the trained candidates, with its interval; None for fewer than two.
        single: the accuracy of the only one. best: the highest up to this cycle.
        over: difference of `accuracy` from the control's in the same cycles; None for the control itself.
        gain: mean difference from the parent. better: share that beat their parent. None where no parent has a score.
    """

    cycle: int | None
    n: int
    accuracy: Estimate | None
    single: float
    best: float
    over: Estimate | None
    gain: Estimate | None
    better: Estimate | None


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    control: bool
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class _Trained:
    cycle: int
    accuracy: float
    gain: float | None


def comparison(reading: Reading) -> dict[str, object]:
    """Groups are the strategies of the run and of the runs that it is compared with."""
    found = dict(_groups(reading))
    if not found:
        raise AbsentError("No edited network has been trained yet, so there is nothing to compare.")
    control = next((rows for (_, strategy), rows in found.items() if strategy == CONTROL), None)
    runs = len({run for run, _ in found})
    groups = [
        Group(strategy if runs == 1 else f"{strategy} ({run})", rows is control, tuple(_stretches(rows, control)))
        for (run, strategy), rows in found.items()
    ]
    return {
        "groups": groups,
        "chart": charts.course([(group.name, list(_course(group))) for group in groups]),
        "height": charts.HEIGHT,
        "control": next((group.name for group in groups if group.control), None),
        "warnings": [word for other in reading.others if (word := _unlike(reading.view, other.view))],
    }


def _course(group: Group) -> Iterator[tuple[int, Estimate]]:
    for stretch in group.stretches:
        if stretch.cycle is not None:
            yield stretch.cycle, stretch.accuracy or Estimate(stretch.single, stretch.single, stretch.single)


def _groups(reading: Reading) -> Iterator[tuple[tuple[str, str], list[_Trained]]]:
    names: set[str] = set()
    for each in (reading, *reading.others):
        # Runs of one name are told apart by their number.
        name = next(n for n in chain([each.view.name], (f"{each.view.name} {i}" for i in count(2))) if n not in names)
        names.add(name)
        groups: dict[str, list[_Trained]] = {}
        for candidate in each.search:
            reached = score(candidate)
            if reached is not None:
                before = score(each.holder(candidate.parent or ""))
                row = _Trained(candidate.cycle, reached.value, reached.value - before.value if before else None)
                groups.setdefault(candidate.strategy, []).append(row)
        yield from (((name, strategy), rows) for strategy, rows in groups.items())


def _stretches(rows: Sequence[_Trained], control: Sequence[_Trained] | None) -> Iterator[Stretch]:
    held, others, best = _by_cycle(rows), _by_cycle(control or ()), 0.0
    for cycle in sorted(held):
        best = max(best, *(row.accuracy for row in held[cycle]))
        yield _stretch(cycle, held[cycle], best, None if control is rows else others.get(cycle, []))
    as_long = [row for row in control or () if row.cycle <= max(held)]
    yield _stretch(None, rows, best, None if control is rows else as_long)


def _by_cycle(rows: Sequence[_Trained]) -> dict[int, list[_Trained]]:
    found: dict[int, list[_Trained]] = {}
    for row in rows:
        found.setdefault(row.cycle, []).append(row)
    return found


def _stretch(cycle: int | None, rows: Sequence[_Trained], best: float, control: Sequence[_Trained] | None) -> Stretch:
    values, gains = [row.accuracy for row in rows], [row.gain for row in rows if row.gain is not None]
    return Stretch(
        cycle=cycle,
        n=len(rows),
        accuracy=mean(values),
        single=fmean(values),
        best=best,
        over=mean_difference(values, [row.accuracy for row in control or ()]),
        gain=mean(gains),
        better=wilson(sum(gain > 0 for gain in gains), len(gains)) if gains else None,
    )


def _unlike(view: RunView, other: RunView) -> str:
    """What is recorded of both runs and differs."""
    pairs = [(path[-1], _recorded(view.manifest, path), _recorded(other.manifest, path)) for path in _ALIKE]
    unlike = [name for name, one, two in pairs if ... not in (one, two) and one != two]
    return f"{other.name} differs from {view.name} in {', '.join(unlike)}" if unlike else ""


def _recorded(manifest: dict[str, object], path: Sequence[str]) -> object:
    """The value at a place, `...` where the run recorded none."""
    value: object = manifest
    for key in path:
        value = value.get(key, ...) if isinstance(value, dict) else ...
    return value
