"""What a search hands over: its best elite, beside the best baseline trained alike, on the test images."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile

from deltanas.gains import measured
from deltanas.objective import stored_objectives
from deltanas.prices import Price, prices
from deltanas.report.gain import Gain, told
from deltanas.report.reading import Reading, label


@dataclass(frozen=True, slots=True)
class Handed:
    """The elite that ranked first in the search, of those that have a score of the final training.

    Attributes:
        program: identity. name: "cycle.index". score: on the `n` test images, in the unit of the task's metric.
        over: what it gains over the best baseline of the search, trained as long with the same seed; None where that
            has no final score. One training of each: another seed may tell otherwise.
        prices: in times of the baseline at the root of its line.
        worse_than: of a denoiser the score of the test images before it, where that is better.
        failed: names of the elites that ranked higher, and whose final training failed.
    """

    program: str
    name: str
    score: float
    n: int
    over: Gain | None
    prices: tuple[Price, ...]
    worse_than: float | None = None
    failed: tuple[str, ...] = ()


def handed_over(reading: Reading) -> Handed | None:
    """None before the final scores, where no candidate beat its parent or none held, and with several objectives."""
    scored = {f.program: found for f in reading.view.finals if (found := measured(reading.task, f.outcome)) is not None}
    broken = {f.program for f in reading.view.finals if f.program not in scored}
    elites = [] if len(stored_objectives(reading.view.manifest)) > 1 else reading.elites()
    failed = [label(c) for c in takewhile(lambda c: c.program and c.program.id in broken, elites)]
    elite, rival = next(iter(elites[len(failed) :]), None), reading.journal.best_baseline
    found, theirs = (scored.get(c.program.id) if c and c.program else None for c in (elite, rival))
    if elite is None or elite.program is None or found is None:
        return None
    over = None
    if rival and rival.program and theirs and (gained := reading.compared(found, theirs)):
        over = told(rival.program.id, label(rival), theirs.score, gained)
    data = reading.view.manifest.get("data")
    before = data.get("before") if isinstance(data, dict) else None
    untouched = float(before[1]) if before and found.score < before[1] else None
    cost = prices(elite, reading.journal)
    return Handed(elite.program.id, label(elite), found.score, found.n, over, cost, untouched, tuple(failed))
