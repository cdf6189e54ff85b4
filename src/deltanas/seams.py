"""What the rooms promise one another: the records that pass between them, and the Protocols of the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal, Protocol

from deltanas.journal import Journal
from deltanas.program import (
    Failed,
    Part,
    Probe,
    Program,
    Refused,
    SpaceEdit,
    Stage,
    Trained,
    acting,
    same_function,
    text_of,
)
from deltanas.program.adapter import Adapter
from deltanas.records import Attempt, Call, Candidate, Draft, Final, Measurement, Telemetry

Split = Literal["validation", "test"]
Phase = Literal["check", "propose", "train", "promote", "repeat", "measure", "learn", "test"]
"""What a search does, in the order of a cycle: `promote`: train longer, `repeat`: train again with another seed,
`measure`: what objectives need beside scores, `learn`: tune the model."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the run that gets a candidate."""

    cycle: int
    index: int


ParentRule = Callable[[Slot, Journal, Random], Program]
"""Chooses the parent of a slot, given the journal of all earlier cycles."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A slot to fill: propose one edit of `parent`.

    Attributes:
        cycle, index, attempt: the slot's place; `attempt` counts from 0.
        key: the seed of every random choice made for this proposal.
        parts: names of the spaces of edits that are open to the slot; all are of one text, and a search names one.
        earlier: the attempts of the rounds before, all refused, oldest first, to go back to the model verbatim.
        journal: the run's journal. It holds the candidates of all earlier cycles, and those of this cycle that were
            proposed in batches before, which are not trained yet.
        beside: the slots of the same batch that were filled in the rounds before, which the journal does not hold yet.
    """

    cycle: int
    index: int
    attempt: int
    key: str
    parent: Program
    earlier: tuple[Attempt, ...] = ()
    parts: tuple[Part, ...] = ("net",)
    telemetry: Telemetry = field(default_factory=Telemetry)
    journal: Journal = field(default_factory=Journal, compare=False, repr=False)
    beside: tuple[Candidate, ...] = field(default=(), compare=False, repr=False)

    def again(self, earlier: tuple[Attempt, ...], beside: tuple[Candidate, ...] = ()) -> Ask:
        """The first ask of the slot's next round."""
        return replace(self._numbered(len(earlier)), earlier=earlier, beside=beside)

    def several(self, count: int) -> list[Ask]:
        """`count` asks of one round; none knows the others."""
        return [self._numbered(self.attempt + place) for place in range(count)]

    def _numbered(self, attempt: int) -> Ask:
        slot, _, _ = self.key.rpartition(":")
        return replace(self, attempt=attempt, key=f"{slot}:{attempt}")

    @property
    def part(self) -> Part:
        """The part of the program whose text the slot edits."""
        return text_of(self.parts[0])

    @property
    def text(self) -> str:
        """What it edits."""
        return self.parent.editable(self.part)

    def rng(self, purpose: str) -> Random:
        """A generator of its own for each purpose, so that one draw more in one place moves no other."""
        return Random(f"{self.key}:{purpose}")


@dataclass(frozen=True, slots=True)
class Proposal:
    """The answer to an `Ask`: a program, or the reason why there is none (`refusal`, stage "parse" or "apply").

    The other fields mean what they mean in `Attempt`.
    """

    program: Program | None
    edit: str
    rung: str | None
    goal: str = ""
    refusal: Refused | None = None
    calls: tuple[Call, ...] = ()
    kind: str = ""
    note: str = ""
    part: Part = "net"
    steps: int = 1
    predicted: float | None = None

    def judged(
        self, draft: Draft | None, refusal: Refused | None, number: int, asked: Sequence[Part] = ("net",)
    ) -> Attempt:
        """What becomes of it in round `number`. draft: as far as the gates got with it. asked: `Ask.parts`."""
        part = asked[0] if text_of(asked[0]) == self.part else self.part
        program = self.program.id if self.program else None
        known = (draft.trace, draft.effective) if draft else (None, None)
        said = (self.edit, self.rung, self.goal, refusal, self.calls)
        told = Attempt(*said, number, program, *known, kind=self.kind, note=self.note, part=part)
        return replace(told, steps=self.steps, predicted=self.predicted)


@dataclass(frozen=True, slots=True)
class Expected:
    """A gain that is foretold, in units of the metric; better is positive. deviation: of the true gain around it."""

    mean: float
    deviation: float


class Forecast(Protocol):
    """Foretells gains by measured edits: others', and the run's own, of which it is told as gates are."""

    def knows(self, part: Part) -> bool:
        """Whether draws of this space of edits are to be ranked: it is known well enough, and its ranking holds."""

    def gains(self, parent: Program, edits: Sequence[SpaceEdit]) -> list[Expected]:
        """Of edits of one parent, in their order."""

    def of(self, parent: Program, child: Program, part: Part, kind: str = "") -> Expected:
        """Of whatever edit made `child` of `parent` in this part."""

    def told(self, journal: Journal) -> None:
        """What was measured: the journal after each cycle, all of it settled. A resumed run begins with the earlier."""


