"""The correlation of two noisy scores of the same programs, from the variance components of both."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from deltanas.intervals import Estimate, bisect
from deltanas.study.components import RATIOS, Components, Groups, link_of
from deltanas.study.estimate import Floats

_DRAWS = 2000
_ENDS = log(1e-3), log(1e6)
"""Between these the logarithm of the ratio is sought."""
_STEPS = 24


@dataclass(frozen=True, slots=True)
class _Side:
    """`link`: -log of Wald's function over `RATIOS`; it rises. `errors`: draws of log F."""

    link: Floats
    errors: Floats

    def ratio_at(self, link: Floats | float) -> Floats:
        return np.asarray(np.interp(link, self.link, RATIOS), float)

    def estimates(self, ratio: float) -> Floats:
        """Draws of what is estimated where this is the true ratio; the estimate is where Wald's function is 1."""
        return self.ratio_at(np.interp(ratio, RATIOS, self.link) + self.errors)


def attenuated(
    score: tuple[Groups, Components], target: tuple[Groups, Components], alike: float, repeats: int = 1
) -> Estimate:
    """sqrt(rel_score x rel_target), rel = R SNR / (1 + R SNR) of each: SNR / (1 + SNR) where both are equally noisy.

    The interval inverts a test by seeded draws: its ends are the correlations under which an estimate as extreme as the
    one at hand has a probability of 2.5 %. Each side's estimate is drawn from its F; as the two have the programs in
    common, the numerators correlate by `alike`, the correlation of the programs' means. The ratio of the two SNRs is
    held at what is seen of it beyond chance.
    """
    a, b = _sides(score, target, alike)

    def rho(first: Floats | float, second: Floats | float) -> Floats:
        x, y = repeats * np.asarray(first, float), repeats * np.asarray(second, float)
        return np.asarray(np.sqrt(x / (1 + x) * (y / (1 + y))), float)

    seen = float(rho(a.ratio_at(0.0), b.ratio_at(0.0)))
    tilt = _tilt(a, b)

    def above(level: float) -> float:
        drawn = rho(a.estimates(exp(level) * tilt), b.estimates(exp(level) / tilt))
        return float((drawn >= seen).mean()) - 0.025

    def below(level: float) -> float:
        drawn = rho(a.estimates(exp(level) * tilt), b.estimates(exp(level) / tilt))
        return 0.025 - float((drawn <= seen).mean())

    levels = [_ENDS[0] if f(_ENDS[0]) >= 0 else bisect(f, *_ENDS, _STEPS) for f in (above, below)]
    low, high = (0.0 if x == _ENDS[0] else float(rho(exp(x) * tilt, exp(x) / tilt)) for x in levels)
    value = float(rho(score[1].snr.value, target[1].snr.value))
    return Estimate(value, min(low, value), max(high, value))


def _sides(score: tuple[Groups, Components], target: tuple[Groups, Components], alike: float) -> tuple[_Side, _Side]:
    rng = np.random.default_rng(0)
    mine, theirs = score[1].programs - 1, target[1].programs - 1
    first, z = rng.chisquare(mine, _DRAWS), rng.normal(size=_DRAWS)
    fresh = z * z + rng.chisquare(max(1, theirs - 1), _DRAWS)
    scaled = first * theirs / mine
    second = alike**2 * scaled + 2 * alike * sqrt(1 - alike**2) * np.sqrt(scaled) * z + (1 - alike**2) * fresh
    sides = []
    for (groups, found), numerator in ((score, first / mine), (target, second / theirs)):
        df = found.trainings - found.programs
        link = link_of(groups, found.var_noise.value)
        sides.append(_Side(link, np.log(numerator / (rng.chisquare(df, _DRAWS) / df))))
    return sides[0], sides[1]


def _tilt(a: _Side, b: _Side) -> float:
    """The square root of the ratio of the two SNRs, less what chance alone would make of equal ones.

    Taken as seen, a ratio that is only chance makes the correlation look smaller than it is, as the worse side counts
    more.
    """
    ratios = a.ratio_at(0.0), b.ratio_at(0.0)
    if min(ratios) == 0:
        return 1.0
    seen = float(np.log(ratios[0] / ratios[1]))
    return float(np.exp(np.sign(seen) * sqrt(max(0.0, seen * seen - float((a.errors - b.errors).var()))) / 2))
