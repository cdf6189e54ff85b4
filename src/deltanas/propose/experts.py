"""Mixtures of baselines, drawn evenly over all of them and all pairs of them. No model is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from random import Random

from pydantic import Field

from deltanas.errors import DeltanasError, UsageError
from deltanas.journal import Journal
from deltanas.nets import DEFAULT_PRM
from deltanas.program import Failed, Program, Refused, prm_text
from deltanas.program.assembly import Expert, assembled, unfit
from deltanas.program.heads import Head, Kind, Loss
from deltanas.propose.quartets import Groups
from deltanas.propose.strategy import Context, Strategy
from deltanas.records import Candidate
from deltanas.seams import Ask, Proposal, Slot
from deltanas.settings import Section

RUNG = "experts"
"""Stands where an edit has the rung on which it applied: a mixture is never counted as an edit."""


class Experts(Section):
    """How mixtures are made."""

    count: int = Field(4, ge=2, le=8, description="with experts: number of baselines that a mixture joins")
    head: Kind = Field(
        "gate", description="with experts: gate (shares by a small network) | mean (equal shares of the probabilities)"
    )
    loss: Loss = Field(
        "own",
        description="with experts: own (each expert learns by its own loss, the gate by the mixture's) | joint (all by"
        " the mixture's)",
    )
    temperature: float = Field(
        2.0, gt=0, description="with experts: temperature of the gate's softmax at the start; it is learned"
    )
    noise: float = Field(
        0.1, ge=0, description="with experts: standard deviation of the noise on the gate's scores in training"
    )
    balance: float = Field(
        0.1, ge=0, description="with experts: weight of the loss that holds the mean shares of a batch near one another"
    )
    rate: float = Field(
        2.0, ge=0, description="with experts: learning rate of the gate, in times of `lr`; 0: it stays as it is drawn"
    )

    @property
    def joined(self) -> Head:
        return Head(self.head, self.loss, self.temperature, self.noise, self.balance, self.rate)

    def sound(self) -> Experts:
        """Itself. Raises UsageError where a setting is the gate's, and there is none, or none that learns."""
        plain = Experts()
        given = [
            name for name in ("temperature", "noise", "balance", "rate") if getattr(self, name) != getattr(plain, name)
        ]
        if self.head == "mean" and given:
            raise UsageError(
                f"`experts.{given[0]}` = {getattr(self, given[0]):g} is for a gate, and `experts.head` = mean has none",
                f"leave `experts.{given[0]}` out, or set experts.head to gate",
            )
        taught = {"balance"} if self.loss == "joint" else {"balance", "noise"}  # noise moves what experts learn jointly
        if self.rate == 0 and (idle := [name for name in given if name in taught]):
            raise UsageError(
                f"`experts.{idle[0]}` = {getattr(self, idle[0]):g} is for a gate that learns, and `experts.rate` = 0",
                f"leave `experts.{idle[0]}` out, or experts.rate",
            )
        return self


class Draws:
    """Which baselines the mixture of a slot joins: by the slot's own chance and by the baselines that are fit."""

    def __init__(self, context: Context) -> None:
        self._seed, self._slots = context.seed, context.candidates
        self._count = context.own(Experts).count

    def of(self, cycle: int, index: int, journal: Journal) -> list[Candidate] | None:
        """The best first; None where all mixtures were drawn. Raises DeltanasError: too few baselines were trained."""
        pool = fit(journal)
        if len(pool) < self._count:
            given = len(journal.of_cycle(0))
            raise DeltanasError(
                f"a mixture joins {self._count} baselines, and {len(pool)} of {given} were trained and fit",
                "\n  ".join(
                    [*_reasons(journal), "give more --baselines, or set experts.count to fewer, for a new run"]
                ),
            )
        group = _groups(len(pool), self._count, self._seed, self._slots).at((cycle - 1) * self._slots + index)
        return None if group is None else sorted((pool[place] for place in group), key=journal.rank)

    def parent(self, slot: Slot, journal: Journal, rng: Random) -> Program:  # noqa: ARG002
        """The best of those that are joined: a mixture is an improvement if it beats its best expert."""
        group = self.of(slot.cycle, slot.index, journal)
        best = (group or journal.parents)[0].program
        assert best is not None
        return best


@lru_cache(maxsize=8)
def _groups(pool: int, count: int, seed: int, slots: int) -> Groups:
    """Drawn once for who proposes and for who chooses parents."""

    def chance(place: int) -> Random:
        cycle, index = divmod(place, slots)
        return Random(f"{seed}:{cycle + 1}:{index}:experts")

    return Groups(pool, count, chance)


def fit(journal: Journal) -> list[Candidate]:
    """The baselines that have a score and can share a file with others, in their order."""
    rows = [row for row in journal.of_cycle(0) if row.score is not None]
    return [row for row in rows if row.program and not unfit(row.name, row.program.net)]


def _reasons(journal: Journal) -> Iterator[str]:
    for row in journal.of_cycle(0):
        if isinstance(row.outcome, Refused | Failed):
            yield f"{row.label}: {row.outcome.reason}"
        elif row.program and (fault := unfit(row.name, row.program.net)):
            yield fault.message


class ExpertsProposer:
    """The mixture of the baselines that were drawn for a slot."""

    strategy = "experts"
    batch = 8

    def __init__(self, draws: Draws, head: Head) -> None:
        self._draws, self._head = draws, head

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        return [self._joined(ask) for ask in asks]

    def _joined(self, ask: Ask) -> Proposal:
        group = self._draws.of(ask.cycle, ask.index, ask.journal)
        if group is None:
            return Proposal(None, "", None, "", Refused("apply", "all mixtures of these baselines were drawn"))
        goal = " + ".join(sorted(row.name for row in group))
        return Proposal(mixture(group, self._head), "", RUNG, goal)


def mixture(group: Sequence[Candidate], head: Head) -> Program:
    """Of trained baselines, the best first: the parents of the mixture in this order."""
    rows = [(row.name, row.program) for row in group if row.program is not None]
    experts = [Expert(name, program.net, program.hyperparameters) for name, program in rows]
    own = [one.prm for one in experts]
    alike = {key for key in DEFAULT_PRM if all(prm.get(key) == own[0].get(key) for prm in own)}
    prm = {key: own[0].get(key, value) if key in alike else value for key, value in DEFAULT_PRM.items()}
    parents = tuple(program.id for _, program in rows)
    return Program.of(assembled(experts, head), prm=prm_text(prm), parents=parents)


EXPERTS = Strategy(
    name="experts",
    about="mixtures of baselines, drawn evenly over all pairs; never counted as an edit",
    build=lambda context: ExpertsProposer(Draws(context), context.own(Experts).joined),
    settings=Experts,
    parent=lambda context: Draws(context).parent,
    only=("net",),
    joins=lambda context: context.own(Experts).sound().count,
)
