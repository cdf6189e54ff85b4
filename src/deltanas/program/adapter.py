"""A tuning of the language model and its result: the record of an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How unlikely the model finds the edit of an elite, before and after a tuning.

    Attributes:
        held_out: it was not learned from, nor was any program of its family. family: what its parent descends from.
        tokens: its length. before, after: -log p of it, in nats.
    """

    held_out: bool
    family: str
    tokens: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Adapter:
    """A tuning of the model and its result. Adapters form a lineage: each continues the one before it.

    Attributes:
        cycle: the model was tuned after this cycle; the next ones propose with the adapter.
        folder: where it lies, below the run's folder. parent: the folder of the adapter that it continues, if any.
        model: what the line begins with. settings: of the choice of elites and of the tuning.
        lessons: how many edits it was tuned on. digest: of these. dropped: how many elites gave none, by reason.
        losses: nats per token of the completions of each optimizer step, before the step.
        tokens: of completions, over all steps. seconds: of wall clock.
        likelihoods: of elites that were learned from and of elites that were held out; a sample, if they are many.
    """

    cycle: int
    folder: str
    parent: str | None
    model: str
    settings: Mapping[str, object]
    lessons: int
    digest: str
    dropped: Mapping[str, int]
    losses: tuple[float, ...]
    steps: int
    tokens: int
    seconds: float
    likelihoods: tuple[Likelihood, ...] = ()

    def nats(self, *, held_out: bool) -> tuple[float, float] | None:
        """Mean nats per token before and after, of the elites held out, or of those learned from; None for no elite."""
        rows = [row for row in self.likelihoods if row.held_out == held_out]
        tokens = sum(row.tokens for row in rows)
        return (sum(row.before for row in rows) / tokens, sum(row.after for row in rows) / tokens) if tokens else None
