"""What the rooms promise one another: the records that pass between them, and the Protocols of the loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from statistics import fmean
from typing import Literal, Protocol

from deltanas.program import (
    Failed,
    Outcome,
    Probe,
    Program,
    Refused,
    Stage,
    Trained,
    same_function,
    standard_error,
)
from deltanas.program.adapter import Adapter

Split = Literal["validation", "test"]
Phase = Literal["check", "propose", "train", "repeat", "learn", "test"]
"""What a search does, in the order of a cycle: `repeat`: train again with another seed, `learn`: tune the model."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a language model, as it was. Seconds of wall clock; estimated: its numbers of tokens are."""

    model: str
    prompt: str
    reply: str
    prompt_tokens: int
    reply_tokens: int
    seconds: float
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One proposal for a slot, and the gate that turned it back (`refusal` None: it passed all of them).

    Attributes:
        edit: the edit as text: SEARCH/REPLACE blocks or a unified diff; what the model said where it holds no edit.
        rung: the rung of the ladder on which the edit applied ("exact", ...), None where it did not apply.
        goal: what the edit was asked to do.
        round: 0 for the first proposals of the slot; the later ones had the refusals of the rounds before.
        program: identity of what the edit made of the parent: its own where only comments or layout changed.
        trace, effective: as in `Draft`; None where it did not build.
    """

    edit: str
    rung: str | None
    goal: str
    refusal: Refused | None
    calls: tuple[Call, ...] = ()
    round: int = 0
    program: str | None = None
    trace: str | None = None
    effective: bool | None = None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the earlier cycles know of a parent, and of the goals that were asked for.

    Attributes:
        accuracy: the parent's, in [0, 1]. params: its trainable parameters. None where it was not trained.
        gains: by goal, the mean gain in accuracy over their parents of the candidates that were trained for it.
    """

    accuracy: float | None = None
    params: int | None = None
    gains: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """A slot to fill: propose one edit of `parent`.

    Attributes:
        cycle, index, attempt: the slot's place; `attempt` counts from 0.
        key: the seed of every random choice made for this proposal.
        earlier: the attempts of the rounds before, all refused, oldest first, to go back to the model verbatim.
        journal: the candidates of all earlier cycles, and those of this cycle that were proposed in batches before,
            none of which is trained yet; oldest first.
    """

    cycle: int
    index: int
    attempt: int
    key: str
    parent: Program
    earlier: tuple[Attempt, ...] = ()
    telemetry: Telemetry = field(default_factory=Telemetry)
    journal: Sequence[Candidate] = field(default=(), compare=False, repr=False)

    def again(self, earlier: tuple[Attempt, ...]) -> Ask:
        """The first ask of the slot's next round."""
        return replace(self._numbered(len(earlier)), earlier=earlier)

    def several(self, count: int) -> list[Ask]:
        """So many asks of one round, none of which knows of the others."""
        return [self._numbered(self.attempt + place) for place in range(count)]

    def _numbered(self, attempt: int) -> Ask:
        slot, _, _ = self.key.rpartition(":")
        return replace(self, attempt=attempt, key=f"{slot}:{attempt}")

    def rng(self, purpose: str) -> Random:
        """A generator of its own for each purpose, so that one draw more in one place moves no other."""
        return Random(f"{self.key}:{purpose}")


@dataclass(frozen=True, slots=True)
class Proposal:
    """The answer to an `Ask`: a program, or the reason why there is none (`refusal`, stage "parse" or "apply")."""

    program: Program | None
    edit: str
    rung: str | None
    goal: str
    refusal: Refused | None = None
    calls: tuple[Call, ...] = ()

    def judged(self, draft: Draft | None, refusal: Refused | None, number: int) -> Attempt:
        """What becomes of it in round `number`. draft: as far as the gates got with it."""
        program = self.program.id if self.program else None
        known = (draft.trace, draft.effective) if draft else (None, None)
        return Attempt(self.edit, self.rung, self.goal, refusal, self.calls, number, program, *known)


