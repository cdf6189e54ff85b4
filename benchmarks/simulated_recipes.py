"""Tables of losses and optimizers whose truth is known: how often the intervals cover it, how often the tests err.

`python -m benchmarks study_calibration` runs every design of `RECIPES`; docs/results.md holds what it found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulated_studies import Checked, rejected
from deltanas.study import friedman, holm, rank_biserial, variance_shares, wilcoxon
from deltanas.study.blocks import pairs
from deltanas.study.effects import clustered, mean_difference

Floats = NDArray[np.float64]
LOSSES = {"ce": 0.0, "ngl": -0.02}
OPTIMIZERS = {"adadelta": -0.06, "adagrad": -0.02, "adam": 0.02, "adamw": 0.02, "rmsprop": 0.01, "sgd": -0.01}
EFFECTS = np.add.outer(list(LOSSES.values()), list(OPTIMIZERS.values()))


@dataclass(frozen=True, slots=True)
class Compared:
    """`blocks` x six optimizers of `seeds` trainings; a network with an optimizer scatters by `spread`, a seed by .01.

    fails: share of the networks that learn nothing with the first optimizer, which costs .3. The mean's interval takes
    differences as normal: this is how far it can be trusted when they are not.
    """

    blocks: int
    seeds: int
    spread: float
    fails: float = 0.0

    def study(self, rng: np.random.Generator) -> Iterator[Checked]:
        values = np.array(list(OPTIMIZERS.values()))
        gap = float(values[2] - values[0])
        pair = self._pairs(rng, self.blocks) + gap
        kind = " with failures" if self.fails else ""
        yield f"mean difference{kind}", mean_difference(pair), gap + 0.3 * self.fails
        yield f"rank-biserial{kind}", rank_biserial(pair), self._rank_biserial(gap)
        if self.fails:
            return
        scatter = np.hypot(self.spread, 0.01 / np.sqrt(self.seeds))
        alike = rng.normal(0, 0.05, (self.blocks, 1)) + rng.normal(0, scatter, (self.blocks, len(values)))
        yield "Friedman rejected", rejected(friedman(alike).p), 0.0
        raw = [wilcoxon(alike[:, a] - alike[:, b]) for a, b in pairs(len(values))]
        yield "Wilcoxon rejected", rejected(raw[0]), 0.0
        yield "one of 15 by Holm rejected", rejected(float(holm(raw).min())), 0.0

    def _pairs(self, rng: np.random.Generator, n: int) -> Floats:
        """Differences without the effect."""
        scatter = np.sqrt(2) * np.hypot(self.spread, 0.01 / np.sqrt(self.seeds))
        return np.asarray(rng.normal(0, scatter, n) + 0.3 * (rng.random(n) < self.fails), float)

    def _rank_biserial(self, gap: float) -> float:
        """2 P(a difference + another > 0) - 1, by draws of a seed of their own."""
        if self not in _TRUTHS:
            one, other = self._pairs(np.random.default_rng(1), 2_000_000).reshape(2, -1) + gap
            _TRUTHS[self] = float(np.sign(one + other).mean())
        return _TRUTHS[self]


_TRUTHS: dict[Compared, float] = {}


@dataclass(frozen=True, slots=True)
class Shared:
    """`blocks` networks x two losses x six optimizers of `seeds` trainings, of the scatter named in `PARTS`."""

    blocks: int
    seeds: int

    def study(self, rng: np.random.Generator) -> Iterator[Checked]:
        n, (losses, optimizers) = self.blocks, EFFECTS.shape
        wide = (n, losses, optimizers)
        cells = EFFECTS + rng.normal(0, PARTS["network"], (n, 1, 1))
        cells = cells + _centred(rng.normal(0, PARTS["network x loss"], (n, losses, 1)), 1)
        cells = cells + _centred(rng.normal(0, PARTS["network x optimizer"], (n, 1, optimizers)), 2)
        cells = cells + _centred(_centred(rng.normal(0, PARTS["network x both"], wide), 1), 2)
        trained = cells[..., None] + rng.normal(0, PARTS["seed"], (*wide, self.seeds))
        noise = trained.var(axis=-1, ddof=1).mean(axis=(1, 2))
        found = variance_shares(trained.mean(axis=-1), noise, self.seeds)
        truth = _true_shares()
        for name, share, true in zip(truth, found.shares, truth.values(), strict=True):
            if true > 0:
                yield f"share of {name}", share, true


@dataclass(frozen=True, slots=True)
class Failed:
    """`blocks` networks of `seeds` trainings, of which `share` fail; `alike` is the correlation within a network."""

    blocks: int
    seeds: int
    share: float
    alike: float

    def study(self, rng: np.random.Generator) -> Iterator[Checked]:
        chances = np.full(self.blocks, self.share)
        if self.alike:
            scale = 1 / self.alike - 1
            chances = rng.beta(self.share * scale, (1 - self.share) * scale, self.blocks)
        yield "share of failures", clustered(rng.binomial(self.seeds, chances), [self.seeds] * self.blocks), self.share


PARTS = {"network": 0.04, "network x loss": 0.02, "network x optimizer": 0.02, "network x both": 0.01, "seed": 0.01}
"""Standard deviations of the random parts."""


def _centred(values: Floats, axis: int) -> Floats:
    return np.asarray(values - values.mean(axis=axis, keepdims=True), float)


def _true_shares() -> Mapping[str, float]:
    losses, optimizers = EFFECTS.shape
    less = (1 - 1 / losses, 1 - 1 / optimizers)
    parts = {
        "network": PARTS["network"] ** 2,
        "loss": float(EFFECTS.mean(axis=1).var()),
        "optimizer": float(EFFECTS.mean(axis=0).var()),
        "loss x optimizer": 0.0,
        "network x loss": PARTS["network x loss"] ** 2 * less[0],
        "network x optimizer": PARTS["network x optimizer"] ** 2 * less[1],
        "network x both": PARTS["network x both"] ** 2 * less[0] * less[1],
        "seed": PARTS["seed"] ** 2,
    }
    return {name: part / sum(parts.values()) for name, part in parts.items()}


RECIPES: tuple[Compared | Shared | Failed, ...] = (
    *(Compared(blocks, 5, spread) for blocks in (6, 17, 34) for spread in (0.02, 0.08)),
    *(Compared(blocks, 5, 0.02, fails=0.1) for blocks in (17, 34)),
    *(Shared(blocks, seeds) for blocks in (8, 17, 34) for seeds in (2, 5)),
    *(
        Failed(blocks, seeds, share, alike)
        for blocks in (6, 17, 34)
        for seeds in (1, 5)
        for share in (0.05, 0.18)
        for alike in ((0.0, 0.3, 0.9) if seeds > 1 else (0.0,))
    ),
)
