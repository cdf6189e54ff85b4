"""Scripted parts of a search around a real archive, with a fuse that stands for a kill."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from deltanas.archive import RunArchive
from deltanas.check import LimitGate, Limits
from deltanas.journal import Journal
from deltanas.novelty import NoveltyGate
from deltanas.objective import LATENCY, objectives_of
from deltanas.plan import Plan
from deltanas.program import (
    Failed,
    Program,
    Refused,
    Stage,
    Trained,
)
from deltanas.records import Call, Candidate, Draft, Measurement
from deltanas.seams import Ask, Built, Choice, Gate, Proposal, Split, silent
from deltanas.search import Search
from deltanas.task import CLASSIFY

BASELINES = {name: Program.of(net=f"start = {value}\n") for name, value in (("a", 1), ("b", 2), ("c", 3))}


class StopError(Exception):
    """Stands for a kill: raised at a chosen moment."""


class Fuse:
    """Raises `StopError` at its n-th call."""

    def __init__(self, calls: int | None = None) -> None:
        self.calls = calls

    def burn(self) -> None:
        if self.calls is not None:
            self.calls -= 1
            if self.calls < 0:
                raise StopError


class Scripted:
    """Appends a drawn number to the parent; every fifth draw gives no program."""

    strategy = "scripted"
    batch = 3

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse
        self.asks: list[Ask] = []

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        self.fuse.burn()
        self.asks += asks
        return [self._one(ask) for ask in asks]

    def _one(self, ask: Ask) -> Proposal:
        number = ask.rng("edit").randrange(30)
        if number % 5 == 0:
            return Proposal(None, f"no {number}", None, "goal", Refused("apply", f"{number} does not apply"))
        return Proposal(ask.parent.edited("net", f"{ask.parent.net}more({number})\n"), f"+{number}", "exact", "goal")


class Scores:
    """A runner that scores a program by its identity and the seed, and ends them in a scrambled order."""

    tier = "C"

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse
        self.trained: Counter[tuple[str, Split]] = Counter()
        self.lengths: dict[tuple[str, Split], list[int | None]] = defaultdict(list)

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        raise AssertionError("no gate here builds")

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        for place in Random(len(programs)).sample(range(len(programs)), len(programs)):
            self.fuse.burn()
            self.trained[programs[place].id, split] += 1
            self.lengths[programs[place].id, split].append(epochs)
            share = int(hashlib.sha256(f"{programs[place].id}{seed}".encode()).hexdigest(), 16) % 1000 / 1000
            if share < 0.1:
                yield place, Failed("error", "scripted", 0.1, 0.1, "C")
            else:
                yield place, Trained(share, 100, seed, 0.1, 0.1, "C")


class Weighed:
    """A gate that lets all pass, and with it a choice: by the number that is edited in and by what was measured."""

    stage: Stage = "novelty"

    def __init__(self) -> None:
        self.heard: list[list[Candidate]] = []
        self.chose: list[tuple[Ask, list[str], int]] = []

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return list(drafts)

    def remember(self, drafts: Sequence[Draft]) -> None:
        """All are alike to it."""

    def told(self, journal: Journal) -> None:
        assert all(candidate.outcome for candidate in journal)
        self.heard.append(list(journal))

    def choose(self, ask: Ask, passing: Sequence[tuple[Proposal, Draft]]) -> Choice:
        assert self.heard[-1] == list(ask.journal.before(ask.cycle)), "it knows the cycles before, and no more"
        assert all(draft.program == proposal.program for proposal, draft in passing)
        measured = sum(candidate.score is not None for candidate in self.heard[-1])
        numbers = [(int(proposal.edit) + measured) % 7 for proposal, _ in passing]
        place = numbers.index(max(numbers))
        self.chose.append((ask, [proposal.edit for proposal, _ in passing], place))
        reasons = ["" if at == place else f"{number} is less" for at, number in enumerate(numbers)]
        return Choice(place, tuple(reasons), (Call("weigher", "which?", str(place), 3, 1, 0.0),))


class Sizes:
    """A gate that gives each program a size by its identity."""

    stage: Stage = "build"

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return [replace(draft, params=1 + int(draft.program.id, 16) % 50, flops=7) for draft in drafts]

    def remember(self, drafts: Sequence[Draft]) -> None:
        """Nothing is remembered."""

    def told(self, journal: Journal) -> None:
        """Nothing is learned."""


class Clock:
    """Measures by the identity of a program; of every seventh there is none."""

    def __init__(self, fuse: Fuse, name: str) -> None:
        self.fuse, self.name = fuse, name
        self.measured: Counter[str] = Counter()

    def __call__(self, programs: Sequence[Program]) -> Iterator[Measurement]:
        for program in programs:
            self.fuse.burn()
            self.measured[program.id] += 1
            time = int(program.id, 16) % 7
            yield Measurement(self.name, time or None, 1.0, 2.0, 30, "" if time else "it can't be exported")


MEASURED = (LATENCY, "joules")
FRONT = objectives_of(["accuracy", "params", LATENCY], CLASSIFY)


def passed_by(candidate: Candidate) -> list[bool]:
    return [attempt.refusal is None for attempt in candidate.attempts]


def run(
    archive: RunArchive,
    *,
    fuse: int | None = None,
    plan: Plan | None = None,
    weighed: Weighed | None = None,
    growth: float | None = None,
) -> tuple[Scripted, Scores]:
    burning = Fuse(fuse)
    proposer, runner = Scripted(burning), Scores(burning)
    plan = plan or Plan(cycles=3, candidates=7, seed=5)
    clocks = {name: Clock(burning, name) for name in MEASURED if len(plan.objectives) > 1}
    checks: list[Gate] = [Sizes()] if clocks or growth else []
    checks += [LimitGate(Limits(growth=growth))] if growth else []
    checks += [weighed] if weighed else []
    choose = weighed.choose if weighed else None
    parts = (plan, BASELINES, proposer, checks, NoveltyGate(), runner, archive, silent)
    Search(*parts, choose=choose, measures=clocks).run()
    assert all(max(clock.measured.values(), default=1) == 1 for clock in clocks.values())
    return proposer, runner