@dataclass(frozen=True, slots=True)
class Draft:
    """A program on its way through the gates, with what is known of it so far.

    Attributes:
        params: number of trainable parameters. flops: multiply-adds x 2 of one image's forward pass.
        trace: hash of the traced operations with their shapes and of the optimizer; equal for programs that
            compute alike.
        probe: what the network computes, in a few figures (`train/build.py` says how they are made).
        effective: the traced operations differ from the parent's, and so does the probe. None where the parent's
            probe is not known, or for a baseline.
    """

    program: Program
    params: int | None = None
    flops: int | None = None
    trace: str | None = None
    probe: Probe | None = None
    effective: bool | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the journal. Cycle 0 holds the baselines.

    Attributes:
        attempts: all proposals for the slot. `draft` is of the first that no gate refused, or of the last.
        outcome: None: opened, not settled. Of several trainings it is what they come to together
            (`program.outcome.combined`).
        trainings: every training, in the order of the seeds.
    """

    cycle: int
    index: int
    strategy: str
    parent: str | None
    draft: Draft | None
    attempts: tuple[Attempt, ...] = ()
    outcome: Outcome | None = None
    trainings: tuple[Trained | Failed, ...] = ()

    @property
    def program(self) -> Program | None:
        return self.draft.program if self.draft else None

    @property
    def accuracy(self) -> float | None:
        """In [0, 1]; None if it was not trained: no candidate scores what was not measured."""
        return self.outcome.accuracy if isinstance(self.outcome, Trained) else None

    @property
    def standard_error(self) -> float | None:
        """Of the accuracy, over the seeds; None for fewer than two trainings, or where it has no accuracy."""
        scores = [each.accuracy for each in self.trainings if isinstance(each, Trained)]
        return standard_error(scores) if isinstance(self.outcome, Trained) else None

    @property
    def kept(self) -> Attempt | None:
        """The attempt whose program is trained: the first that no gate refused."""
        return next((attempt for attempt in self.attempts if attempt.refusal is None), None)

    def tried(self, attempt: Attempt, draft: Draft | None) -> Candidate:
        """The row with one more attempt: refused for now, or open with the first that passed."""
        attempts = (*self.attempts, attempt)
        if self.kept:
            return replace(self, attempts=attempts)
        return replace(self, attempts=attempts, draft=draft, outcome=attempt.refusal)


def elites(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that beat their parent, the most accurate first (baselines, having no parent, are none)."""
    pool = list(candidates)
    scores = {c.program.id: c.accuracy for c in pool if c.program and c.accuracy is not None}

    def beats_parent(c: Candidate) -> bool:
        parent = scores.get(c.parent) if c.parent else None
        return c.accuracy is not None and parent is not None and c.accuracy > parent

    return sorted(filter(beats_parent, pool), key=standing)


def gains(journal: Iterable[Candidate]) -> dict[str, list[float]]:
    """By goal, the gain in accuracy over its parent of each candidate that was trained for it."""
    pool = list(journal)
    scores = {c.program.id: c.accuracy for c in pool if c.program and c.accuracy is not None}
    found: dict[str, list[float]] = {}
    for candidate in pool:
        before = scores.get(candidate.parent) if candidate.parent else None
        if candidate.accuracy is not None and before is not None:
            goal = candidate.kept.goal if candidate.kept else ""
            found.setdefault(goal, []).append(candidate.accuracy - before)
    return found


def telemetry(parent: Program, journal: Sequence[Candidate]) -> Telemetry:
    """What `journal` knows of `parent` and of the goals that its candidates were asked for."""
    row = {c.program.id: c for c in journal if c.program and c.accuracy is not None}.get(parent.id)
    return Telemetry(
        row.accuracy if row else None,
        row.draft.params if row and row.draft else None,
        {goal: fmean(values) for goal, values in gains(journal).items()},
    )


def standing(candidate: Candidate) -> tuple[float, int, int]:
    """Sort key: the most accurate first, the untrained last, ties in the order of the journal."""
    accuracy = candidate.accuracy
    return (1.0 if accuracy is None else -accuracy, candidate.cycle, candidate.index)


