"""Regularised evolution over the same space of edits, without a model: the rival that learns from its scores alone.

E. Real, A. Aggarwal, Y. Huang, Q. V. Le (2019), "Regularized evolution for image classifier architecture search", AAAI.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from random import Random

from deltanas.journal import Journal, rank_key
from deltanas.program import Program
from deltanas.propose.random import RandomProposer


class EvolutionProposer(RandomProposer):
    """A mutation is one edit of the space, drawn as the control draws it: only the choice of parents differs."""

    strategy = "evolution"


@dataclass(frozen=True, slots=True)
class Tournament:
    """Whose edit comes next: the most accurate of a uniform sample of the population.

    The population is the youngest of all that were trained, baselines among them: who leaves it leaves by age, however
    good. It changes with each cycle, not with each candidate, so that a cycle can be trained side by side.

    Attributes:
        population: number of programs in it, at most. share: of them that take part in a tournament, at least one.
    """

    population: int = 100
    share: float = 0.25

    def __call__(self, journal: Journal, rng: Random) -> Program:
        """The parent of a slot. journal: of all earlier cycles; some candidate of it was trained."""
        trained = (candidate for candidate in reversed(journal) if candidate.score is not None)
        living = list(islice(trained, self.population))[::-1]
        winner = min(rng.sample(living, math.ceil(self.share * len(living))), key=rank_key)
        assert winner.program is not None
        return winner.program
