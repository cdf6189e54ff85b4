"""What every diagnostic is made of: columns that are checked, likelihoods, or the reason why there is no value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import exp, inf, isfinite, log, sqrt
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltanas.errors import DataError
from deltanas.intervals import CHI2, Estimate, bisect

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Absent:
    """What can't be computed, and what is lacking for it."""

    why: str


class LackingError(DataError):
    """The data can't answer this question; the message says what is lacking."""


def tried(diagnose: Callable[[], Found]) -> Found | Absent:
    """What is found, or what is lacking for it."""
    try:
        return diagnose()
    except LackingError as lacking:
        return Absent(lacking.message)


def plain(value: object) -> object:
    """Data for JSON: no infinity and no NaN; what is absent says why."""
    match value:
        case Absent(why=why):
            return {"value": None, "low": None, "high": None, "why": why}
        case float() if not isfinite(value):
            return None
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case tuple() | list():
            return [plain(item) for item in value]
        case _ if is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value


def column(values: ArrayLike, name: str) -> Floats:
    """A flat array of floats; NaN and None stand for what was not measured.

    Raises:
        DataError: not one-dimensional, an infinite value, or one that is no number; the message names its place.
    """
    try:
        array = np.asarray(values, float)
    except (TypeError, ValueError):
        array = np.array([_number(value, name, place) for place, value in enumerate(_flat(values, name))], float)
    if array.ndim != 1:
        raise DataError(f"`{name}` has {array.ndim} dimensions; give one number for each row")
    if np.isinf(array).any():
        raise DataError(f"`{name}` is infinite at position {int(np.flatnonzero(np.isinf(array))[0])}")
    return array


def differences_of(values: ArrayLike) -> Floats:
    """Differences of two treatments, one a block, without the blocks that lack one of the two (NaN).

    Raises:
        DataError: as `column`.
    """
    array = column(values, "differences")
    return np.asarray(array[~np.isnan(array)], float)


def _flat(values: ArrayLike, name: str) -> Sequence[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
        raise DataError(f"`{name}` is no list of numbers")
    return list(values)


def _number(value: object, name: str, place: int) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise DataError(f"`{name}` is no number at position {place}: {value!r}") from None


def flags(values: ArrayLike, name: str) -> Floats:
    """A column of 0 and 1, NaN where it was not recorded. Raises DataError on any other value."""
    array = column(values, name)
    wrong = ~(np.isnan(array) | (array == 0) | (array == 1))
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        raise DataError(f"`{name}` is {array[place]:g} at position {place}; it is 0 or 1")
    return array


def same_length(**columns: Sequence[Any] | NDArray[Any] | None) -> None:
    """Raises DataError where columns that belong together differ in length."""
    lengths = {name: len(values) for name, values in columns.items() if values is not None}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"`{name}` {length}" for name, length in lengths.items())
        raise DataError(f"the columns differ in length: {listed}")


def ratio(x1: int, n1: int, x2: int, n2: int) -> Estimate:
    """(x1 / n1) / (x2 / n2) of independent shares with its score interval; `high` is infinite where x2 = 0.

    P. A. R. Koopman (1984), "Confidence intervals for the ratio of two binomial proportions", Biometrics 40:513-517.

    Raises:
        LackingError: a group is empty, or nothing succeeded in the second.
    """
    if min(n1, n2) < 1:
        raise LackingError("a group is empty")
    if x2 == 0:
        raise LackingError("nothing succeeded in the group that the other is compared with")

    def statistic(log_ratio: float) -> float:
        phi = exp(log_ratio)
        a, b, c = (n1 + n2) * phi, -(phi * (n1 + x2) + x1 + n2), x1 + x2
        p2 = (-b - sqrt(max(0.0, b * b - 4 * a * c))) / (2 * a)
        return _misfit(x1, n1, phi * p2) + _misfit(x2, n2, p2)

    value = (x1 / n1) / (x2 / n2)
    middle = log(value) if x1 else log(0.5 / n1)
    high = bisect(lambda t: statistic(t) - CHI2, middle, middle + 40)
    low = exp(bisect(lambda t: CHI2 - statistic(t), middle - 40, middle)) if x1 else 0.0
    return Estimate(value, min(low, value), exp(high))


def _misfit(x: int, n: int, p: float) -> float:
    """(x - np)^2 / (np(1 - p)), 0 where the share p is at an end and x with it."""
    variance = n * p * (1 - p)
    return (x - n * p) ** 2 / variance if variance > 1e-12 else (0.0 if abs(x - n * p) < 1e-6 else inf)


def hazard(exposure: Floats, survived: Floats) -> Estimate:
    """The rate t at which P(survive an exposure L) = exp(-t L); maximum likelihood and likelihood-ratio interval.

    With L tokens and "is valid" this is the token-error model, eps = 1 - exp(-t); with L cycles and "is no elite" the
    geometric concentration. S. S. Wilks (1938), Annals of Mathematical Statistics 9:60-62.

    Args:
        exposure: L of each trial, > 0. survived: 1 or 0 of each trial.

    Returns:
        t per unit of exposure, >= 0; infinite where nothing survived, with a finite lower limit.

    Raises:
        LackingError: no trial.
    """
    if len(exposure) == 0:
        raise LackingError("no trial")
    lived, died = float(exposure[survived == 1].sum()), exposure[survived == 0]
    fit = _fit(lived, died)
    best = likelihood(lived, died, fit)
    scale = 1 / float(exposure.mean())

    def excess(t: float) -> float:
        return 2 * (best - likelihood(lived, died, t)) - CHI2

    top = fit if fit < inf else _beyond(lambda t: -excess(t), scale)
    low = 0.0 if fit == 0 else bisect(lambda t: -excess(t), 0.0, top)
    high = inf if fit == inf else bisect(excess, fit, _beyond(excess, max(fit, scale)))
    return Estimate(fit, low, high)


def chance_of(rate: Estimate) -> Estimate:
    """1 - exp(-t): the chance not to survive one unit of exposure, of a rate t as `hazard` gives it."""
    return Estimate(*(1.0 if t == inf else 1 - exp(-t) for t in (rate.value, rate.low, rate.high)))


def _fit(lived: float, died: Floats) -> float:
    if lived == 0:
        return inf
    if len(died) == 0:
        return 0.0

    def slope(t: float) -> float:
        with np.errstate(over="ignore"):
            return lived - float((died / np.expm1(t * died)).sum())

    top = 1 / float(died.mean())
    while slope(top) < 0:
        top *= 4
    return bisect(slope, 0.0, top)


def likelihood(lived: float, died: Floats, t: float) -> float:
    """Log likelihood of the rate t; `lived` is the exposure survived in all, `died` the exposures that were not."""
    if t == inf:
        return 0.0 if lived == 0 else -inf
    if t == 0:
        return 0.0 if len(died) == 0 else -inf
    return -t * lived + float(np.log(-np.expm1(-t * died)).sum())


def _beyond(rising: Callable[[float], float], start: float) -> float:
    """A rate from `start` on at which a rising function is not negative."""
    t = start
    while rising(t) < 0:
        t *= 4
    return t