def lineage(candidate: Candidate, candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidate's ancestors and itself, its baseline first."""
    made = {c.program.id: c for c in candidates if c.program and c.outcome and not isinstance(c.outcome, Refused)}
    line = [candidate]
    while line[0].parent in made:
        line.insert(0, made[line[0].parent])
    return line


@dataclass(frozen=True, slots=True)
class Final:
    """A program trained again with a fresh seed and scored once on the test split, after the search."""

    program: str
    outcome: Trained | Failed


@dataclass(frozen=True, slots=True)
class RunView:
    """All that a report needs of a run, read at one moment.

    Attributes:
        manifest: version, commit, torch, device, tier, seed, config: the origin of every figure.
        candidates: ordered by (cycle, index). programs: by identity, each program named by a candidate or a parent.
        adapters: by cycle.
    """

    name: str
    finished: bool
    manifest: dict[str, object]
    candidates: tuple[Candidate, ...]
    programs: dict[str, Program]
    finals: tuple[Final, ...] = field(default=())
    adapters: tuple[Adapter, ...] = ()


class Proposer(Protocol):
    """Fills slots. `batch` is how many it likes to be asked for at once; the answers come in the order of the asks."""

    @property
    def strategy(self) -> str: ...
    @property
    def batch(self) -> int: ...
    def propose(self, asks: Sequence[Ask]) -> list[Proposal]: ...


class Gate(Protocol):
    """Judges drafts: each comes back richer, or refused. Judging alone changes nothing in the gate."""

    @property
    def stage(self) -> Stage: ...
    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]: ...
    def remember(self, drafts: Sequence[Draft]) -> None:
        """Take note of programs that the run holds: those that are kept, and on resume the candidates so far."""


def judged(drafts: Sequence[Draft | Refused], gates: Sequence[Gate]) -> list[Draft | Refused]:
    """Each gate sees, in order, what the gates before it let through."""
    verdicts = list(drafts)
    for gate in gates:
        through = {place: verdict for place, verdict in enumerate(verdicts) if isinstance(verdict, Draft)}
        for place, verdict in zip(through, gate.judge(list(through.values())), strict=True):
            verdicts[place] = verdict
    return verdicts


@dataclass(frozen=True, slots=True)
class Built:
    """What building a program and running one training step showed; the fields mean what they mean in `Draft`.

    widths: the first two sizes of each parameter (of a layer's weights what goes out and what comes in), in the
        network's order; empty where there are too many to tell.
    """

    params: int
    flops: int
    trace: str
    probe: Probe
    widths: tuple[tuple[int, ...], ...] = ()

    def differs(self, parent: Built) -> bool:
        """It computes another function: by other operations, and with other outputs."""
        return self.trace != parent.trace and not same_function(self.probe, parent.probe)


class Builds(Protocol):
    """Build checks: the answers come in the order of `programs`."""

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]: ...


class Runner(Builds, Protocol):
    """Builds and trains programs in isolation, never in the tool's own process.

    `train` yields (position in `programs`, outcome) as each ends, in any
    order. Equal programs, seeds and splits give equal accuracies, whichever worker trains them.
    """

    @property
    def tier(self) -> str: ...
    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation"
    ) -> Iterator[tuple[int, Trained | Failed]]: ...


class Listener(Protocol):
    """Told of what happens as it happens: a progress bar, a log."""

    def plan(self, cycles: int, total: int, seeds: int, top: int, journal: Sequence[Candidate]) -> None:
        """The run will have `total` candidates, baselines included, each trained `seeds` times or more, and serves the
        choice of the best `top`; these candidates it has now."""

    def begin(self, cycle: int, phase: Phase, total: int) -> None: ...
    def proposed(self, candidate: Candidate) -> None: ...
    def trained(self, candidate: Candidate) -> None:
        """The last of its trainings so far has just ended."""

    def settled(self, candidate: Candidate) -> None: ...
    def stepped(self, step: int, steps: int, loss: float) -> None:
        """A tuning has taken so many of its steps."""

    def tuned(self, adapter: Adapter) -> None: ...
    def scored(self, final: Final) -> None: ...


class Archive(Protocol):
    """One run's journal. Every method is one transaction: it happens whole or not at all, and survives `kill -9`."""

    def candidates(self) -> list[Candidate]: ...
    def finals(self) -> list[Final]: ...
    def program(self, identity: str) -> Program: ...
    def open(self, candidates: Sequence[Candidate]) -> None:
        """Journal candidates before they are trained: refused ones are settled at once, the others stay open."""

    def record(
        self, cycle: int, index: int, training: Trained | Failed | None, outcome: Trained | Failed | None
    ) -> None:
        """Journal the next training of an open candidate and, if there will be no more, what they come to."""

    def add_final(self, final: Final) -> None: ...
    def adapters(self) -> list[Adapter]: ...
    def add_adapter(self, adapter: Adapter) -> None: ...
    def finish(self) -> None: ...


class Learner(Protocol):
    """Makes the proposer better by what the cycles so far have measured."""

    def learn(self, cycle: int) -> None:
        """What comes after the training of `cycle` and before the proposals of the next one.

        Called for every cycle, also when a run is taken up again: what was done is not done again, what was cut off
        is, and the next proposals are made as they would be in a run that nothing disturbed.
        """
