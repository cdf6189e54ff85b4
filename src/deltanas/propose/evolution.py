"""Regularised evolution over the same space of edits, without a model: the rival that learns from its scores alone.

E. Real, A. Aggarwal, Y. Huang, Q. V. Le (2019), "Regularized evolution for image classifier architecture search", AAAI.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from random import Random

from pydantic import Field

from deltanas.journal import Journal
from deltanas.program import Program
from deltanas.propose.random import RANDOM, RandomProposer
from deltanas.seams import Slot
from deltanas.settings import Section


class EvolutionProposer(RandomProposer):
    """A mutation is one edit of the space, drawn as the control draws it: only the choice of parents differs."""

    strategy = "evolution"


class Tournament(Section):
    """Whose edit comes next: the best of a uniform sample of the population.

    The population is the youngest of all that were trained, baselines among them: who leaves it leaves by age, however
    good. It changes with each cycle, not with each candidate, so that a cycle can be trained side by side. A tournament
    has at least one entrant. On a ladder those count that were trained longest.
    """

    population: int = Field(
        100, ge=1, description="with evolution: population size, counted in the most recently trained candidates"
    )
    share: float = Field(0.25, gt=0, le=1, description="with evolution: share of the population in each tournament")

    def __call__(self, slot: Slot, journal: Journal, rng: Random) -> Program:  # noqa: ARG002
        """The parent of a slot, whichever. journal: of all earlier cycles; some candidate of it was trained."""
        trained = (row for row in reversed(journal) if row.score is not None and row.rung == journal.top)
        living = list(islice(trained, self.population))[::-1]
        winner = min(rng.sample(living, math.ceil(self.share * len(living))), key=journal.rank)
        assert winner.program is not None
        return winner.program


EVOLUTION = replace(
    RANDOM,
    name="evolution",
    about="the same draws; parents by tournament among the youngest",
    build=lambda context: EvolutionProposer(context.space()),
    settings=Tournament,
    parent=lambda context: context.own(Tournament),
)
