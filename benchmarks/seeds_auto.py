"""Does a budget of repeats that goes to the cut pick better programs than one that is spread evenly? By simulation.

    python -m benchmarks seeds_auto [--searches N] [--out FILE]

Searches of three cycles: a parent is drawn by rank, a candidate's true level is its parent's plus a normal step, and a
training shows it with normal noise. Three ways to spend trainings, with the same chance: `once` trains each candidate
once; `auto` adds what `deltanas.allocation` gives out; `even` adds as many in each cycle, by lot, a second one to
nobody before all have a first. Then the best three of the baselines and of what beat its parent are picked by their
means.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from statistics import fmean, stdev

from deltanas.allocation import Allocation
from deltanas.journal import Journal
from deltanas.policy import by_rank
from deltanas.program import Program, Trained, combined
from deltanas.records import Candidate, Draft
from deltanas.seams import Slot

BASELINES, CYCLES, TOP = 6, 3, 3
STEP, LOSS = 1.0, 0.5
"""Standard deviation of a candidate's level around its parent's, and how far it lies below on average."""
IMAGES = 10**9
"""So many that accuracies are as good as continuous."""


@dataclass(frozen=True)
class Found:
    """What picking the best came to.

    Attributes:
        regret: mean true level of the truly best of the run, less that of the picked ones. hits: share of them picked.
        level: mean true level of the picked. trainings: in all.
    """

    regret: float
    hits: float
    level: float
    trainings: int


class Simulated:
    """One search. All its chance comes from its key, so that two ways to spend trainings differ by nothing else."""

    def __init__(self, key: str, candidates: int, noise: float) -> None:
        self._key, self._candidates, self._noise = key, candidates, noise
        self._levels: dict[str, float] = {}
        self._journal: list[Candidate] = []

    def run(self, rule: Allocation, by_lot: Sequence[int] = (0,) * CYCLES) -> Simulated:
        """`by_lot`: trainings to add in each cycle, whatever the rule says."""
        for cycle in range(CYCLES + 1):
            rows = self._proposed(cycle)
            while due := rule.due(Journal([*self._journal, *rows]), cycle):
                for row in due.candidates:
                    rows[row.index] = self._trained(row)
            if cycle:
                lot = Random(f"{self._key}:{cycle}:lot").sample(range(len(rows)), len(rows))
                for number in range(by_lot[cycle - 1]):
                    place = lot[number % len(lot)]
                    rows[place] = self._trained(rows[place])
            self._journal += [replace(row, outcome=combined(row.trainings)) for row in rows]
        return self

    def added(self) -> list[int]:
        """Trainings of each cycle beyond one a candidate."""
        return [sum(len(c.trainings) - 1 for c in self._journal if c.cycle == cycle) for cycle in range(1, CYCLES + 1)]

    def found(self) -> Found:
        levels = self._levels
        picked, best = (
            [levels[c.program.id] for c in Journal(journal).parents[:TOP] if c.program]
            for journal in (self._journal, self._truth())
        )
        trainings = sum(len(c.trainings) for c in self._journal)
        return Found(fmean(best) - fmean(picked), fmean(level in best for level in picked), fmean(picked), trainings)

    def _truth(self) -> list[Candidate]:
        """The journal as it would be without noise."""
        return [
            replace(c, outcome=replace(c.outcome, score=self._levels[c.program.id]))
            for c in self._journal
            if c.program and isinstance(c.outcome, Trained)
        ]

    def _proposed(self, cycle: int) -> list[Candidate]:
        rows = []
        for index in range(self._candidates if cycle else BASELINES):
            rng = Random(f"{self._key}:{cycle}:{index}")
            parent = by_rank(Slot(cycle, index), Journal(self._journal), rng) if cycle else None
            program = _named(100 * cycle + index)
            around = self._levels[parent.id] - LOSS if parent else 0.0
            self._levels[program.id] = around + rng.gauss(0, STEP)
            row = Candidate(cycle, index, "simulated", parent.id if parent else None, Draft(program))
            rows.append(row if cycle else self._trained(self._trained(row)))
        return rows

    def _trained(self, row: Candidate) -> Candidate:
        chance = Random(f"{self._key}:{row.cycle}:{row.index}:{len(row.trainings)}")
        assert row.program
        shown = chance.gauss(self._levels[row.program.id], self._noise)
        return replace(row, trainings=(*row.trainings, Trained(shown, IMAGES, 0, 0.0, 0.0, "simulated")))


@cache
def _named(number: int) -> Program:
    return Program.of(f"x = {number}\n")


def compared(searches: int, candidates: int, budget: int, snr: float) -> dict[str, object]:
    """The three ways. snr: variance of the steps over that of the noise of one training."""
    ways: dict[str, list[Found]] = {"once": [], "even": [], "auto": []}
    for number in range(searches):
        once, even, auto = (
            Simulated(f"{candidates} candidates:{number}", candidates, STEP / snr**0.5) for _ in range(3)
        )
        ways["once"].append(once.run(Allocation()).found())
        ways["auto"].append(auto.run(Allocation(1, budget, TOP)).found())
        ways["even"].append(even.run(Allocation(), auto.added()).found())
    row: dict[str, object] = {"candidates": candidates, "budget": budget, "snr": snr, "searches": searches}
    for way, found in ways.items():
        row[way] = {name: fmean(getattr(one, name) for one in found) for name in Found.__annotations__}
    for name in ("regret", "level"):
        gaps = [getattr(a, name) - getattr(b, name) for a, b in zip(ways["auto"], ways["even"], strict=True)]
        half = 1.96 * stdev(gaps) / searches**0.5
        row[f"{name}, auto less even"] = [fmean(gaps), fmean(gaps) - half, fmean(gaps) + half]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=400, help="simulated searches of each design")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/seeds_auto.json"))
    options = parser.parse_args()
    rows = []
    for candidates in (8, 16):
        for share in (0.5, 1, 2):
            for snr in (0.5, 2, 8):
                rows.append(compared(options.searches, candidates, round(share * candidates), snr))
                sys.stderr.write(f"{json.dumps(rows[-1])}\n")
    options.out.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
