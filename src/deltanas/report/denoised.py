"""Before and after: what the finals of a run made of its worst, median and best test image, and at what cost."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from deltanas.imagery import extremes
from deltanas.objective import COSTS, MACS, front, objectives_of, told_measurement
from deltanas.program import Trained
from deltanas.records import Final
from deltanas.report import charts
from deltanas.report.front import plane
from deltanas.report.reading import AbsentError, Reading, label

SHOWN = 3
"""Networks with pictures, at most: a page carries them in itself."""


@dataclass(frozen=True, slots=True)
class Pictured:
    """A final with its picture.

    Attributes:
        scores: of the worst, the median and the best test image, in words. image: address of a PNG that holds itself.
        measured: what was measured of the network beside its score, in words, as the operators that an NPU leaves.
    """

    name: str
    baseline: bool
    score: str
    n: int
    scores: tuple[str, ...]
    image: str
    measured: tuple[str, ...]


def denoised_card(reading: Reading) -> dict[str, object]:
    """What the template `denoised` needs. Raises AbsentError where nothing was trained yet."""
    objectives = objectives_of((reading.metric.name, MACS), reading.task)
    members = {label(row) for row in front(reading.view.candidates, objectives)}
    if not members:
        raise AbsentError("No network has been trained yet.")
    return {
        "networks": _pictured(reading),
        "planes": [plane(reading, members, COSTS[MACS], objectives)],
        "height": charts.HEIGHT,
        "axis": reading.metric.heading,
    }


def _pictured(reading: Reading) -> list[Pictured]:
    """The best of the search first, as the validation images ranked them; then the best baseline."""
    ranks = {row.program.id: rank for rank, row in enumerate(reading.ranked()) if row.program}
    kept = [final for final in reading.view.finals if isinstance(final.outcome, Trained) and final.outcome.picture]
    best = reading.journal.best_baseline
    first = sorted((each for each in kept if each.program in ranks), key=lambda each: ranks[each.program])
    base = [each for each in kept if best and best.program and each.program == best.program.id]
    return [_one(reading, each) for each in (*first[: SHOWN - len(base)], *base)]


def _one(reading: Reading, final: Final) -> Pictured:
    outcome, holder = final.outcome, reading.holder(final.program)
    assert isinstance(outcome, Trained)
    assert outcome.picture is not None
    shown: tuple[str, ...] = ()
    if outcome.per_image is not None:
        scores = reading.task.unpacked(outcome.per_image, outcome.n)
        shown = tuple(reading.metric.shown(float(scores[place])) for place in extremes(scores))
    return Pictured(
        label(holder) if holder else final.program[:8],
        holder is not None and holder.cycle == 0,
        reading.metric.said(outcome.score),
        outcome.n,
        shown,
        f"data:image/png;base64,{b64encode(outcome.picture).decode()}",
        tuple(map(told_measurement, holder.measurements)) if holder else (),
    )
