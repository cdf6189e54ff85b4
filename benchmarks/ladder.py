"""Trainings at rungs against one length for all, at equal seconds: by simulation, and on measured edits.

    python -m benchmarks ladder --simulate [--searches N]
    python -m benchmarks ladder --table benchmarks/lengths [--searches N] [--out FILE] [--minutes M]

A search draws parents by rank, as deltanas does, and gives out trainings by `deltanas.allocation`, until its seconds
are spent; what it would hand over is the best that beat its parent at the last rung. `--simulate` draws levels and
noise (`Simulated`). `--table` replays searches over the edits that `benchmarks lengths` measured: five families, the
edits of their baselines, one epoch on 4,000 images as the first rung and five on 10,000 as the last, each with a seed
of its own. What the searches chose is then trained as long with fresh seeds, row by row into FILE; the same command
goes on. It prints for each way to spend the seconds how far the chosen network lies above the best baseline.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Protocol

from benchmarks.ladder_table import Chosen, Table, fresh_scores
from deltanas.allocation import Allocation
from deltanas.journal import Journal
from deltanas.policy import by_rank
from deltanas.program import Failed, Program, Trained, combined
from deltanas.records import Candidate, Draft
from deltanas.seams import Slot

SLOTS = 16
IMAGES = 10**9
"""So many that accuracies are as good as continuous."""


class World(Protocol):
    """Where trainings come from. A network is known by its name; `roots` are the baselines."""

    @property
    def roots(self) -> Sequence[str]: ...
    def child(self, parent: str, place: str) -> str | None: ...
    def score(self, name: str, epochs: int, repeat: int) -> float | None: ...
    def seconds(self, name: str, epochs: int) -> float: ...


class Search:
    """One search in a world, until its seconds are spent."""

    def __init__(self, world: World, rule: Allocation, seconds: float, key: str) -> None:
        self._world, self._rule, self._left, self._key = world, rule, seconds, key
        self._names: dict[str, str] = {}
        self.journal = Journal()

    def chosen(self) -> str:
        """The network that is handed over."""
        cycle = 0
        while self._trained(cycle, self._proposed(cycle)):
            cycle += 1
        best = (self.journal.improvements or self.journal.parents)[0].program
        assert best
        return self._names[best.id]

    def _proposed(self, cycle: int) -> list[Candidate]:
        made: list[tuple[str, str | None]] = [] if cycle else [(root, None) for root in self._world.roots]
        if cycle:
            earlier = self.journal.before(cycle)
            for index in range(SLOTS):
                place = f"{cycle}.{index}"
                parent = by_rank(Slot(cycle, index), earlier, Random(f"{self._key}:{place}:parent"))
                name = self._world.child(self._names[parent.id], place)
                made += [] if name is None else [(name, parent.id)]
        rows = []
        for index, (name, over) in enumerate(made):
            program = _named(name)
            self._names[program.id] = name
            rows.append(Candidate(cycle, index, "search", over, Draft(program)))
        return rows

    def _trained(self, cycle: int, rows: Sequence[Candidate]) -> bool:
        """Whether seconds are left, and there was something to train."""
        journal, spent = self.journal, not rows
        journal.open(rows)
        while not spent and (due := self._rule.due(journal, cycle)):
            for row in due.candidates:
                made = self._training(row, due.epochs or 0, due.repeat)
                if made is None:
                    spent = True
                    break
                grown = replace(row, trainings=(*row.trainings, made))
                journal.record(cycle, row.index, made, combined(grown.trainings) if self._rule.last(grown) else None)
        for row in [each for each in journal.of_cycle(cycle) if each.trainings and not each.outcome]:
            journal.record(cycle, row.index, None, combined(row.trainings))
        return not spent

    def _training(self, row: Candidate, epochs: int, repeat: int) -> Trained | Failed | None:
        """None: the seconds don't suffice. Baselines are trained all the same, or there would be nothing to edit."""
        assert row.program
        name = self._names[row.program.id]
        seconds = self._world.seconds(name, epochs)
        if row.cycle and seconds > self._left:
            return None
        self._left -= seconds
        score = self._world.score(name, epochs, repeat)
        if score is None:
            return Failed("error", "measured so", seconds, seconds, "table", epochs)
        return Trained(score, IMAGES, repeat, seconds, seconds, "table", epochs=epochs)


