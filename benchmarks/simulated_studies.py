"""Studies whose truth is known: how often the intervals cover it, and how often the trend test errs.

`python -m benchmarks study_calibration` runs every design of `DESIGNS`; docs/results.md holds what it found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np

from deltanas.intervals import Estimate
from deltanas.study.components import components
from deltanas.study.concentration import concentration
from deltanas.study.estimate import Absent
from deltanas.study.forms import pearson_of, spearman_of
from deltanas.study.monotone import monotone
from deltanas.study.nll import elite_nll
from deltanas.study.reliability import reliability
from deltanas.study.validity import validity

ALPHA = 0.05
Checked = tuple[str, Estimate | Absent, float]
"""A quantity, what a study says of it, and the truth."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """`programs` of `repeats` trainings each, in turn, of noise 1 and levels of variance `snr`.

    `target_noise`: variance of the noise of each training's own target; 0: the target is the level itself.
    """

    programs: int
    repeats: tuple[int, ...]
    snr: float
    target_noise: float = 0.0

    def study(self, rng: np.random.Generator) -> Iterator[Checked]:
        n = np.resize(self.repeats, self.programs)
        level = rng.normal(0, sqrt(self.snr), self.programs).repeat(n)
        names = [f"p{i}" for i in np.arange(self.programs).repeat(n)]
        proxy = level + rng.normal(size=len(level))
        target = level + sqrt(self.target_noise) * rng.normal(size=len(level))
        found = reliability(names, proxy, target)
        rho = spearman_of(pearson_of(self.snr) * sqrt(self.snr / (self.snr + self.target_noise)))
        yield "var_arch", found.var_arch, self.snr
        yield "var_noise", found.var_noise, 1.0
        yield "snr", found.snr, self.snr
        yield "rho_spearman_predicted", found.rho_spearman_predicted, rho
        yield "rho_spearman_measured", found.rho_spearman_measured, rho


@dataclass(frozen=True, slots=True)
class Failures:
    """As `Ranking`, but a share of the programs learned nothing: they lie three standard deviations under the others.

    The model's normal levels do not hold here: this is how far its intervals can be trusted when it is wrong.
    """

    programs: int
    repeats: int
    failed: float = 0.1

    def study(self, rng: np.random.Generator) -> Iterator[Checked]:
        level = rng.normal(size=self.programs) - 3 * (rng.random(self.programs) < self.failed)
        level = level.repeat(self.repeats)
        names = [f"p{i}" for i in range(self.programs) for _ in range(self.repeats)]
        found = components(names, level + 0.5 * rng.normal(size=len(level)))
        var_arch = 1 + 9 * self.failed * (1 - self.failed)
        yield "snr of levels that are not normal", found.snr, var_arch / 0.25


@dataclass(frozen=True, slots=True)
class Answers:
    """`n` answers of each of two generators, of lengths in two ranges, valid by one chance of error per token."""

    n: int
    eps: float
    short: tuple[int, int] = (30, 51)
    long: tuple[int, int] = (150, 251)

    def study(self, rng: np.random.Generator) -> Iterator[Checked]:
        lengths = [rng.integers(*span, self.n) for span in (self.short, self.long)]
        expected = [(1 - self.eps) ** length for length in lengths]
        valid = [rng.random(self.n) < p for p in expected]
        names = ["short"] * self.n + ["long"] * self.n
        found = validity(names, np.concatenate(lengths), np.concatenate(valid))
        (pair,) = found.comparisons
        means = [float(np.mean((1 - self.eps) ** np.arange(*span))) for span in (self.short, self.long)]
        yield "validity ratio seen", pair.seen, means[0] / means[1]
        yield "validity ratio predicted", pair.predicted, float(expected[0].mean() / expected[1].mean())
        yield "eps", pair.eps, self.eps
        yield "one eps rejected", rejected(pair.p), 0.0


@dataclass(frozen=True, slots=True)
class Elites:
    """`n` candidates in each of the cycles 0 to 4, in the elite set with probability 1 - (1 - rho)^(t + 1)."""

    n: int
    rho: float

    def study(self, rng: np.random.Generator) -> Iterator[Checked]:
        cycle = np.arange(5).repeat(self.n)
        inside = rng.random(len(cycle)) < 1 - (1 - self.rho) ** (cycle + 1)
        found = concentration(cycle, inside)
        for row in found.cycles[:3]:
            yield "elite share", row.share, 1 - (1 - self.rho) ** (row.step + 1)
        again = concentration(cycle[cycle < 1].tolist() + [1] * self.n, rng.random(2 * self.n) < self.rho)
        yield "elite rate", again.rate, self.rho
        yield "bound called broken at the bound", rejected(0.0 if again.cycles[1].broken else 1.0), 0.0


@dataclass(frozen=True, slots=True)
class Level:
    """`cycles` of `n` candidates whose quality never changes; `steps`: rounded to so many a unit, for ties."""

    cycles: int
    n: int
    steps: int = 0

    def study(self, rng: np.random.Generator) -> Iterator[Checked]:
        cycle = np.arange(self.cycles).repeat(self.n)
        quality = rng.normal(size=len(cycle))
        quality = np.round(quality * self.steps) / self.steps if self.steps else quality
        trend = monotone(cycle, quality).trend
        yield "trend rejected", rejected(trend.p), 0.0
        if trend.p_means is not None:
            yield "trend of the means rejected", rejected(trend.p_means), 0.0


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """`n` elites, each of about 100 tokens, made likelier by 0.1 nats a token with a spread of 0.2."""

    n: int

    def study(self, rng: np.random.Generator) -> Iterator[Checked]:
        tokens = rng.integers(60, 141, self.n)
        before = tokens * rng.gamma(4, 0.25, self.n)
        found = elite_nll(before, before + tokens * rng.normal(-0.1, 0.2, self.n), tokens)
        yield "nll change", found.change, -0.1


class Design(Protocol):
    """A way to make studies whose truth is known."""

    def study(self, rng: np.random.Generator) -> Iterator[Checked]: ...


DESIGNS: tuple[Design, ...] = (
    *(Failures(programs, 3) for programs in (12, 40, 150)),
    *(Answers(n, eps) for n in (40, 150, 1000) for eps in (0.001, 0.003, 0.008)),
    *(Elites(n, rho) for n in (12, 50, 200) for rho in (0.1, 0.3)),
    *(Level(cycles, n) for cycles in (2, 5, 10, 22) for n in (8, 50)),
    Level(5, 8, steps=2),
    Level(10, 50, steps=4),
    *(Likelihoods(n) for n in (12, 40, 150)),
    *(
        Ranking(programs, repeats, snr, target_noise)
        for programs in (12, 40, 150)
        for repeats in (((2,), (3,), (5,), (1, 2, 5)) if programs < 150 else ((3,), (1, 2, 5)))
        for snr in (0.3, 1.0, 4.0, 25.0)
        for target_noise in (0.0, 1.0)
    ),
    *(Ranking(programs, (3,), snr, 0.1) for programs in (12, 40, 150) for snr in (1.0, 4.0)),
)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often the interval of a quantity held the truth. `low`, `high`: the truth lay below it, above it.

    For a test, `low` is how often it rejected what was true. `absent`: studies that gave no interval.
    """

    quantity: str
    studies: int
    low: int
    high: int
    absent: int

    @property
    def share(self) -> float:
        return 1 - (self.low + self.high) / max(1, self.studies - self.absent)

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of the share."""
        return sqrt(self.share * (1 - self.share) / max(1, self.studies - self.absent))


def coverage(design: Design, studies: int, seed: int = 0) -> list[Coverage]:
    """So many simulated studies of a design, each by a seed of its own."""
    counts: dict[str, Counter[str]] = {}
    for study in range(studies):
        for quantity, estimate, truth in design.study(np.random.default_rng([seed, study])):
            counts.setdefault(quantity, Counter())[_verdict(estimate, truth)] += 1
    return [Coverage(name, c.total(), c["low"], c["high"], c["absent"]) for name, c in counts.items()]


def _verdict(estimate: Estimate | Absent, truth: float) -> str:
    if isinstance(estimate, Absent):
        return "absent"
    return "low" if truth < estimate.low else "high" if truth > estimate.high else "covered"


def rejected(p: float) -> Estimate:
    """A test of what is true, as an interval that misses 0 from above where it rejects."""
    return Estimate(1.0, 1.0, 1.0) if p < ALPHA else Estimate(0.0, 0.0, 0.0)
