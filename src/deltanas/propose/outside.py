"""Proposals from outside: a run that anyone fills, by `ask` and `tell`."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Annotated

from pydantic import Field

from deltanas.errors import UsageError
from deltanas.journal import Journal
from deltanas.program import Program
from deltanas.propose.strategy import Context, Strategy
from deltanas.seams import Ask, Proposal, Slot
from deltanas.settings import Section


class OutsideSettings(Section):
    """What askers may spend, each for itself, and how a candidate is held against the champion."""

    lease: float = Field(
        3600.0, gt=0, description="seconds that an asker has to answer; after that the slot is given out again"
    )
    candidates: Annotated[int, Field(ge=1)] | None = Field(
        None, description="number of candidates that each asker may tell; any number if not given"
    )
    trainings: Annotated[int, Field(ge=1)] | None = Field(
        None, description="number of trainings that each asker may spend, those of tests too; any number if not given"
    )
    seconds: Annotated[float, Field(gt=0)] | None = Field(
        None, description="seconds of training that each asker may spend; any number if not given"
    )
    control: float = Field(
        0.25,
        ge=0,
        le=1,
        description="share of the slots beside which an edit of the same parent is drawn by chance and trained, at"
        " nobody's cost: what askers are compared with; 0: none",
    )
    pairs: int = Field(
        32, ge=1, description="number of pairs of trainings after which a test against the champion ends undecided"
    )


class Told:
    """Hands on what was told. With nothing told it has nothing to propose."""

    batch = 1

    def __init__(self) -> None:
        self.strategy = "outside"
        self.proposal: Proposal | None = None

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        if self.proposal is None:
            raise UsageError("strategy outside proposes nothing itself", "`deltanas ask` and `deltanas tell` fill it")
        return [self.proposal for _ in asks]


def best_baseline(slot: Slot, journal: Journal, rng: Random) -> Program:  # noqa: ARG001
    """The champion of a run in which no test has ended: what scored higher in one training is no better for that."""
    first = next(row for row in journal.parents if row.cycle == 0)
    assert first.program is not None
    return first.program


def _build(context: Context) -> Told:  # noqa: ARG001
    return Told()


OUTSIDE = Strategy(
    name="outside",
    about="anyone, by `deltanas ask` and `deltanas tell`: a person, a script, a coding agent",
    build=_build,
    settings=OutsideSettings,
    parent=lambda _: best_baseline,
)
