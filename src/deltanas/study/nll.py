"""Did tuning make the elites likelier? Negative log-likelihoods before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from deltanas.errors import DataError
from deltanas.intervals import Estimate
from deltanas.study.estimate import Floats, LackingError, column, same_length
from deltanas.wording import counted

_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class EliteNll:
    """The first diagnostic, for one tuning and one set of elites. Nats; bootstrap intervals over programs.

    Attributes:
        programs: how many. before, after: mean per token. change: after - before, paired by program.
        before_program, after_program, change_program: the same per whole program.
    """

    programs: int
    before: Estimate
    after: Estimate
    change: Estimate
    before_program: Estimate
    after_program: Estimate
    change_program: Estimate
    verdict: str


@dataclass(frozen=True, slots=True)
class TuningNll:
    """The first diagnostic of the tuning after `cycle`, for elites learned from or for elites held out."""

    cycle: int
    held_out: bool
    nll: EliteNll


def elite_nll(before: ArrayLike, after: ArrayLike, tokens: ArrayLike) -> EliteNll:
    """Mean negative log-likelihood of elite programs under the model before and after tuning.

    Fine-tuning on the elites by cross-entropy minimises KL(elites || model), which differs from this mean by a constant
    of the elites. Show it for the elites that were tuned on and for elites that were held out: only the second says
    that the model learned more than these programs. Intervals by the bias-corrected and accelerated bootstrap over
    programs, seeded: B. Efron (1987), JASA 82:171-185; its quantiles are widened to Student's for few programs:
    T. C. Hesterberg (2015), The American Statistician 69:371-386.

    Args:
        before, after: -log p(program), in nats, of each elite under the two models. tokens: its length, > 0.

    Raises:
        LackingError: fewer than three programs. DataError: columns that don't fit together.
    """
    old, new, length = column(before, "before"), column(after, "after"), column(tokens, "tokens")
    same_length(before=old, after=new, tokens=length)
    used = ~(np.isnan(old) | np.isnan(new) | np.isnan(length))
    old, new, length = old[used], new[used], length[used]
    if (length <= 0).any():
        raise DataError("`tokens` holds a length that is not above 0")
    if len(old) < 3:
        raise LackingError(f"{counted(len(old), 'program')} with both likelihoods: an interval needs three or more")
    change = _per_token(new - old, length)
    return EliteNll(
        len(old),
        _per_token(old, length),
        _per_token(new, length),
        change,
        _per_program(old),
        _per_program(new),
        _per_program(new - old),
        _verdict(change),
    )


def _per_token(nats: Floats, tokens: Floats) -> Estimate:
    return _bootstrap(len(nats), lambda rows: nats[rows].sum(-1) / tokens[rows].sum(-1))


def _per_program(nats: Floats) -> Estimate:
    return _bootstrap(len(nats), lambda rows: nats[rows].mean(-1))


def _bootstrap(n: int, statistic: Callable[[np.ndarray[tuple[int, ...], np.dtype[np.int64]]], Floats]) -> Estimate:
    """`statistic` of rows [..., n]."""
    value = float(statistic(np.arange(n)))
    draws = np.sort(statistic(np.random.default_rng(0).integers(n, size=(_DRAWS, n))))
    if draws[-1] - draws[0] <= 1e-12 * max(1.0, abs(value)):
        return Estimate(value, value, value)
    below = ((draws < value).sum() + (draws == value).sum() / 2) / _DRAWS
    bias = float(special.ndtri(np.clip(below, 1 / _DRAWS, 1 - 1 / _DRAWS)))
    others = statistic(np.array([[j for j in range(n) if j != i] for i in range(n)]))
    pull = others.mean() - others
    scale = float((pull**2).sum()) ** 1.5
    bend = float((pull**3).sum()) / (6 * scale) if scale > 0 else 0.0
    ends = []
    reach = float(special.stdtrit(n - 1, 0.975)) * sqrt(n / (n - 1))
    for z in (-reach, reach):
        level = special.ndtr(bias + (bias + z) / (1 - bend * (bias + z)))
        ends.append(float(np.quantile(draws, level)))
    return Estimate(value, min(ends[0], value), max(ends[1], value))


def _verdict(change: Estimate) -> str:
    if change.high < 0:
        return f"Tuning made the elites likelier ({change.value:+.3f} nats a token)."
    if change.low > 0:
        return f"Tuning made the elites less likely ({change.value:+.3f} nats a token)."
    return f"No change is shown ({change.value:+.3f} nats a token)."
