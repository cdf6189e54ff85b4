"""How much of the scatter of a score is the program, and how much is the seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from deltanas.intervals import Estimate, bisect
from deltanas.study.estimate import Floats, Integers, LackingError, column, same_length
from deltanas.wording import counted

RATIOS = np.concatenate([[0.0], np.geomspace(1e-4, 1e8, 500)])
"""Signal-to-noise ratios between which Wald's function is interpolated."""
_DRAWS = 4000


@dataclass(frozen=True, slots=True)
class Components:
    """Variances of a one-way random-effects model, in squared units of the score.

    Attributes:
        programs, trainings: how many were used.
        var_arch: variance of the programs' own levels. var_noise: variance of one training about its program's level.
        snr: var_arch / var_noise. agreement: F of the analysis of variance, ms_between / ms_within.
    """

    programs: int
    trainings: int
    var_arch: Estimate
    var_noise: Estimate
    snr: Estimate
    agreement: float


@dataclass(frozen=True, slots=True)
class Groups:
    """Scores by program: `place[j]` is the program (0 to k - 1) of `score[j]`; rows lie sorted by program."""

    names: tuple[str, ...]
    place: Integers
    score: Floats

    @property
    def sizes(self) -> Integers:
        return np.bincount(self.place, minlength=len(self.names))

    @property
    def means(self) -> Floats:
        return np.bincount(self.place, self.score, len(self.names)) / self.sizes

    def only(self, keep: Sequence[str] | frozenset[str]) -> Groups:
        """The rows of these programs."""
        wanted = set(keep)
        return grouped([self.names[p] for p in self.place], self.score, "score", among=wanted)


def grouped(program: Sequence[str], score: ArrayLike, name: str, *, among: set[str] | None = None) -> Groups:
    """The scores that were measured, by program. Raises DataError on columns that don't fit together."""
    values = column(score, name)
    same_length(program=program, **{name: values})
    used = [i for i, p in enumerate(program) if not np.isnan(values[i]) and (among is None or p in among)]
    names = sorted({program[i] for i in used})
    index = {p: place for place, p in enumerate(names)}
    place = np.array([index[program[i]] for i in used], np.int64)
    order = np.argsort(place, kind="stable")
    return Groups(tuple(names), place[order], values[used][order])


def components(program: Sequence[str], score: ArrayLike) -> Components:
    """Variance components of y_ij = mu + a_i + e_ij, a_i ~ N(0, var_arch), e_ij ~ N(0, var_noise).

    Point values by the analysis of variance, var_arch not below 0. The interval of `snr` is exact for any numbers of
    repeats: A. Wald (1940), "A note on the analysis of variance with unequal class frequencies", Annals of Mathematical
    Statistics 11:96-100. That of `var_noise` is the chi-square interval; that of `var_arch` a generalised one
    (S. Weerahandi (1993), JASA 88:899-905) by seeded draws. All of them lean on normal scatter, of the programs too.

    Args:
        program: name of the program of each training. score: its score; NaN is left out.

    Raises:
        LackingError: fewer than two programs, no program trained twice, or repeats that are equal to the last digit.
    """
    return components_of(grouped(program, score, "score"))


def components_of(groups: Groups) -> Components:
    """As `components`, of scores that are grouped already."""
    n, k, total = groups.sizes, len(groups.names), len(groups.score)
    if k < 2:
        raise LackingError(f"{counted(k, 'program has', 'programs have')} a score: their spread needs two or more")
    if total == k:
        raise LackingError("no program was trained twice, so the noise of a training is not known: repeat some")
    means = groups.means
    within = float(((groups.score - means[groups.place]) ** 2).sum())
    df = total - k
    noise = within / df
    if noise <= 1e-24 * max(1e-300, float((groups.score**2).mean())):
        raise LackingError(
            "all repeats of a program gave one score, so no noise was measured: were the seeds different?"
        )
    between = float((n * (means - groups.score.mean()) ** 2).sum()) / (k - 1)
    typical = (total - float((n**2).sum()) / total) / (k - 1)
    arch = max(0.0, (between - noise) / typical)
    chi = special.chdtri(df, [0.025, 0.975])
    snr = _snr(f_at(groups, noise), k, df)
    value = arch / noise
    return Components(
        k,
        total,
        _spread(link_of(groups, noise), noise, k, df, arch),
        Estimate(noise, within / float(chi[0]), within / float(chi[1])),
        Estimate(value, min(snr[0], value), max(snr[1], value)),
        between / noise,
    )


def f_at(groups: Groups, noise: float) -> Callable[[ArrayLike], Floats]:
    """Wald's function: the F ratio of the programs' means weighted for a signal-to-noise ratio; it falls with it.

    At the true ratio it is a draw of F(programs - 1, trainings - programs).
    """
    n, means = groups.sizes, groups.means

    def f(ratio: ArrayLike) -> Floats:
        weight = n / (1 + n * np.asarray(ratio, float)[..., None])
        centre = (weight * means).sum(-1, keepdims=True) / weight.sum(-1, keepdims=True)
        return np.asarray((weight * (means - centre) ** 2).sum(-1) / ((len(n) - 1) * noise), float)

    return f


def link_of(groups: Groups, noise: float) -> Floats:
    """-log of Wald's function at each of `RATIOS`: it rises, and adding log F to it makes the estimate of a draw."""
    return np.asarray(-np.log(f_at(groups, noise)(RATIOS)), float)


def _snr(f: Callable[[ArrayLike], Floats], k: int, df: int) -> tuple[float, float]:
    """Where Wald's function is an extreme draw."""
    limits = []
    for quantile in special.fdtri(k - 1, df, [0.975, 0.025]):
        top = 1.0
        while f(top) > quantile:
            top *= 4
        limits.append(0.0 if f(0.0) <= quantile else bisect(partial(_under, f, float(quantile)), 0.0, top))
    return limits[0], limits[1]


def _under(f: Callable[[ArrayLike], Floats], level: float, theta: float) -> float:
    return level - float(f(theta))


def _spread(link: Floats, noise: float, k: int, df: int, value: float) -> Estimate:
    """The ratio at which Wald's function with a drawn noise is a drawn chi-square, times that noise."""
    rng = np.random.default_rng(0)
    factor = df / rng.chisquare(df, _DRAWS)
    ratio = np.interp(-np.log(rng.chisquare(k - 1, _DRAWS) / (k - 1) * factor), link, RATIOS)
    low, high = (float(q) for q in np.quantile(ratio * noise * factor, [0.025, 0.975]))
    return Estimate(value, min(low, value), max(high, value))
