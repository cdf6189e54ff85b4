"""THE LOOP: propose -> check -> novelty -> train (in the sandbox) -> archive, cycle after cycle.

Written against the seams alone: no room is imported here. Two rules make a run resumable: every random choice comes
from (seed, cycle, index, attempt), and what a cycle draws on is the journal of the cycles before it. A run that was
killed goes on where its journal ends, and ends as the undisturbed run would have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from deltanas.errors import DeltanasError
from deltanas.program import Failed, Program, Refused
from deltanas.seams import (
    Archive,
    Ask,
    Attempt,
    Candidate,
    Draft,
    Final,
    Gate,
    Listener,
    Proposal,
    Proposer,
    Runner,
    Split,
    elites,
    lineage,
    standing,
    telemetry,
)


def by_rank(journal: Sequence[Candidate], rng: Random) -> Program:
    """A baseline or an elite, with probability proportional to 1 / rank: gains add up, the others stay in play."""
    parents = ranked_parents(journal)
    return rng.choices(parents, [1 / rank for rank in range(1, len(parents) + 1)])[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to search.

    Attributes:
        cycles, candidates: number of cycles, and slots to fill in each.
        seed: the root of all chance. retries: further proposals for a slot whose proposal was refused.
        finals: so many of the best elites are trained once more and scored on the test split, with their baselines.
        parent: chooses the parent of a slot, given the candidates of all earlier cycles.
    """

    cycles: int
    candidates: int
    seed: int
    retries: int = 2
    finals: int = 3
    parent: Callable[[Sequence[Candidate], Random], Program] = by_rank


class Search:
    """One run. `run` starts it, or takes it up where its journal ends; it may be interrupted at any moment."""

    def __init__(
        self,
        plan: Plan,
        baselines: Mapping[str, Program],
        proposer: Proposer,
        gates: Sequence[Gate],
        runner: Runner,
        archive: Archive,
        listener: Listener,
    ) -> None:
        self._plan = plan
        self._baselines = baselines
        self._proposer = proposer
        self._gates = gates
        self._runner = runner
        self._archive = archive
        self._listener = listener

    def run(self) -> None:
        journal, plan = self._archive.candidates(), self._plan
        self._listener.plan(plan.cycles, len(self._baselines) + plan.cycles * plan.candidates, journal)
        for gate in self._gates:
            gate.remember([c.draft for c in journal if c.draft and not isinstance(c.outcome, Refused)])
        if not journal:
            self._archive.open(self._checked_baselines())
        self._train(0)
        _require_baseline(self._archive.candidates())
        for cycle in range(1, plan.cycles + 1):
            self._propose(cycle)
            self._train(cycle)
        self._score_finals()
        self._archive.finish()

    def _checked_baselines(self) -> list[Candidate]:
        """The baselines pass the same gates as their descendants, and are journalled as cycle 0."""
        self._listener.begin(0, "check", len(self._baselines))
        proposals = [Proposal(program, "", None, name) for name, program in self._baselines.items()]
        rows = [Candidate(0, index, "baseline", None, None) for index in range(len(proposals))]
        return [_attempted(row, p, v) for row, p, v in zip(rows, proposals, self._judged(proposals), strict=True)]

    def _propose(self, cycle: int) -> None:
        """Fill the slots of a cycle. A batch of slots is journalled whole, before anything of it is trained."""
        journal = self._archive.candidates()
        earlier = [c for c in journal if c.cycle < cycle]
        filled = {c.index for c in journal if c.cycle == cycle}
        missing = [index for index in range(self._plan.candidates) if index not in filled]
        self._listener.begin(cycle, "propose", len(missing))
        for start in range(0, len(missing), self._proposer.batch):
            places = missing[start : start + self._proposer.batch]
            candidates = self._fill([self._ask(cycle, index, earlier) for index in places])
            self._archive.open(candidates)
            for candidate in candidates:
                self._listener.proposed(candidate)

    def _ask(self, cycle: int, index: int, earlier: Sequence[Candidate]) -> Ask:
        slot = f"{self._plan.seed}:{cycle}:{index}"
        parent = self._plan.parent(earlier, Random(f"{slot}:parent"))
        return Ask(cycle, index, 0, f"{slot}:0", parent, telemetry=telemetry(parent, earlier))

    def _fill(self, asks: Sequence[Ask]) -> list[Candidate]:
        """Ask for each slot; where a gate refused, ask again with its reason, up to `retries` times."""
        rows = {a.index: Candidate(a.cycle, a.index, self._proposer.strategy, a.parent.id, None) for a in asks}
        for _ in range(1 + self._plan.retries):
            proposals = self._proposer.propose(asks)
            for ask, proposal, verdict in zip(asks, proposals, self._judged(proposals), strict=True):
                rows[ask.index] = _attempted(rows[ask.index], proposal, verdict)
            asks = [a.again(rows[a.index].attempts) for a in asks if isinstance(rows[a.index].outcome, Refused)]
            if not asks:
                break
        return list(rows.values())

    def _judged(self, proposals: Sequence[Proposal]) -> list[Draft | Refused]:
        nothing = Refused("apply", "no program was proposed")
        return judged([Draft(p.program) if p.program else p.refusal or nothing for p in proposals], self._gates)

    def _train(self, cycle: int) -> None:
        """Train what the journal holds open; each result is settled as it comes."""
        opened = [
            (c, c.program) for c in self._archive.candidates() if c.cycle == cycle and c.program and c.outcome is None
        ]
        self._listener.begin(cycle, "train", len(opened))
        programs = [program for _, program in opened]
        for place, outcome in self._runner.train(programs, seed=training_seed(self._plan.seed)):
            candidate = replace(opened[place][0], outcome=outcome)
            self._archive.settle(cycle, candidate.index, outcome)
            self._listener.settled(candidate)

    def _score_finals(self) -> None:
        """The best elites and their baselines, trained with a fresh seed and scored on the test split, once."""
        journal = self._archive.candidates()
        best = elites(journal)[: self._plan.finals]
        wanted = [c.program for elite in best for c in (elite, lineage(elite, journal)[0])]
        scored = {final.program for final in self._archive.finals()}
        programs = list({p.id: p for p in wanted if p and p.id not in scored}.values())
        self._listener.begin(self._plan.cycles, "test", len(programs))
        for place, outcome in self._runner.train(programs, seed=training_seed(self._plan.seed, "test"), split="test"):
            final = Final(programs[place].id, outcome)
            self._archive.add_final(final)
            self._listener.scored(final)


