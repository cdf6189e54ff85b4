"""What is said of a candidate: better, worse, the same, or not shown; with what is known and what it costs to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, inf, sqrt
from statistics import fmean, stdev
from typing import Literal

from deltanas.gains import Compared, Measured, interval
from deltanas.intervals import Estimate, Z, mean
from deltanas.journal import Noise
from deltanas.records import Duel
from deltanas.referee.evidence import Trial, pairs_needed
from deltanas.task import Metric

Said = Literal["better", "worse", "not shown", "same", "refused"]
_PRIOR = 2.0
"""Degrees of freedom that the noise counts for that the images alone would give."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """The gain over other seeds: the mean over pairs of trainings with one fresh seed each.

    low, high: 95 % interval by Student's t, as if their number had been set beforehand (the test goes by other
        figures); None for a single pair.
    """

    gain: float
    low: float | None
    high: float | None
    pairs: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a teller. Its first fields are those of the JSON that stays.

    Attributes:
        status: "trained", "failed", "refused", "open" (not told, or not trained yet) or "over budget".
        accuracy: the candidate's score by the task's metric. gain: over its parent, positive if it is better.
        low, high: 95 % interval of the gain for another sample of images, paired.
        better: probability that it is better than its parent, over images and seeds.
        verdict: `better` is said by the test against the champion alone. reason: in words.
        noise_low, noise_high: 95 % interval of the gain for other seeds, by the noise of single trainings in the run.
        seeds: what the pairs of the test say. cost: number of further trainings that would settle it, on average, if
            the gain were what it seems; None where nothing would, or it is settled.
        champion: the label of the champion after this verdict.
    """

    slot: str
    status: str
    accuracy: float | None
    gain: float | None
    low: float | None
    high: float | None
    better: float | None
    verdict: Said
    reason: str
    noise_low: float | None = None
    noise_high: float | None = None
    seeds: Seeds | None = None
    cost: int | None = None
    champion: str | None = None


def noise_of(metric: Metric, champion: Measured, known: Noise, duels: Sequence[Duel]) -> float:
    """Standard deviation of one training, pooled over programs that were trained repeatedly and over pairs.

    Before there are many of these it is near what another sample of images of this size would do to a score: a stand-in
    that short trainings exceed by a half (`benchmarks/averages`).
    """
    around = interval(metric, champion)
    images = (around.high - around.low) / (2 * Z) if around else 0.0
    squares, degrees = known.squares + _PRIOR * images**2, known.degrees + _PRIOR
    for duel in duels:
        differences = [pair.score - pair.rival_score for pair in duel.pairs]
        if len(differences) > 1:
            squares += stdev(differences) ** 2 / 2 * (len(differences) - 1)
            degrees += len(differences) - 1
    return max(sqrt(squares / degrees), 1 / champion.n)


def noise_interval(gain: float, noise: float, trainings: int) -> Estimate:
    """The gain's 95 % interval for other seeds. trainings: number of each of the two."""
    half = Z * noise * sqrt(2 / max(1, trainings))
    return Estimate(gain, gain - half, gain + half)


def probability(found: Compared, noise: float, trainings: int, seeds: Seeds | None) -> float:
    """That the gain would be positive over other images and other seeds, with a flat prior.

    By the pairs where there are some: the first training chose the candidate, so its luck is no evidence.
    """
    images = (found.gain.high - found.gain.low) / (2 * Z)
    gain, spread = found.gain.value, noise * sqrt(2 / max(1, trainings))
    if seeds is not None:
        gain, spread = seeds.gain, noise * sqrt(2 / seeds.pairs)
    deviation = sqrt(images**2 + spread**2)
    return 0.5 * (1 + erf(gain / deviation / sqrt(2))) if deviation > 0 else float(gain > 0)


def seeds_of(duel: Duel | None, metric: Metric) -> Seeds | None:
    """What the pairs of a test say; None without any."""
    gains = differences(duel, metric) if duel else []
    if not gains:
        return None
    found = mean(gains)
    return Seeds(fmean(gains), found.low if found else None, found.high if found else None, len(gains))


def differences(duel: Duel, metric: Metric) -> list[float]:
    """Candidate minus champion of each pair, positive if the candidate is better."""
    return [metric.over(pair.score, pair.rival_score) for pair in duel.pairs]


def trial_of(duel: Duel, metric: Metric, most: int) -> Trial:
    """The test as its pairs left it."""
    trial = Trial(duel.noise, duel.error, most)
    for gain in differences(duel, metric):
        trial.add(gain)
    return trial


def cost_of(gain: float, noise: float, trial: Trial, most: int) -> int | None:
    """Number of further trainings until the test is expected to say `better`; None: more than it may have."""
    pairs = pairs_needed(gain, noise, trial.evidence, trial.threshold if trial.error else inf)
    return None if pairs is None or pairs + len(trial.differences) > most else 2 * pairs