class Proposer(Protocol):
    """Fills slots. `batch` is how many it likes to be asked for at once; the answers come in the order of the asks."""

    @property
    def strategy(self) -> str: ...
    @property
    def batch(self) -> int: ...
    def propose(self, asks: Sequence[Ask]) -> list[Proposal]: ...


class Gate(Protocol):
    """Judges drafts: each comes back richer, or refused. Judging alone changes nothing in the gate.

    A gate that derives from it has a `remember` and a `told` that do nothing.
    """

    @property
    def stage(self) -> Stage: ...
    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]: ...
    def remember(self, drafts: Sequence[Draft]) -> None:  # noqa: ARG002
        """Take note of programs that the run holds: those that are kept, and on resume the candidates so far."""
        return

    def told(self, journal: Journal) -> None:  # noqa: ARG002
        """What was measured: the journal after each cycle, all of it settled. A resumed run begins with the earlier."""
        return


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of a slot's passing proposals is trained.

    Attributes:
        place: of the chosen one. reasons: why each of the others is not, in their order ("" for the chosen one).
        calls: of a model, made to choose.
    """

    place: int
    reasons: tuple[str, ...]
    calls: tuple[Call, ...] = ()


Choose = Callable[[Ask, Sequence[tuple[Proposal, Draft]]], Choice]
"""Weighs the proposals of a slot that passed all gates, two or more. It goes by these and by what it was told alone."""


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
        network's order; empty if there are too many to tell.
    """

    params: int
    flops: int
    trace: str
    probe: Probe
    widths: tuple[tuple[int, ...], ...] = ()

    def differs(self, parent: Built) -> bool:
        """It trains otherwise: its transform does something else, or it computes another function.

        That is by other operations, and with other outputs.
        """
        if acting(self.trace) != acting(parent.trace):
            return True
        return self.trace != parent.trace and not same_function(self.probe, parent.probe)


class Builds(Protocol):
    """Build checks: the answers come in the order of `programs`."""

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]: ...


class Runner(Builds, Protocol):
    """Builds and trains programs in isolation, never in the tool's own process.

    `train` yields (position in `programs`, outcome) as each ends, in any
    order. Equal programs, seeds, splits and numbers of epochs give equal accuracies, whichever worker trains them.
    epochs: passes over the training images, the run's own number if not given.
    """

    @property
    def tier(self) -> str: ...
    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]: ...


Measure = Callable[[Sequence[Program]], Iterator[Measurement]]
"""Measures networks one by one, in the order of the programs; what can't be measured has no value, and a reason."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The run is to have `total` candidates, baselines included, each trained `seeds` times or more.

    top: number of best candidates that the choice serves. journal: what the run holds now.
    """

    cycles: int
    total: int
    seeds: int
    top: int
    journal: Journal


@dataclass(frozen=True, slots=True)
class Began:
    """A phase of a cycle begins, with `total` things to do.

    epochs: length of its trainings, None where the run has one length.
    """

    cycle: int
    phase: Phase
    total: int
    epochs: int | None = None


@dataclass(frozen=True, slots=True)
class Proposed:
    """A candidate was journalled: refused, or open."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class TrainingEnded:
    """The last of the candidate's trainings so far has just ended."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Settled:
    """The candidate has its outcome."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Measured:
    """Something was measured of a trained candidate."""

    candidate: Candidate
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Stepped:
    """A tuning has taken `step` of its `steps`; loss: nats a token."""

    step: int
    steps: int
    loss: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """The model was tuned."""

    adapter: Adapter


@dataclass(frozen=True, slots=True)
class Scored:
    """A program was scored on the test split."""

    final: Final


Event = Planned | Began | Proposed | TrainingEnded | Settled | Measured | Stepped | Tuned | Scored
Listener = Callable[[Event], None]
"""Told of what happens as it happens: a progress bar, a tracker."""


def silent(event: Event) -> None:
    """A `Listener` that says nothing."""


class Archive(Protocol):
    """One run's journal. Every method is one transaction: it happens whole or not at all, and survives `kill -9`."""

    def rows(self) -> Iterable[Candidate]:
        """All candidates by (cycle, index), without the texts of calls and the scores an image; read once."""

    def finals(self) -> list[Final]: ...
    def program(self, identity: str) -> Program: ...
    def open(self, candidates: Sequence[Candidate]) -> None:
        """Journal candidates before they are trained: refused ones are settled at once, the others stay open."""

    def record(
        self, cycle: int, index: int, training: Trained | Failed | None, outcome: Trained | Failed | None
    ) -> None:
        """Journal the next training of an open candidate and, if there will be no more, what they come to."""

    def measure(self, cycle: int, index: int, measurement: Measurement) -> None:
        """Journal a measurement of a trained candidate."""

    def add_final(self, final: Final) -> None: ...
    def adapters(self) -> list[Adapter]: ...
    def add_adapter(self, adapter: Adapter) -> None: ...
    def finish(self) -> None: ...


class Learner(Protocol):
    """Makes the proposer better by what the cycles so far have measured."""

    def learn(self, cycle: int, journal: Journal) -> None:
        """What comes after the training of `cycle` and before the proposals of the next one.

        A run that is taken up again calls it from the cycle before its last one on: what was done is not done again,
        what was cut off is, and the next proposals are made as they would be in a run that nothing disturbed.
        """
