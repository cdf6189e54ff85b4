"""THE LOOP: propose -> check -> novelty -> train (in the sandbox) -> archive -> learn, cycle after cycle.

Written against the seams alone: no room is imported here. Two rules make a run resumable: every random choice comes
from (seed, cycle, index, attempt), and what a batch of slots draws on is the journal as it stood when the batch came
up. A run that was killed goes on where its journal ends, and ends as the undisturbed run would have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from deltanas.policy import by_rank, proposals_due, require_baseline
from deltanas.program import Program, Refused, combined
from deltanas.repeats import ONCE, Repeats
from deltanas.seams import (
    Archive,
    Ask,
    Candidate,
    Draft,
    Final,
    Gate,
    Learner,
    Listener,
    Proposal,
    Proposer,
    Runner,
    Split,
    elites,
    judged,
    lineage,
    telemetry,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to search.

    Attributes:
        cycles, candidates: number of cycles, and slots to fill in each.
        seed: the root of all chance.
        retries: further rounds for a slot of whose proposals none passed; these go back with the reasons.
        finals: so many of the best elites are trained once more and scored on the test split, with their baselines.
        parent: chooses the parent of a slot, given the candidates of all earlier cycles.
        proposals: drawn for a slot in each round, the first that passes is kept; None: by what the journal measured.
        repeats: how often candidates are trained.
    """

    cycles: int
    candidates: int
    seed: int
    retries: int = 2
    finals: int = 3
    parent: Callable[[Sequence[Candidate], Random], Program] = by_rank
    proposals: int | None = 1
    repeats: Repeats = ONCE


