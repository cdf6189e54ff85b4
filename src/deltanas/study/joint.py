"""The correlation of two noisy scores of the same programs, from the variance components of both."""

from __future__ import annotations

from math import sqrt

import numpy as np

from deltanas.study.components import Components, Groups, f_at
from deltanas.study.estimate import Estimate, Floats

_DRAWS = 4000
_GRID = 300


def attenuated(
    score: tuple[Groups, Components], target: tuple[Groups, Components], alike: float, repeats: int = 1
) -> Estimate:
    """sqrt(rel_score x rel_target), rel = R SNR / (1 + R SNR) of each: SNR / (1 + SNR) where both are equally noisy.

    Generalised confidence interval (S. Weerahandi (1993), JASA 88:899-905): the ratio at which Wald's function is a
    draw of F, for both sides at once, over seeded draws. For one side alone that is the exact interval. The two sides
    have the programs in common, so the numerators of their F are drawn with the correlation `alike` of the programs'
    means, the denominators apart. What differs between the two sides is held at what is seen of it (`_tilt`).
    """
    rng = np.random.default_rng(0)
    parts, other = score[1], target[1]
    first = rng.chisquare(parts.programs - 1, _DRAWS)
    z = rng.normal(size=_DRAWS)
    fresh = z * z + rng.chisquare(max(1, other.programs - 2), _DRAWS)
    scaled = first * (other.programs - 1) / (parts.programs - 1)
    second = alike**2 * scaled + 2 * alike * sqrt(1 - alike**2) * np.sqrt(scaled) * z + (1 - alike**2) * fresh
    draws = []
    for found, numerator in ((parts, first), (other, second)):
        df = found.trainings - found.programs
        draws.append(numerator / (found.programs - 1) / (rng.chisquare(df, _DRAWS) / df))
    ratios = [_ratio_at(groups, found, f) for (groups, found), f in zip((score, target), draws, strict=True)]
    values = np.array([parts.snr.value, other.snr.value])
    middle, tilt = np.sqrt(ratios[0] * ratios[1]), _tilt(values, np.log(draws[0] / draws[1]))
    drawn = np.sqrt(_reliability(repeats * middle * tilt) * _reliability(repeats * middle / tilt))
    low, high = (float(q) for q in np.quantile(drawn, [0.025, 0.975]))
    value = float(np.sqrt(_reliability(repeats * values).prod()))
    return Estimate(value, min(low, value), max(high, value))


def _tilt(snr: Floats, differences: Floats) -> float:
    """exp of half the difference of the logarithms of the two ratios, less what chance would make of none.

    Taken as seen, a difference that is only chance makes the correlation look smaller than it is, as the worse side
    counts more.
    """
    if snr.min() == 0:
        return 1.0
    seen = float(np.log(snr[0] / snr[1]))
    return float(np.exp(np.sign(seen) * np.sqrt(max(0.0, seen * seen - float(differences.var()))) / 2))


def _reliability(snr: Floats) -> Floats:
    return snr / (1 + snr)


def _ratio_at(groups: Groups, found: Components, f: Floats) -> Floats:
    """The signal-to-noise ratio at which Wald's function takes each of these values, 0 where there is none."""
    wald = f_at(groups, found.var_noise.value)
    top = 1.0
    while wald(top) > f.min():
        top *= 4
    grid = np.concatenate([[0.0], np.geomspace(1e-3 * min(1.0, top), top, _GRID)])
    return np.asarray(np.interp(-np.log(f), -np.log(wald(grid)), grid), float)
