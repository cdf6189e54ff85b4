"""THE LOOP: propose -> check -> novelty -> train (in the sandbox) -> archive -> learn, cycle after cycle.

Written against the seams alone: no room is imported here. Two rules make a run resumable: every random choice comes
from (seed, cycle, index, attempt), and what a batch of slots draws on is the journal as it stood when the batch came
up. A run that was killed goes on where its journal ends, and ends as the undisturbed run would have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random

from deltanas.allocation import Due
from deltanas.journal import Journal
from deltanas.plan import Plan
from deltanas.policy import PartsByGain, proposals_due, require_baseline, tested
from deltanas.program import Failed, Program, Refused, Trained, combined
from deltanas.records import Candidate, Final
from deltanas.seams import (
    Archive,
    Ask,
    Began,
    Choose,
    Forecast,
    Gate,
    Learner,
    Listener,
    Measure,
    Measured,
    Phase,
    Planned,
    Proposal,
    Proposed,
    Proposer,
    Runner,
    Scored,
    Settled,
    Slot,
    Split,
    TrainingEnded,
)
from deltanas.slots import Slots


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
        choose: Choose | None = None,
        measures: Mapping[str, Measure] | None = None,
        forecast: Forecast | None = None,
        champion: Callable[[Journal], Candidate] | None = None,
    ) -> None:
        """choose: takes one of the proposals of a slot that pass; the first if not given. measures: by the name
        of what they measure of trained networks. forecast: foretells gains of proposals.
        champion: who gets a final score whatever it scored, where a test decides that.
        """
        self._plan = plan
        self._baselines = baselines
        self._slots = Slots(proposer, checks, novelty, choose, forecast)
        self._proposer = proposer
        self._runner = runner
        self._archive = archive
        self._listener = listener
        self._learner = learner
        self._measures = measures or {}
        self._champion = champion
        self._parts = PartsByGain(plan.parts)
        self._journal = Journal(slim=True, metric=plan.metric)

    def run(self) -> None:
        plan, tell = self._plan, self._listener
        for row in self._archive.rows():
            self._journal.open([row])
            if row.draft and not isinstance(row.outcome, Refused):
                self._slots.remember([row.draft])
        total = len(self._baselines) + plan.cycles * plan.candidates
        tell(Planned(plan.cycles, total, plan.allocation.each, plan.allocation.top, self._journal))
        if not self._journal:
            baselines = self._checked_baselines()
            if all(isinstance(each.outcome, Refused) for each in baselines):
                require_baseline(baselines)  # before anything is journalled
            self._open(baselines)
        self._train(0)
        require_baseline(self._journal.of_cycle(0))
        if plan.outside:
            self._end_if_filled()
            return
        # All before the last cycle in the journal is done; a learner is told of the one before it, which it left last.
        first = max(1, self._journal[-1].cycle - 1)
        self._slots.told(self._journal.before(first))
        for cycle in range(first, plan.cycles + 1):
            self._propose(cycle)
            self._train(cycle)
            if self._learner:
                self._learner.learn(cycle, self._journal)
            self._slots.told(self._journal.before(cycle + 1))
        self._score_finals()
        self._archive.finish()

    def _end_if_filled(self) -> None:
        """Train what others told and nobody trained; with every slot filled, the run comes to its end."""
        for cycle in sorted({row.cycle for row in self._journal} - {0}):
            self._train(cycle)
        asked = sum(row.cycle > 0 and row.index < self._plan.candidates for row in self._journal)
        if asked >= self._plan.cycles * self._plan.candidates:
            self._score_finals()
            self._archive.finish()

    def _open(self, candidates: Sequence[Candidate]) -> None:
        self._archive.open(candidates)
        self._journal.open(candidates)
        for candidate in candidates:
            self._listener(Proposed(candidate))

    def _checked_baselines(self) -> list[Candidate]:
        """The baselines pass the same gates as their descendants, and are journalled as cycle 0."""
        self._listener(Began(0, "check", len(self._baselines)))
        rows = [Candidate(0, place, "baseline", None, None, name=name) for place, name in enumerate(self._baselines)]
        return self._slots.checked(rows, [Proposal(program, "", None) for program in self._baselines.values()])

    def _propose(self, cycle: int) -> None:
        """Fill the slots of a cycle. A batch of slots is journalled whole, before anything of it is trained."""
        filled = {c.index for c in self._journal.of_cycle(cycle)}
        missing = [index for index in range(self._plan.candidates) if index not in filled]
        self._listener(Began(cycle, "propose", len(missing)))
        while missing:
            count = self._plan.proposals or proposals_due(self._journal)
            size = max(1, self._proposer.batch // count)
            asks = [self._ask(cycle, index) for index in missing[:size]]
            self._open(self._slots.filled(asks, count, self._plan.retries))
            missing = missing[size:]

    def _ask(self, cycle: int, index: int) -> Ask:
        slot, earlier = f"{self._plan.seed}:{cycle}:{index}", self._journal.before(cycle)
        parent = self._plan.parent(Slot(cycle, index), earlier, Random(f"{slot}:parent"))
        part = self._parts(earlier, Random(f"{slot}:part"), parent.id)
        known = earlier.telemetry(parent)
        return Ask(cycle, index, 0, f"{slot}:0", parent, parts=(part,), telemetry=known, journal=self._journal)

    def _train(self, cycle: int) -> None:
        """Train what the journal holds open for as long as trainings are due; each result is journalled as it comes."""
        allocation, journal = self._plan.allocation, self._journal
        while due := allocation.due(journal, cycle):
            phase: Phase = "repeat" if due.repeat else "promote" if due.promoted else "train"
            self._listener(Began(cycle, phase, len(due.candidates), due.epochs))
            for candidate, training in self._trained(due):
                grown = replace(candidate, trainings=(*candidate.trainings, training))
                outcome = combined(grown.trainings) if allocation.last(grown) else None
                self._record(replace(grown, outcome=outcome), training)
        for candidate in [c for c in journal.of_cycle(cycle) if c.trainings and not c.outcome]:
            self._record(replace(candidate, outcome=combined(candidate.trainings)))
        self._measure_trained(cycle)

    def _trained(self, due: Due) -> Iterator[tuple[Candidate, Trained | Failed]]:
        """Each candidate with its training, as it ends."""
        programs = [c.program for c in due.candidates if c.program]
        seed = training_seed(self._plan.seed, repeat=due.repeat, epochs=due.epochs if due.promoted else None)
        for place, training in self._runner.train(programs, seed=seed, epochs=due.epochs):
            yield due.candidates[place], replace(training, epochs=due.epochs) if due.epochs else training

    def _measure_trained(self, cycle: int) -> None:
        """What the objectives need beside scores, once no training disturbs it; each is journalled as it comes."""
        trained = [(c, c.program) for c in self._journal.of_cycle(cycle) if c.program and c.score is not None]
        for name, measure in self._measures.items():
            due = [(c, program) for c, program in trained if c.measured(name) is None]
            if not due:
                continue
            self._listener(Began(cycle, "measure", len(due)))
            for (candidate, _), found in zip(due, measure([program for _, program in due]), strict=True):
                self._archive.measure(candidate.cycle, candidate.index, found)
                self._journal.measure(candidate.cycle, candidate.index, found)
                self._listener(Measured(candidate, found))

    def _record(self, candidate: Candidate, training: Trained | Failed | None = None) -> None:
        """Journal a candidate's last training, if there is a new one, and its outcome, if it is settled by now."""
        outcome = candidate.outcome
        assert not isinstance(outcome, Refused)
        self._archive.record(candidate.cycle, candidate.index, training, outcome)
        self._journal.record(candidate.cycle, candidate.index, training, outcome)
        if training:
            self._listener(TrainingEnded(candidate))
        if outcome:
            self._listener(Settled(candidate))

    def _score_finals(self) -> None:
        """The best elites and baselines, trained with a fresh seed and scored on the test split, once."""
        due = tested(self._journal, self._plan.objectives, self._plan.finals)
        if self._champion and (champion := self._champion(self._journal)).cycle:
            due = [*due, champion, self._journal.lineage(champion)[0]]
        scored = {final.program for final in self._archive.finals()}
        programs = list({c.program.id: c.program for c in due if c.program and c.program.id not in scored}.values())
        self._listener(Began(self._plan.cycles, "test", len(programs)))
        seed, epochs = training_seed(self._plan.seed, "test"), self._plan.final_epochs
        for place, outcome in self._runner.train(programs, seed=seed, split="test", epochs=epochs):
            final = Final(programs[place].id, outcome)
            self._archive.add_final(final)
            self._listener(Scored(final))


def training_seed(seed: int, split: Split = "validation", repeat: int = 0, epochs: int | None = None) -> int:
    """One for all candidates: networks are compared, not seeds. The test has another than the selection.

    epochs: of a longer training than the first one, which has a seed of its own: who was promoted by the luck of a
    short training does not take it along.
    """
    key = f"{seed}:{split}:{repeat}" if epochs is None else f"{seed}:{split}:{repeat}:{epochs}"
    return Random(key).randrange(2**31)