@cache
def _named(name: str) -> Program:
    return Program.of(f"x = {name!r}\n")


def rungs(*lengths: int, share: float = 0.25, lasting: float = 0.5, budget: int = 0) -> Allocation:
    return Allocation(budget=budget, top=3, rungs=lengths, share=share, lasting=lasting)


class Simulated:
    """Families whose levels after one and after nine epochs are unrelated, and edits whose effects are related.

    Standard deviations after one epoch are those of `benchmarks/gains`: .0081 of the effects of edits, .0134 of the
    noise of one training, .0117 of the seed in a family; after nine .006, .0093 and .005, the second measured in
    `benchmarks/proxy`, the others assumed. The effects of an edit are correlated by .6. It loses .001 on average, and
    more where much was gained. A training of n epochs costs n, and .8 for its evaluation.
    """

    EFFECT: Mapping[int, float] = {1: 0.0081, 3: 0.007, 9: 0.006}
    FAMILY: Mapping[int, float] = {1: 0.014, 3: 0.013, 9: 0.012}
    NOISE: Mapping[int, float] = {1: 0.0134, 3: 0.011, 9: 0.0093}
    LUCK: Mapping[int, float] = {1: 0.0117, 3: 0.008, 9: 0.005}
    RELATED, LOSS, DEPLETION, FAMILIES = 0.6, 0.001, 0.15, 5

    def __init__(self, key: str) -> None:
        self._key = key
        self.roots = [f"r{number}" for number in range(self.FAMILIES)]
        self.levels: dict[str, dict[int, float]] = {}
        self._family: dict[str, str] = {}
        for root in self.roots:
            one, other = self._normal(root, "slow"), self._normal(root, "fast")
            mixed = {1: one, 3: 0.7 * one + 0.7 * other, 9: other}
            self.levels[root] = {epochs: self.FAMILY[epochs] * mixed[epochs] for epochs in mixed}
            self._family[root] = root

    def child(self, parent: str, place: str) -> str:
        step, root = self.RELATED**0.5, self._family[parent]
        drawn, effects = self._normal(place, "1"), {}
        for epochs in (1, 3, 9):
            if epochs > 1:
                drawn = step * drawn + (1 - step**2) ** 0.5 * self._normal(place, str(epochs))
            gained = max(0.0, self.levels[parent][epochs] - self.levels[root][epochs])
            effects[epochs] = self.EFFECT[epochs] * drawn - self.LOSS - self.DEPLETION * gained
        self.levels[place] = {epochs: self.levels[parent][epochs] + effects[epochs] for epochs in effects}
        self._family[place] = root
        return place

    def score(self, name: str, epochs: int, repeat: int) -> float:
        luck = self.LUCK[epochs] * self._normal(self._family[name], f"luck {epochs} {repeat}")
        return self.levels[name][epochs] + luck + self.NOISE[epochs] * self._normal(name, f"noise {epochs} {repeat}")

    def seconds(self, name: str, epochs: int) -> float:  # noqa: ARG002
        return epochs + 0.8

    def gain(self, name: str) -> float:
        """Over the best baseline, after nine epochs, without noise."""
        return self.levels[name][9] - max(self.levels[root][9] for root in self.roots)

    def _normal(self, name: str, what: str) -> float:
        return Random(f"{self._key}:{name}:{what}").gauss(0, 1)


SIMULATED: Mapping[str, Allocation] = {
    "9": rungs(9),
    "1": rungs(1),
    "3": rungs(3),
    "1,9; an eighth": rungs(1, 9, share=1 / 8),
    "1,9; a quarter": rungs(1, 9),
    "1,9; a half": rungs(1, 9, share=1 / 2),
    "3,9; a quarter": rungs(3, 9),
    "1,3,9; a third": rungs(1, 3, 9, share=1 / 3),
    "1,9; a quarter of the gain lasts": rungs(1, 9, lasting=0.25),
    "1,9; all of it lasts": rungs(1, 9, lasting=1.0),
    "1,9; two repeats a cycle": rungs(1, 9, budget=2),
}