class Search:
    """One run. `run` starts it, or takes it up where its journal ends; it may be interrupted at any moment."""

    def __init__(
        self,
        plan: Plan,
        baselines: Mapping[str, Program],
        proposer: Proposer,
        checks: Sequence[Gate],
        novelty: Gate,
        runner: Runner,
        archive: Archive,
        listener: Listener,
        learner: Learner | None = None,
    ) -> None:
        self._plan = plan
        self._baselines = baselines
        self._proposer = proposer
        self._checks = checks
        self._novelty = novelty
        self._runner = runner
        self._archive = archive
        self._listener = listener
        self._learner = learner

    def run(self) -> None:
        journal, plan = self._archive.candidates(), self._plan
        total = len(self._baselines) + plan.cycles * plan.candidates
        self._listener.plan(plan.cycles, total, plan.repeats.each, plan.repeats.top, journal)
        self._remember([c.draft for c in journal if c.draft and not isinstance(c.outcome, Refused)])
        if not journal:
            baselines = self._checked_baselines()
            self._archive.open(baselines)
            for candidate in baselines:
                self._listener.proposed(candidate)
        self._train(0)
        require_baseline(self._archive.candidates())
        for cycle in range(1, plan.cycles + 1):
            self._propose(cycle)
            self._train(cycle)
            if self._learner:
                self._learner.learn(cycle)
        self._score_finals()
        self._archive.finish()

    def _checked_baselines(self) -> list[Candidate]:
        """The baselines pass the same gates as their descendants, and are journalled as cycle 0."""
        self._listener.begin(0, "check", len(self._baselines))
        proposals = [Proposal(program, "", None, name) for name, program in self._baselines.items()]
        rows = {index: Candidate(0, index, "baseline", None, None) for index in range(len(proposals))}
        self._judge(rows, list(rows), proposals, 0)
        return list(rows.values())

    def _propose(self, cycle: int) -> None:
        """Fill the slots of a cycle. A batch of slots is journalled whole, before anything of it is trained."""
        journal = self._archive.candidates()
        earlier = [c for c in journal if c.cycle < cycle]
        filled = {c.index for c in journal if c.cycle == cycle}
        missing = [index for index in range(self._plan.candidates) if index not in filled]
        self._listener.begin(cycle, "propose", len(missing))
        while missing:
            count = self._plan.proposals or proposals_due(journal)
            size = max(1, self._proposer.batch // count)
            known = tuple(journal)
            candidates = self._fill([self._ask(cycle, index, earlier, known) for index in missing[:size]], count)
            self._archive.open(candidates)
            missing = missing[size:]
            journal += candidates
            for candidate in candidates:
                self._listener.proposed(candidate)

    def _ask(self, cycle: int, index: int, earlier: Sequence[Candidate], journal: Sequence[Candidate]) -> Ask:
        slot = f"{self._plan.seed}:{cycle}:{index}"
        parent = self._plan.parent(earlier, Random(f"{slot}:parent"))
        return Ask(cycle, index, 0, f"{slot}:0", parent, telemetry=telemetry(parent, earlier), journal=journal)

    def _fill(self, asks: Sequence[Ask], count: int) -> list[Candidate]:
        """Draw `count` proposals for each slot; where none passed, draw again, up to `retries` times."""
        rows = {a.index: Candidate(a.cycle, a.index, self._proposer.strategy, a.parent.id, None) for a in asks}
        for number in range(1 + self._plan.retries):
            drawn = [one for ask in asks for one in ask.several(count)]
            self._judge(rows, [ask.index for ask in drawn], self._proposer.propose(drawn), number)
            asks = [a.again(rows[a.index].attempts) for a in asks if isinstance(rows[a.index].outcome, Refused)]
            if not asks:
                break
        return list(rows.values())

    def _judge(
        self, rows: dict[int, Candidate], slots: Sequence[int], proposals: Sequence[Proposal], number: int
    ) -> None:
        """Give each slot its proposals. All are checked together; what is new is seen one by one, in their order."""
        nothing = Refused("apply", "no program was proposed")
        drafts = [Draft(p.program) if p.program else p.refusal or nothing for p in proposals]
        for slot, proposal, checked in zip(slots, proposals, judged(drafts, self._checks), strict=True):
            (verdict,) = judged([checked], [self._novelty])
            if isinstance(verdict, Draft) and rows[slot].kept is None:
                self._remember([verdict])
            draft = next((one for one in (verdict, checked) if isinstance(one, Draft)), None)
            attempt = proposal.judged(draft, verdict if isinstance(verdict, Refused) else None, number)
            rows[slot] = rows[slot].tried(attempt, draft or (Draft(proposal.program) if proposal.program else None))

    def _remember(self, drafts: Sequence[Draft]) -> None:
        for gate in (*self._checks, self._novelty):
            gate.remember(drafts)

    def _train(self, cycle: int) -> None:
        """Train what the journal holds open for as long as trainings are due; each result is journalled as it comes."""
        repeats, archive = self._plan.repeats, self._archive
        while due := repeats.due(archive.candidates(), cycle):
            repeat, programs = len(due[0].trainings), [c.program for c in due if c.program]
            self._listener.begin(cycle, "repeat" if repeat else "train", len(due))
            for place, training in self._runner.train(programs, seed=training_seed(self._plan.seed, repeat=repeat)):
                candidate = replace(due[place], trainings=(*due[place].trainings, training))
                outcome = combined(candidate.trainings) if repeats.last(candidate) else None
                archive.record(cycle, candidate.index, training, outcome)
                self._listener.trained(replace(candidate, outcome=outcome))
                if outcome:
                    self._listener.settled(replace(candidate, outcome=outcome))
        for candidate in [c for c in archive.candidates() if c.cycle == cycle and c.trainings and not c.outcome]:
            outcome = combined(candidate.trainings)
            archive.record(cycle, candidate.index, None, outcome)
            self._listener.settled(replace(candidate, outcome=outcome))

    def _score_finals(self) -> None:
        """The best elites and their baselines, trained with a fresh seed and scored on the test split, once."""
        journal = self._archive.candidates()
        best = [each for elite in elites(journal)[: self._plan.finals] for each in (elite, lineage(elite, journal)[0])]
        scored = {final.program for final in self._archive.finals()}
        programs = list({c.program.id: c.program for c in best if c.program and c.program.id not in scored}.values())
        self._listener.begin(self._plan.cycles, "test", len(programs))
        for place, outcome in self._runner.train(programs, seed=training_seed(self._plan.seed, "test"), split="test"):
            final = Final(programs[place].id, outcome)
            self._archive.add_final(final)
            self._listener.scored(final)


def training_seed(seed: int, split: Split = "validation", repeat: int = 0) -> int:
    """One for all candidates: networks are compared, not seeds. The test has another than the selection."""
    return Random(f"{seed}:{split}:{repeat}").randrange(2**31)
