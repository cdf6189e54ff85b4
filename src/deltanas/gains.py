"""What one program gains over another that was scored on the same images, and what is uncertain about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from deltanas.intervals import Estimate, difference, mean_difference, paired, pooled_difference
from deltanas.journal import Noise
from deltanas.program import Trained
from deltanas.records import Candidate
from deltanas.task import Floats, Metric, Task, image_scores

SEVERAL = 4
"""With this number of trainings of each program, or more, their own scatter is used; else that of the whole run."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A program's score with what its intervals need.

    Attributes:
        n: number of images. images: [n] mean score of each image over the trainings; None if one has not kept it.
        scores: of each training. rung: number of epochs of each of them, 0 where it is not known.
    """

    score: float
    n: int
    images: Floats | None
    scores: tuple[float, ...]
    rung: int = 0


def score_of(metric: Metric, outcome: object) -> float | None:
    """None for an outcome without a score, or with one that is not finite or outside of the metric's limits."""
    if not isinstance(outcome, Trained) or outcome.n < 1 or not isfinite(outcome.score):
        return None
    low, high = metric.limits
    return outcome.score if low <= outcome.score <= high else None


def measured(task: Task, outcome: object, trainings: Sequence[object] = ()) -> Measured | None:
    """None if `score_of` is.

    trainings: those that `outcome` combines; without them it is one training. Scores of images that are not of this
    number are left out, as if they had not been kept.
    """
    if not isinstance(outcome, Trained) or score_of(task.metric, outcome) is None:
        return None
    made = [each for each in trainings if isinstance(each, Trained)] or [outcome]
    try:
        images = image_scores(task, made)
    except ValueError:
        images = None
    if images is not None and (len(images) != outcome.n or not np.isfinite(images).all()):
        images = None
    return Measured(outcome.score, outcome.n, images, tuple(each.score for each in made), outcome.epochs)


def measured_candidate(task: Task, candidate: Candidate | None) -> Measured | None:
    return None if candidate is None else measured(task, candidate.outcome, candidate.trainings)


def interval(metric: Metric, found: Measured) -> Estimate | None:
    """The score's interval for another sample of images, None if it can't be told."""
    return metric.interval(found.score, found.n, found.images)


@dataclass(frozen=True, slots=True)
class Compared:
    """A gain: positive if the first program is better.

    Attributes:
        gain: with the interval for another sample of images.
        paired: the interval is over the differences of the images' scores; else over the two scores, taken as
            independent, as the scores of the images are not known of both.
        seeds: with the interval for other seeds, None if no program was trained repeatedly.
    """

    gain: Estimate
    paired: bool
    seeds: Estimate | None


def compared(metric: Metric, child: Measured, parent: Measured, noise: Noise | None = None) -> Compared | None:
    """None if neither the scores of the images nor an interval of each score is known.

    noise: scatter of single trainings in the run, for programs that were trained less than `SEVERAL` times.
    """
    first, second = (child, parent) if metric.better == "higher" else (parent, child)
    seeds = _seeds(first.scores, second.scores, noise)
    one, two = first.images, second.images
    if one is not None and two is not None and len(one) == len(two) > 1:
        return Compared(paired(one, two), True, seeds)
    bounds = [interval(metric, each) for each in (first, second)]
    if bounds[0] is None or bounds[1] is None:
        return None
    return Compared(difference(bounds[0], bounds[1]), False, seeds)


def _seeds(first: Sequence[float], second: Sequence[float], noise: Noise | None) -> Estimate | None:
    several = mean_difference(first, second) if min(len(first), len(second)) >= SEVERAL else None
    if several is not None and several.low < several.high:
        return several
    if noise is None or not noise.squares:
        return None
    return pooled_difference(first, second, noise.squares, noise.degrees)