@dataclass(frozen=True)
class Spread:
    """A mean with its 95 % interval over the searches."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.mean - self.half:+.4f}, {self.mean + self.half:+.4f}]"


def spread(values: Sequence[float]) -> Spread:
    return Spread(fmean(values), 1.96 * stdev(values) / len(values) ** 0.5)


def simulated(searches: int, seconds: Sequence[float], arms: Mapping[str, Allocation] = SIMULATED) -> str:
    """A table: gain over the best baseline, and beside it less that of the first arm with the same chance."""
    lines = [f"| trainings | {' | '.join(f'{each:g} epochs: gain | less `9`' for each in seconds)} |"]
    lines.append(f"|---|{'---|' * 2 * len(seconds)}")
    found: dict[tuple[str, float], list[float]] = defaultdict(list)
    for arm, rule in arms.items():
        cells = []
        for each in seconds:
            for number in range(searches):
                world = Simulated(f"search {number}")
                found[arm, each].append(world.gain(Search(world, rule, each, str(number)).chosen()))
            gaps = [a - b for a, b in zip(found[arm, each], found[next(iter(arms)), each], strict=True)]
            cells += [f"{fmean(found[arm, each]):+.4f}", "" if not any(gaps) else str(spread(gaps))]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
        sys.stderr.write(f"{lines[-1]}\n")
    return "\n".join(lines) + "\n"


REPLAYED: Mapping[str, Callable[[Sequence[int]], Allocation]] = {
    "long for all": lambda lengths: rungs(lengths[1]),
    "short for all": lambda lengths: rungs(lengths[0]),
    "a ladder": lambda lengths: rungs(*lengths),
}


def replayed(table: Table, searches: int, trainings: float) -> dict[str, list[Chosen]]:
    """What each way chose in each search. trainings: what a search may spend, counted in mean long trainings."""
    found: dict[str, list[Chosen]] = {}
    for arm, rule in REPLAYED.items():
        found[arm] = []
        for number in range(searches):
            world = table.world(f"search {number}")
            name = Search(world, rule(table.lengths), trainings * table.mean_seconds, str(number)).chosen()
            found[arm].append(Chosen(name, table.best(world.roots)))
    return found


def told(chosen: Mapping[str, Sequence[Chosen]], fresh: Mapping[str, float]) -> str:
    """Gain of the chosen network over the best baseline of its search, both by fresh seeds that chose neither.

    Intervals are over the draws of the searches; the table and the fresh trainings are the same for all.
    """
    gains = {arm: [fresh[each.name] - fresh[each.rival] for each in rows] for arm, rows in chosen.items()}
    first = next(iter(gains))
    lines = ["| trainings | gain over the best baseline | less `long for all` |", "|---|---|---|"]
    for arm, rows in gains.items():
        gaps = [a - b for a, b in zip(rows, gains[first], strict=True)]
        lines.append(f"| {arm} | {spread(rows)} | {'' if arm == first else spread(gaps)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--simulate", action="store_true")
    way.add_argument("--table", type=Path, help="folder that `benchmarks lengths` wrote")
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--trainings", type=float, default=30, help="budget of a search, in long trainings")
    parser.add_argument("--seeds", type=int, default=4, help="fresh seeds of each chosen network")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/ladder.jsonl"), help="fresh trainings, row by row")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end with the first training after it")
    given = parser.parse_args()
    if given.simulate:
        sys.stdout.write(simulated(given.searches, (300, 1000)))
        return
    table = Table.read(given.table)
    chosen = replayed(table, given.searches, given.trainings)
    names = sorted({name for rows in chosen.values() for each in rows for name in (each.name, each.rival)})
    sys.stderr.write(f"{len(names)} networks were chosen or are baselines: {len(names) * given.seeds} trainings\n")
    fresh = fresh_scores(table, names, given.seeds, given.out, time.monotonic() + 60 * given.minutes)
    if fresh is not None:
        sys.stdout.write(told(chosen, fresh))


if __name__ == "__main__":
    main()
