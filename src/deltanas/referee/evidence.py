"""Is a candidate better than the champion? A sequential test whose error is held over the whole run.

**The test.** Candidate and champion are trained in pairs, both with one fresh seed that nobody knew before the
candidate was told. If the candidate is no better, and each of the two scatters evenly to both sides or both alike, a
difference D of a pair is as likely as -D, or smaller. So for every number a > 0 that was chosen before the pair

    2 / (1 + exp(-2 a D))

has a mean of at most 1, and the product over the pairs is a test martingale: it bets on D > 0 (V. H. de la Peña
(1999), "A general class of exponential inequalities for martingales and ratios", Annals of Probability 27:537-564;
A. Ramdas, J. Ruf, M. Larsson, W. Koolen (2020), "Admissible anytime-valid sequential inference must rely on
nonnegative martingales", arXiv:2009.03167). The evidence is the mean of such products over a few bets. By Ville's
inequality it ever reaches 1 / e with probability e at most, so it may be looked at after every pair, stopped at will
and taken up again.

**Skew.** A candidate whose trainings scatter more than the champion's, and not evenly to both sides, may gain in most
pairs and yet nothing on average. With the scatter of 320 real trainings (`benchmarks/averages`) the mean of the factor
is then at most 1.011 where it scatters twice as much, and 1.016 however much more. So each factor is divided by
1 + `SKEW`: the bound holds as long as the mean is no larger than that.

**The whole run.** A test may err with probability e, and what all tests of a run may spend is `ERROR`: each gets an
equal share of what is left over itself, the slots that are left, and one more that keeps the rest for a run that is
lengthened (`share`). The shares of all tests sum to `ERROR` at most, so the champion is ever changed wrongly with that
probability at most, however many candidates are told, whatever they depend on, and however the tests were stopped
(alpha spending: D. P. Foster, R. A. Stine (2008), "Alpha-investing", JRSS B 70:429-444, without its reward; the union
bound needs no independence).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from math import ceil, exp, inf, log, log1p, sqrt
from typing import Literal

import numpy as np

ERROR = 0.05
"""Probability that a run ever takes a candidate for better than its champion that is not."""
BETS = (0.5, 1.0, 2.0)
"""Sizes of the bets, in 1 / (noise of one training). 1 is the best one for a gain of twice that noise."""
SKEW = 0.02
"""What the mean of a pair's factor may exceed 1 by, for a candidate that is no better and scatters askew."""
HOPELESS = 0.1
"""A test ends where its evidence is this or less: what was put in is as good as lost."""
PAIRS = 32
"""Number of pairs after which a test ends undecided, unless the settings say another."""
_MOST = log(2) - log1p(SKEW)
"""What a pair adds to the evidence at most."""
_TRUST = 4.0
"""Number of pairs that the noise counts for that was known before the first."""
State = Literal["going", "better", "worse", "hopeless", "spent"]


def share(left: float, slots: int) -> float:
    """Probability of erring that the next test gets.

    left: what the earlier ones left of `ERROR`. slots: number that are yet to be settled, this one's among them.
    """
    return left / (max(1, slots) + 1)


@dataclass(slots=True)
class Trial:
    """The test of one candidate against the champion; the differences of the pairs come one by one.

    Attributes:
        noise: standard deviation of one training, as known before; above 0.
        error: probability of calling it better that it may have. most: number of pairs at most.
        differences: candidate minus champion, positive if the candidate is better.
    """

    noise: float
    error: float
    most: int = PAIRS
    differences: list[float] = field(default_factory=list)
    _logs: list[float] = field(default_factory=lambda: [0.0] * len(BETS))
    _losses: list[float] = field(default_factory=lambda: [0.0] * len(BETS))

    def add(self, difference: float) -> State:
        """One more pair."""
        scale = self._scale()
        for place, bet in enumerate(BETS):
            stake = 2 * bet * difference / scale
            self._logs[place] += _MOST - _softplus(-stake)
            self._losses[place] += _MOST - _softplus(stake)
        self.differences.append(difference)
        return self.state

    @property
    def evidence(self) -> float:
        """Logarithm of the evidence that the candidate is better."""
        return _log_mean(self._logs)

    @property
    def threshold(self) -> float:
        """Logarithm of the evidence that is needed."""
        return -log(self.error) if self.error > 0 else inf

    @property
    def state(self) -> State:
        """`worse`: shown with an error of `ERROR` for this candidate alone, which changes no champion."""
        if self.evidence >= self.threshold:
            return "better"
        if _log_mean(self._losses) >= -log(ERROR):
            return "worse"
        if self.evidence <= log(HOPELESS):
            return "hopeless"
        return "spent" if len(self.differences) >= self.most else "going"

    def _scale(self) -> float:
        """Standard deviation of one training by what is known before the next pair."""
        known = self.differences
        if len(known) < 2:
            return self.noise
        middle = sum(known) / len(known)
        squares = sum((each - middle) ** 2 for each in known) / 2  # a difference has the variance of two trainings
        return sqrt((_TRUST * self.noise**2 + squares) / (_TRUST + len(known) - 1))


def pairs_needed(gain: float, noise: float, evidence: float, threshold: float) -> int | None:
    """Number of further pairs that a gain of this size needs on average; None: it would never be shown."""
    growth = _growth(round(gain / noise, 2)) if gain > 0 else 0.0
    if growth <= 0 or threshold == inf:
        return None
    return max(1, ceil((threshold - evidence) / growth))


@cache
def _growth(effect: float) -> float:
    """Mean growth of the evidence in a pair by the best of the bets. effect: gain in units of the noise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    drawn = effect + sqrt(2) * nodes
    grown = [float((weights * (_MOST - np.logaddexp(0, -2 * bet * drawn))).sum() / weights.sum()) for bet in BETS]
    return max(grown)


def _softplus(value: float) -> float:
    return value + log1p(exp(-value)) if value > 0 else log1p(exp(value))


def _log_mean(logs: list[float]) -> float:
    top = max(logs)
    return top + log(sum(exp(each - top) for each in logs) / len(logs))
