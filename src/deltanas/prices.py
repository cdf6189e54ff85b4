"""What a network costs beside the baseline at the root of its line: the price of a gain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from deltanas.journal import Journal
from deltanas.objective import COSTS, MACS, Objective
from deltanas.program import Trained
from deltanas.records import Candidate


def _seconds(candidate: Candidate) -> float | None:
    """CPU time of one of its trainings, the mean of several: the clock tells of what else the machine does."""
    made = candidate.trainings or (candidate.outcome,)
    known = [each.cpu_seconds for each in made if isinstance(each, Trained)]
    return fmean(known) if known else None


SECONDS = Objective("seconds", "lower", _seconds, "{:.1f} s".format, ratio=True)
_ALWAYS = ("params", "flops", SECONDS.name)


@dataclass(frozen=True, slots=True)
class Price:
    """What a network costs, and how many times what the baseline at the root of its line costs.

    Attributes:
        name: "params", "flops", "latency_ms" or "seconds" (of CPU, of one training). value: None where it is not known.
        ratio: None where one of the two is not known, or the baseline's is 0.
        low, high: quartiles of a measured cost.
    """

    name: str
    value: float | None
    ratio: float | None
    low: float | None = None
    high: float | None = None

    @property
    def shown(self) -> str:
        return "not known" if self.value is None else (COSTS.get(self.name) or SECONDS).shown(self.value)


def prices(candidate: Candidate, journal: Journal) -> tuple[Price, ...]:
    """Parameters, FLOPs, what else was measured, as latency, and CPU seconds of a training of `rung` epochs.

    journal: of its run.
    """
    root, found = journal.root(candidate), []
    root, longest = root and (root.at(candidate.rung) or root), candidate.at(candidate.rung) or candidate
    for cost in (*(each for each in COSTS.values() if each.name != MACS), SECONDS):  # half the FLOPs, in equal ratio
        value, base = cost.of(longest), cost.of(root) if root else None
        measured = candidate.measured(cost.name)
        if value is None and measured is None and cost.name not in _ALWAYS:
            continue
        ratio = value / base if value is not None and base else None
        bounds = (measured.low, measured.high) if measured else (None, None)
        found.append(Price(cost.name, value, ratio, *bounds))
    return tuple(found)


def ratios(candidate: Candidate, journal: Journal) -> dict[str, float | None]:
    """By the name of the cost, how many times the baseline's it is."""
    return {one.name: one.ratio for one in prices(candidate, journal)}


def priced(found: Iterable[Price]) -> str:
    """Prices in words, as "params 0.92x, flops 1.10x": what a gain costs."""
    return ", ".join(f"{one.name} {'not known' if one.ratio is None else f'{one.ratio:.2f}x'}" for one in found)


def growth_of(manifest: Mapping[str, object]) -> float | None:
    """How many times the FLOPs and parameters of its baseline a network of this run may have; None: any number."""
    match manifest.get("config"):
        case {"growth": float() | int() as most}:
            return float(most)
        case _:
            return None


def told_growth(most: float | None) -> str:
    """The limit of growth in words."""
    if most is None:
        return "no limit of growth"
    return f"growth limited to {most:g} times the FLOPs and parameters of the baseline"
