"""The records of a run: what was proposed, what became of it, and all of it at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random

from deltanas.errors import UsageError
from deltanas.program import Failed, Outcome, Part, Probe, Program, Refused, Trained, combined, standard_error
from deltanas.program.adapter import Adapter
from deltanas.task import CLASSIFY, Metric


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a language model.

    Attributes:
        prompt, reply: the texts; "" in a row of a `Journal`, which does without them.
        prompt_tokens, reply_tokens: number of tokens; `estimated`: these numbers are estimates.
        seconds: wall clock.
    """

    model: str
    prompt: str
    reply: str
    prompt_tokens: int
    reply_tokens: int
    seconds: float
    estimated: bool = False


NONE_LEFT = "no simple edit of this program is left to try"
"""The reason of a refusal where the space of edits is used up."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One proposal for a slot, and the gate that refused it (`refusal` None: it passed all of them).

    Attributes:
        edit: the edit as text: SEARCH/REPLACE blocks or a unified diff; what the model said if it holds no edit.
        rung: the rung of the ladder on which the edit applied ("exact", ...), None if it did not apply.
        goal: what the model was asked to do, in words; "" if no model was asked.
        round: 0 for the first proposals of the slot; the later ones had the refusals of the rounds before.
        program: identity of the edited program; equal to the parent's if only comments or layout changed.
        trace, effective: as in `Draft`; None if it did not build.
        kind: kind of the edit in the space of edits ("width", "activation", ...), "" if it is not known; of a composite
            edit those of its steps, sorted and joined by "+".
        note: what the strategy keeps for its own later use, "" for nothing; no other room reads it.
        part: name of the space of edits that the slot drew from ("net", "recipe", "transform"); the part of the program
            that the edit is of, where the slot drew from another.
        steps: number of edits of the space, one after another, that it is made of.
        predicted: the gain that was foretold, over that of a mean edit of the same parent; None: none was.
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
    kind: str = ""
    note: str = ""
    part: Part = "net"
    steps: int = 1
    predicted: float | None = None

    @property
    def passed(self) -> bool:
        """Whether it passed all gates; another of the slot's proposals may have been chosen."""
        return self.refusal is None or self.refusal.stage == "ranked"

    @property
    def aim(self) -> str:
        """The goal in words, or the kind of the edit if no goal was set."""
        return self.goal or self.kind


@dataclass(frozen=True, slots=True)
class Draft:
    """A program on its way through the gates, with what is known of it so far.

    Attributes:
        params: number of trainable parameters. flops: multiply-adds x 2 of one image's forward pass.
        trace: hash of the traced operations with their shapes and of the optimizer, and behind it one of what the
            transform does to images, if anything; equal for programs that train alike.
        probe: what the network computes, in a few figures (`train/build.py` says how they are made).
        effective: the transform does something else than the parent's, or the traced operations differ from the
            parent's, and so does the probe. None if the parent's probe is not known, or for a baseline.
    """

    program: Program
    params: int | None = None
    flops: int | None = None
    trace: str | None = None
    probe: Probe | None = None
    effective: bool | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """A figure of a trained network that no training gives.

    Attributes:
        name: what was measured, as "latency_ms". value: the median of `n` repetitions; None if `detail` says why
            there is none. low, high: the quartiles of the repetitions.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the journal. Cycle 0 holds the baselines.

    Attributes:
        attempts: all proposals for the slot. `draft` is of the one that is trained, or of the last one refused.
        outcome: None: opened, not settled. Several trainings are combined into one (`program.outcome.combined`).
        trainings: every training in the order in which they were made: of one length those in the order of the seeds.
        name: a baseline's name; "" for a candidate of the search.
        parent: identity of the program that the slot was to edit, the first of `parents`.
        measurements: what else was measured of it, after its last training, one of each name.
    """

    cycle: int
    index: int
    strategy: str
    parent: str | None
    draft: Draft | None
    attempts: tuple[Attempt, ...] = ()
    outcome: Outcome | None = None
    trainings: tuple[Trained | Failed, ...] = ()
    name: str = ""
    measurements: tuple[Measurement, ...] = ()

    @property
    def program(self) -> Program | None:
        return self.draft.program if self.draft else None

    @property
    def parents(self) -> tuple[str, ...]:
        """Identities of all programs that it was made from; none for a baseline."""
        first = () if self.parent is None else (self.parent,)
        made = self.program.parents if self.program else ()
        return made if made[:1] == first else first

    @property
    def score(self) -> float | None:
        """In the unit of the task's first metric, after `rung` epochs.

        None if it was not trained: no candidate scores unmeasured.
        """
        return self.outcome.score if isinstance(self.outcome, Trained) else None

    @property
    def rung(self) -> int:
        """Number of epochs after which the score was taken, those of its longest training; 0 without a score."""
        return self.outcome.epochs if isinstance(self.outcome, Trained) else 0

    @property
    def shortest(self) -> int:
        """Number of epochs of its shortest training, which all candidates of a run have; 0 if it was not trained."""
        return min((each.epochs for each in self.trainings), default=self.rung)

    def at(self, rung: int) -> Candidate | None:
        """The candidate by its trainings of this length alone; None where it has no score of them.

        Scores are compared at equal lengths: a child's with that of `parent.at(child.rung)`.
        """
        if not isinstance(self.outcome, Trained):
            return None
        if all(each.epochs == rung for each in self.trainings or (self.outcome,)):
            return self
        made = tuple(each for each in self.trainings if each.epochs == rung)
        return replace(self, trainings=made, outcome=combined(made)) if made else None

    @property
    def standard_error(self) -> float | None:
        """Standard error of the score over the seeds; None for fewer than two trainings, or without a score."""
        scores = self.scores
        return standard_error(scores) if isinstance(self.outcome, Trained) else None

    @property
    def scores(self) -> list[float]:
        """The score of each of its longest trainings that ended well."""
        made = [each for each in self.trainings if isinstance(each, Trained)]
        longest = max((each.epochs for each in made), default=0)
        return [each.score for each in made if each.epochs == longest]

    def measured(self, name: str) -> Measurement | None:
        """The measurement of this name; None if it was not made."""
        return next((each for each in self.measurements if each.name == name), None)

    @property
    def kept(self) -> Attempt | None:
        """The attempt whose program is trained."""
        return next((attempt for attempt in self.attempts if attempt.refusal is None), None)

    @property
    def label(self) -> str:
        """A short name: a baseline's own, or the place in the run, as "2.5" for slot 5 of cycle 2."""
        return self.name if self.cycle == 0 and self.name else f"{self.cycle}.{self.index}"

    def tried(self, attempt: Attempt, draft: Draft | None) -> Candidate:
        """The row with one more attempt: refused for now, or open with the first that passed."""
        attempts = (*self.attempts, attempt)
        if self.kept:
            return replace(self, attempts=attempts)
        return replace(self, attempts=attempts, draft=draft, outcome=attempt.refusal)

    def slim(self, parent: Program | None) -> Candidate:
        """The row in less memory: its program packed, and without texts of calls, probe and scores an image.

        The loop reads none of these again. parent: the program that this one was edited from, if it is held.
        """
        attempts = tuple(
            replace(attempt, calls=tuple(replace(call, prompt="", reply="") for call in attempt.calls))
            for attempt in self.attempts
        )
        draft = self.draft and replace(self.draft, program=self.draft.program.packed(parent), probe=None)
        trainings = tuple(_slim(each) for each in self.trainings)
        outcome = trainings[0] if len(trainings) == 1 and self.outcome else self.outcome
        outcome = _slim(outcome) if isinstance(outcome, Trained | Failed) else outcome
        return replace(self, attempts=attempts, draft=draft, trainings=trainings, outcome=outcome)