def _attempted(row: Candidate, proposal: Proposal, verdict: Draft | Refused) -> Candidate:
    """The row with one more attempt: refused for now, or open."""
    refusal = verdict if isinstance(verdict, Refused) else None
    attempt = Attempt(proposal.edit, proposal.rung, proposal.goal, refusal, proposal.calls)
    refused_draft = Draft(proposal.program) if proposal.program else None
    draft = verdict if isinstance(verdict, Draft) else refused_draft
    return replace(row, draft=draft, attempts=(*row.attempts, attempt), outcome=refusal)


def training_seed(seed: int, split: Split = "validation", repeat: int = 0) -> int:
    """One for all candidates: networks are compared, not seeds. The test has another than the selection."""
    return Random(f"{seed}:{split}:{repeat}").randrange(2**31)


def judged(drafts: Sequence[Draft | Refused], gates: Sequence[Gate]) -> list[Draft | Refused]:
    """Each gate sees, in order, what the gates before it let through."""
    verdicts = list(drafts)
    for gate in gates:
        through = {place: verdict for place, verdict in enumerate(verdicts) if isinstance(verdict, Draft)}
        for place, verdict in zip(through, gate.judge(list(through.values())), strict=True):
            verdicts[place] = verdict
    return verdicts


def _require_baseline(journal: Sequence[Candidate]) -> None:
    """Raises DeltanasError, with what became of each baseline, where none was trained."""
    rows = [c for c in journal if c.cycle == 0]
    if all(c.accuracy is None for c in rows):
        reasons = [
            f"{c.attempts[-1].goal}: {c.outcome.reason}" for c in rows if isinstance(c.outcome, Refused | Failed)
        ]
        raise DeltanasError("no baseline could be trained, so there is nothing to edit", "\n  ".join(reasons))


def ranked_parents(journal: Sequence[Candidate]) -> list[Program]:
    """The baselines and the elites, the most accurate first."""
    baselines = [c for c in journal if c.cycle == 0 and c.accuracy is not None]
    return [c.program for c in sorted(baselines + elites(journal), key=standing) if c.program]
