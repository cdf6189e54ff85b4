"""The cells of a grid: which trainings it has, in which order they are made, and what they are known by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from random import Random
from typing import Literal

from deltanas.program.recipes import USUAL_RATES
from deltanas.trainings import Recipe

Arm = Literal["fixed", "tuned"]
Phase = Literal["tune", "score"]
Key = tuple[str, str, str, str, float, Arm, Phase, float | None, int]
"""Network, data set, loss, optimizer, scale, arm, phase, rate (None where it is not chosen by the grid), seed."""

FIXED_RATE = 0.01
"""The one rate of the fixed arm: that of the published comparison."""
STEPS_A_DECADE = 2
MOST_RATES = 21
"""They span five decades both ways."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One training of the grid."""

    network: str
    dataset: str
    recipe: Recipe
    arm: Arm
    phase: Phase
    rate: float
    seed: int

    @property
    def key(self) -> Key:
        """What the training is known by. The rate of a score is no part of it: tuning decides it."""
        loss, optimizer, scale = self.recipe.loss, self.recipe.optimizer, self.recipe.scale
        rate = self.rate if self.phase == "tune" else None
        return (self.network, self.dataset, loss, optimizer, scale, self.arm, self.phase, rate, self.seed)


@dataclass(frozen=True, slots=True)
class Batch:
    """The trainings that share a network, a data set and a seed: all recipes."""

    network: str
    dataset: str
    arm: Arm
    phase: Phase
    seed: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Networks x recipes x data sets x seeds, in one arm or both.

    Attributes:
        rates: number of rates that the tuned arm tries of each optimizer. seeds: number of trainings that are scored.
        seed: what the seeds of trainings are derived from.
    """

    networks: tuple[str, ...]
    recipes: tuple[Recipe, ...]
    datasets: tuple[str, ...]
    arms: tuple[Arm, ...] = ("fixed", "tuned")
    rates: int = 5
    seeds: int = 5
    seed: int = 0

    def score_seeds(self, network: str) -> list[int]:
        """The same for all recipes, as what is compared is paired. None of them chose a rate.

        Another network has others: an interval over networks would not hold the luck of a seed that they shared.
        """
        return [Random(f"{self.seed}:{network}:{repeat}").randrange(2**31) for repeat in range(self.seeds)]

    def tune_seed(self, network: str) -> int:
        return Random(f"{self.seed}:{network}:tune").randrange(2**31)

    def batches(self) -> Iterator[Batch]:
        """In the order of the work: seed by seed, so that what an interrupted grid holds is a sample of the whole."""
        places = [(network, dataset) for dataset in self.datasets for network in self.networks]
        for number in range(self.seeds):
            for arm in self.arms:
                if arm == "tuned" and number == 0:
                    yield from (Batch(*place, arm, "tune", self.tune_seed(place[0])) for place in places)
                yield from (Batch(*place, arm, "score", self.score_seeds(place[0])[number]) for place in places)

    def cells(self, batch: Batch, won: Mapping[Recipe, float]) -> list[Cell]:
        """won: the rate that tuning chose for the batch's network and data set; the tuned arm's scores need it."""
        found = []
        for recipe in self.recipes:
            rates = [FIXED_RATE]
            if batch.arm == "tuned":
                tried = rates_of(recipe.optimizer, self.rates)
                rates = tried if batch.phase == "tune" else [won[recipe]]
            found += [
                Cell(batch.network, batch.dataset, recipe, batch.arm, batch.phase, rate, batch.seed) for rate in rates
            ]
        return found

    def counts(self) -> dict[str, int]:
        """Number of trainings, by what they are for."""
        each = len(self.networks) * len(self.recipes) * len(self.datasets)
        counts = {f"{arm}, scored": each * self.seeds for arm in self.arms}
        if "tuned" in self.arms:
            counts = {"tuned, to choose the rate": each * self.rates, **counts}
        return counts


def rates_of(optimizer: str, number: int) -> list[float]:
    """Rates around the optimizer's own default, two a decade, rising; the same number for all."""
    middle = log10(USUAL_RATES[optimizer])
    return [float(f"{10 ** (middle + (place - (number - 1) / 2) / STEPS_A_DECADE):.3g}") for place in range(number)]


def winner(optimizer: str, scores: Sequence[tuple[float, float | None]]) -> float:
    """The rate with the best score; of equal ones that nearest to the default, then the lower one.

    scores: rate and score, None for a training that failed. Where all failed the rate nearest to the default wins.
    """

    def order(pair: tuple[float, float | None]) -> tuple[float, float, float]:
        rate, score = pair
        return -1.0 if score is None else score, -abs(log10(rate / USUAL_RATES[optimizer])), -rate

    return max(scores, key=order)[0]