def _slim(training: Trained | Failed) -> Trained | Failed:
    return replace(training, per_image=None) if isinstance(training, Trained) and training.per_image else training


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What the earlier cycles know of a parent, and of the goals that were asked for.

    Attributes:
        score: the parent's. params: number of its trainable parameters. None if it was not trained.
        gains: by goal, the mean gain in score over their parents of the candidates that were trained for it.
        metric: what the score is.
    """

    score: float | None = None
    params: int | None = None
    gains: Mapping[str, float] = field(default_factory=dict)
    metric: Metric = CLASSIFY.metric


@dataclass(frozen=True, slots=True)
class Final:
    """A program trained again with a fresh seed and scored once on the test split, after the search."""

    program: str
    outcome: Trained | Failed


@dataclass(frozen=True, slots=True)
class Lease:
    """A slot that was given out.

    Attributes:
        asker: who has it, by name. token: what shows that a teller is the one who asked.
        parent: identity of the program that is to be edited.
        until: when it ends, UTC, ISO 8601. owner: the process that trains what was told, None before.
    """

    cycle: int
    index: int
    asker: str
    token: str
    parent: str
    until: str
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two trainings with one seed: of a candidate, and of its rival. seconds: wall clock of both."""

    seed: int
    score: float
    rival_score: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Duel:
    """A test of a candidate against the champion of its time.

    Attributes:
        rival: the champion's identity. error: probability of erring that it may spend.
        noise: standard deviation of one training, as known when the test began.
        seed: the seeds of its pairs follow from it, drawn when the test began.
        verdict: how it ended, None while it goes on. closed: its place among those that ended.
        lost: seconds of the pair that failed and ended it.
    """

    number: int
    cycle: int
    index: int
    rival: str
    error: float
    noise: float
    seed: int = 0
    verdict: str | None = None
    closed: int | None = None
    lost: float = 0.0
    pairs: tuple[Pair, ...] = ()

    @property
    def due(self) -> int:
        """Seed of the next pair: whoever trains it has the same one, however often a training is cut off."""
        return Random(f"{self.seed}:{len(self.pairs)}").randrange(2**31)

    @property
    def trainings(self) -> int:
        """Number of trainings that it took, those of a pair that failed too."""
        return 2 * (len(self.pairs) + (self.verdict == "failed"))


@dataclass(frozen=True, slots=True)
class RunView:
    """All that a report needs of a run, read at one moment.

    Attributes:
        manifest: version, commit, torch, device, tier, seed, config: the origin of every figure.
        candidates: ordered by (cycle, index). programs: by identity, each program named by a candidate or a parent.
        adapters: by cycle. pictures: a few small training images, as `train.data.sample` keeps them; b"" for none.
        leases, duels: of a run that is filled from outside: who had which slot, and the tests against the champion.
    """

    name: str
    finished: bool
    manifest: dict[str, object]
    candidates: tuple[Candidate, ...]
    programs: dict[str, Program]
    finals: tuple[Final, ...] = field(default=())
    adapters: tuple[Adapter, ...] = ()
    pictures: bytes = b""
    leases: tuple[Lease, ...] = ()
    duels: tuple[Duel, ...] = ()

    def identity(self, name: str) -> str:
        """Identity of the program that has this label in the run, or else of the one whose identity begins so.

        Raises UsageError where there is none, or more than one.
        """
        rows = [(row.label, row.program.id) for row in self.candidates if row.program]
        found = {known for label, known in rows if label == name} or {
            known for known in (*self.programs, *(known for _, known in rows)) if known.startswith(name)
        }
        if len(found) != 1:
            raise UsageError(
                f"{len(found)} programs of {self.name} have the name {name!r}, or an identity that begins so",
                "`deltanas programs list RUN --baselines` shows them",
            )
        return found.pop()
