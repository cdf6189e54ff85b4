"""What a table of trainings says of losses and optimizers: how likely an edit to each of them is drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, isnan
from pathlib import Path
from random import Random
from statistics import fmean

import numpy as np

from deltanas import nets
from deltanas.errors import DataError
from deltanas.program import Program, SpaceEdit
from deltanas.program.recipes import recipe_of
from deltanas.program.shingles import shingles
from deltanas.trainings import read_grid

KINDS = frozenset({"loss", "optimizer"})
"""Kinds of edits that it weighs; edits of other kinds are drawn as without it."""
SCALE = 0.02
"""Of two recipes, one that scores so much higher is drawn e times as often."""
_LEAST = 0.02
"""Weight of an edit to the worst recipe, that to the best having 1: none is out of reach."""

Recipe = tuple[str, str]


@dataclass(frozen=True, eq=False)
class RecipePrior:
    """By network: the mean score of each recipe, less the mean of all recipes of that network."""

    worth: Mapping[str, Mapping[Recipe, float]]

    def weights(self, parent: Program, edits: Sequence[SpaceEdit]) -> list[float]:
        """Of edits of one program: by what the table says of its network, or of the one in the table most like it."""
        worth = self.worth[_nearest(parent.net, tuple(self.worth))]
        best = max(worth.values())
        return [self._weight(worth, best, parent, edit) for edit in edits]

    @staticmethod
    def _weight(worth: Mapping[Recipe, float], best: float, parent: Program, edit: SpaceEdit) -> float:
        if edit.kind not in KINDS:
            return 1.0
        recipe = recipe_of(edit.apply(parent).net)
        gain = worth.get(recipe, 0.0) if recipe else 0.0  # one that the table lacks counts as the mean
        return max(_LEAST, exp((gain - best) / SCALE))

    def ordered(self, parent: Program, edits: Sequence[SpaceEdit], rng: Random) -> list[SpaceEdit]:
        """The edits in the order of draws without replacement, each as likely as its weight."""
        keys = [rng.random() ** (1 / weight) for weight in self.weights(parent, edits)]
        return [edits[place] for place in sorted(range(len(edits)), key=lambda place: -keys[place])]


@lru_cache(maxsize=256)
def _nearest(source: str, names: tuple[str, ...]) -> str:
    """The network whose text has most runs of tokens in common with the source; the first where none is known."""
    own = shingles(source)
    known = nets.baselines()
    likeness = {}
    for name in names:
        theirs = shingles(known[name]) if name in known else own[:0]
        likeness[name] = len(np.intersect1d(own, theirs)) / max(1, len(np.union1d(own, theirs)))
    return max(names, key=likeness.__getitem__)


def read_prior(path: Path) -> RecipePrior:
    """Of a table that `recipes run` wrote: a network's scores at the rates that suit each optimizer, where it has such.

    A failed training counts as chance; a recipe that could not be put into its network counts as lacking.

    Raises UsageError, DataError: there is no table at `path`, or no score in it.
    """
    scores: dict[str, defaultdict[tuple[str, str, Recipe], list[float]]] = {
        arm: defaultdict(list) for arm in ("tuned", "fixed")
    }
    for row in read_grid(path).rows:
        if row.phase == "score" and row.what.scale == 1 and row.tried:
            dataset, network = row.block
            guess = 0.0 if isnan(row.chance) else row.chance
            place = network, dataset, (row.what.loss, row.what.optimizer)
            scores[row.arm][place].append(guess if row.failed else row.score)
    tuned = {place[:2] for place in scores["tuned"]}
    fixed = {place: found for place, found in scores["fixed"].items() if place[:2] not in tuned}
    worth = _worth({**scores["tuned"], **fixed})
    if not worth:
        raise DataError(f"{path} holds no score", "deltanas recipes run goes on with it until it does")
    return RecipePrior(worth)


def _worth(scores: Mapping[tuple[str, str, Recipe], Sequence[float]]) -> dict[str, dict[Recipe, float]]:
    blocks: defaultdict[tuple[str, str], dict[Recipe, float]] = defaultdict(dict)
    for (network, dataset, recipe), found in scores.items():
        blocks[network, dataset][recipe] = fmean(found)
    gains: defaultdict[str, defaultdict[Recipe, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (network, _), means in blocks.items():
        middle = fmean(means.values())
        for recipe, mean in means.items():
            gains[network][recipe].append(mean - middle)
    return {name: {recipe: fmean(found) for recipe, found in one.items()} for name, one in gains.items()}
