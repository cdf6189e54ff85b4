"""What the edits of each part of the programs brought, where a search edits several."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from deltanas.intervals import Estimate, mean, wilson
from deltanas.records import Candidate
from deltanas.task import Metric
from deltanas.wording import counted


@dataclass(frozen=True, slots=True)
class Brought:
    """What the slots of a part brought.

    Attributes:
        slots: number of settled slots that drew from it. share: of all slots.
        trained: number of those that were trained, as was their parent. gain: mean gain over the parent, after the
            shortest training, which all have; None for fewer than two.
        better: share that beat their parent; None where none was trained. best: the highest gain.
    """

    part: str
    slots: int
    share: Estimate
    trained: int
    gain: Estimate | None
    better: Estimate | None
    best: float | None


def brought(
    candidates: Iterable[Candidate], metric: Metric, score: Callable[[str, int], float | None]
) -> tuple[Brought, ...]:
    """By part, in the order in which they came; none where all edits are of one. score: of a parent after a number of
    epochs, by its identity.
    """
    slots: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        last = candidate.kept or (candidate.attempts[-1] if candidate.attempts else None)
        if candidate.cycle and candidate.outcome and last:
            slots.setdefault(last.part, []).append(candidate)
    if len(slots) < 2:
        return ()
    return tuple(_brought(part, rows, sum(map(len, slots.values())), metric, score) for part, rows in slots.items())


def _brought(
    part: str, rows: list[Candidate], total: int, metric: Metric, score: Callable[[str, int], float | None]
) -> Brought:
    early = [row.at(row.shortest) or row for row in rows]
    pairs = [(row.score, score(row.parent or "", row.rung)) for row in early]
    gains = [metric.over(own, parent) for own, parent in pairs if own is not None and parent is not None]
    better = wilson(sum(gain > 0 for gain in gains), len(gains)) if gains else None
    share = wilson(len(rows), total)
    return Brought(part, len(rows), share, len(gains), mean(gains), better, max(gains, default=None))


def told(rows: Iterable[Brought], metric: Metric) -> str:
    """A line: the slots of each part, and what its edits gained."""
    said = []
    for row in rows:
        gain = "" if row.gain is None else f", {metric.points(row.gain.value)} over the parent"
        spread = "" if row.gain is None else f" [{metric.gain(row.gain.low)}, {metric.gain(row.gain.high)}]"
        said.append(f"{row.part} {counted(row.slots, 'slot')}{gain}{spread}")
    return "; ".join(said)
