"""Does the generator concentrate on the elite set, and as fast as the theory's bound?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from deltanas.intervals import Estimate, difference, wilson
from deltanas.study.estimate import Absent, LackingError, chance_of, column, flags, hazard, same_length
from deltanas.wording import counted


@dataclass(frozen=True, slots=True)
class EliteShare:
    """One cycle.

    Attributes:
        step: t, counted from the first cycle of the data. n, elites: candidates, and those in the elite set.
        share: with the 95 % Wilson interval. bound: 1 - (1 - rho_0)^t.
        gap: share - bound with its interval, in which rho_0 is uncertain too. broken: the gap is below 0 beyond chance.
    """

    cycle: int
    step: int
    n: int
    elites: int
    share: Estimate
    bound: float
    gap: Estimate
    broken: bool


@dataclass(frozen=True, slots=True)
class Concentration:
    """The third diagnostic. `rate`: r of share = 1 - (1 - r)^t, fitted to the steps from 1 on; `rho_0` is its bound."""

    rho_0: Estimate
    cycles: tuple[EliteShare, ...]
    rate: Estimate | Absent
    verdict: str


def bound(rho_0: float, step: int) -> float:
    """C_t >= 1 - (1 - rho_0)^t."""
    return 1 - (1 - rho_0) ** step


def concentration(cycle: ArrayLike, elite: ArrayLike) -> Concentration:
    """Share of candidates in a fixed elite set per cycle against 1 - (1 - rho_0)^t, rho_0 measured in the first cycle.

    The gap's interval joins the share's and the bound's by Newcombe's method; the rate is fitted by maximum likelihood
    with a likelihood-ratio interval. A candidate that failed is one that is not in the set.

    Args:
        cycle: of each candidate. elite: 1 or 0; NaN is left out.

    Raises:
        LackingError: fewer than two cycles.
    """
    when, inside = column(cycle, "cycle"), flags(elite, "elite")
    same_length(cycle=when, elite=inside)
    used = ~(np.isnan(when) | np.isnan(inside))
    when, inside = when[used], inside[used]
    cycles = np.unique(when)
    if len(cycles) < 2:
        raise LackingError(f"{counted(len(cycles), 'cycle')} with known elites: concentration needs two or more")
    rho_0 = _share(inside[when == cycles[0]])
    rows = tuple(_row(int(c), int(c - cycles[0]), inside[when == c], rho_0) for c in cycles)
    later = when > cycles[0]
    rate = chance_of(hazard(when[later] - cycles[0], 1 - inside[later]))
    return Concentration(rho_0, rows, rate, _verdict(rows, rho_0, rate))


def _share(inside: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Estimate:
    return wilson(int(inside.sum()), len(inside))


def _row(cycle: int, step: int, inside: np.ndarray[tuple[int], np.dtype[np.float64]], rho_0: Estimate) -> EliteShare:
    seen = _share(inside)
    curve = Estimate(*(bound(rho, step) for rho in (rho_0.value, rho_0.low, rho_0.high)))
    gap = difference(seen, curve)
    return EliteShare(cycle, step, len(inside), int(inside.sum()), seen, curve.value, gap, step > 0 and gap.high < 0)


def _verdict(rows: tuple[EliteShare, ...], rho_0: Estimate, rate: Estimate) -> str:
    broken = [str(row.cycle) for row in rows if row.broken]
    if broken:
        return f"The bound is broken beyond chance in cycle {', '.join(broken)}."
    if rho_0.value == 0:
        return "The first cycle holds no elite, so the bound is 0 and says nothing."
    below = [str(row.cycle) for row in rows[1:] if row.gap.value < 0]
    dip = f"; below it within chance in cycle {', '.join(below)}" if below else ""
    return f"The bound is not broken beyond chance{dip}; fitted rate {rate.value:.3f} against rho_0 {rho_0.value:.3f}."
