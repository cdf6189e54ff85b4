"""Do shorter answers fail less, as a constant chance of error per token would have it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import inf

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from deltanas.errors import DataError
from deltanas.intervals import Estimate, wilson
from deltanas.study.estimate import (
    Absent,
    Floats,
    LackingError,
    chance_of,
    column,
    flags,
    hazard,
    likelihood,
    ratio,
    same_length,
    tried,
)


@dataclass(frozen=True, slots=True)
class Generator:
    """`tokens`: mean length of an answer. `valid`: share with its Wilson interval. `eps`: chance of error per token."""

    name: str
    n: int
    tokens: float
    valid: Estimate
    eps: Estimate


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two generators; `over` is the one with the longer answers.

    Attributes:
        seen: ratio of the valid shares with Koopman's interval. predicted: the same from one eps for both.
        eps: that common eps. p: likelihood-ratio test of "one eps fits both".
        largest: 1 / (seen share of `over`): no ratio can be above it. impossible: the prediction is.
    """

    name: str
    over: str
    seen: Estimate | Absent
    predicted: Estimate | Absent
    eps: Estimate
    p: float
    largest: float
    impossible: bool


@dataclass(frozen=True, slots=True)
class Validity:
    """The fourth diagnostic."""

    generators: tuple[Generator, ...]
    comparisons: tuple[Comparison, ...]
    verdict: str


def largest_ratio(base_rate: float) -> float:
    """1 / base rate: no share is above 1, so no share exceeds one of `base_rate` by a larger factor."""
    return 1 / base_rate if base_rate > 0 else inf


def validity(generator: Sequence[str] | None, tokens: ArrayLike, valid: ArrayLike) -> Validity:
    """The first-order model of token errors: P(valid) = (1 - eps)^length.

    eps by maximum likelihood with a likelihood-ratio interval, for each generator and for each two together; what it
    predicts is averaged over the lengths that were seen. Answers are taken as independent.

    Args:
        generator: name of each answer's generator; None: one for all. tokens: length of each answer, > 0.
        valid: 1 or 0. NaN is left out.

    Raises:
        LackingError: no answer whose length and validity are known. DataError: a length that is not above 0.
    """
    length, good = column(tokens, "tokens"), flags(valid, "valid")
    names = ["all"] * len(length) if generator is None else list(generator)
    same_length(generator=names, tokens=length, valid=good)
    if (length <= 0).any():
        place = int(np.flatnonzero(length <= 0)[0])
        raise DataError(f"`tokens` is {length[place]:g} at position {place}; a length is above 0")
    used = ~(np.isnan(length) | np.isnan(good))
    answers = {
        name: (length[mask], good[mask])
        for name in sorted(set(names))
        if (mask := used & np.array([other == name for other in names])).any()
    }
    if not answers:
        raise LackingError("no answer whose length and validity are both known")
    found = tuple(_generator(name, *rows) for name, rows in answers.items())
    compared = tuple(
        _comparison(short, long, answers)
        for long, short in combinations(sorted(found, key=lambda g: (-g.tokens, g.name)), 2)
    )
    return Validity(found, compared, _verdict(found, compared))


def _generator(name: str, length: Floats, good: Floats) -> Generator:
    seen = wilson(int(good.sum()), len(good))
    return Generator(name, len(good), float(length.mean()), seen, chance_of(hazard(length, good)))


def _comparison(short: Generator, long: Generator, answers: dict[str, tuple[Floats, Floats]]) -> Comparison:
    (a, good_a), (b, good_b) = answers[short.name], answers[long.name]
    common = hazard(np.concatenate([a, b]), np.concatenate([good_a, good_b]))
    predicted = _predicted(common, a, b)
    largest = largest_ratio(long.valid.value)
    return Comparison(
        short.name,
        long.name,
        tried(lambda: ratio(int(good_a.sum()), len(good_a), int(good_b.sum()), len(good_b))),
        predicted,
        chance_of(common),
        _one_fits_both((a, good_a), (b, good_b)),
        largest,
        isinstance(predicted, Estimate) and predicted.value > largest,
    )


def _predicted(rate: Estimate, a: Floats, b: Floats) -> Estimate | Absent:
    if rate.value == inf:
        return Absent("no answer of either was valid")
    value, *ends = (_ratio(t, a, b) for t in (rate.value, rate.low, rate.high))
    return Estimate(value, min(value, *ends), max(value, *ends))


def _ratio(t: float, a: Floats, b: Floats) -> float:
    if t == inf:
        return inf
    shift = float(min(a.min(), b.min()))  # so that neither mean underflows to 0
    below = float(np.exp(-t * (b - shift)).mean())
    return float(np.exp(-t * (a - shift)).mean()) / below if below > 0 else inf


def _one_fits_both(*groups: tuple[Floats, Floats]) -> float:
    together = tuple(np.concatenate(parts) for parts in zip(*groups, strict=True))
    apart = sum(_best(length, good) for length, good in groups)
    return float(special.chdtrc(len(groups) - 1, max(0.0, 2 * (apart - _best(together[0], together[1])))))


def _best(length: Floats, good: Floats) -> float:
    return likelihood(float(length[good == 1].sum()), length[good == 0], hazard(length, good).value)


def _verdict(found: tuple[Generator, ...], compared: tuple[Comparison, ...]) -> str:
    if not compared:
        return f"One generator ({found[0].name}): there is nothing to compare it with."
    return " ".join(map(_words, compared))


def _words(c: Comparison) -> str:
    if not isinstance(c.seen, Estimate) or not isinstance(c.predicted, Estimate):
        why = next(e.why for e in (c.seen, c.predicted) if isinstance(e, Absent))
        return f"{c.name} over {c.over}: {why}."
    head = f"{c.name} is valid {c.seen.value:.2f} times as often as {c.over} [{c.seen.low:.2f}, {c.seen.high:.2f}]"
    if c.impossible:
        return (
            f"{head}; one eps predicts {c.predicted.value:.2f}, which is impossible: over a share of "
            f"{1 / c.largest:.1%} no ratio is above {c.largest:.2f}."
        )
    fits = "one eps fits both" if c.p >= 0.05 else "one eps does not fit both"
    return f"{head}; one eps predicts {c.predicted.value:.2f}; {fits} (p = {c.p:.2g})."
