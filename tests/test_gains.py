"""A gain with the interval over the images, paired or not, and the one over the seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deltanas.gains import SEVERAL, compared, measured
from deltanas.intervals import difference, mean_difference, paired_shares, wilson
from deltanas.journal import Noise
from deltanas.program import Failed, Trained
from deltanas.task import CLASSIFY
from toy_task import WEIGH, weighed

METRIC = CLASSIFY.metric


def right(*images: bool | int, seed: int = 0) -> Trained:
    scores = np.array(images, float)
    return Trained(float(scores.mean()), len(scores), seed, 1.0, 1.0, "A", CLASSIFY.packed(scores))


CHILD, PARENT = right(*[1] * 70, *[0] * 30), right(*[1] * 60, *[0] * 40)


def test_two_trainings_on_the_same_images_are_compared_image_by_image() -> None:
    one, two = measured(CLASSIFY, CHILD), measured(CLASSIFY, PARENT)
    assert one is not None
    assert two is not None
    found = compared(METRIC, one, two)
    assert found is not None
    assert (found.paired, found.seeds) == (True, None)
    assert found.gain == paired_shares(10, 0, 100)
    apart = difference(wilson(70, 100), wilson(60, 100))
    assert found.gain.high - found.gain.low < (apart.high - apart.low) / 2


@pytest.mark.parametrize("kept", [None, b"\0", b"\0" * 14])
def test_without_the_scores_of_the_images_both_are_taken_as_independent(kept: bytes | None) -> None:
    """An archive of 0.1.0 has none; bytes of another number of images are none either."""
    one, two = measured(CLASSIFY, CHILD), measured(CLASSIFY, replace(PARENT, per_image=kept))
    assert one is not None
    assert two is not None
    found = compared(METRIC, one, two)
    assert found is not None
    assert not found.paired
    assert found.gain == difference(wilson(70, 100), wilson(60, 100))


def test_the_score_of_an_image_is_its_mean_over_the_trainings() -> None:
    first, second = right(1, 1, 0, 0, seed=1), right(1, 0, 1, 0, seed=2)
    both = replace(first, score=0.5, per_image=None)
    found = measured(CLASSIFY, both, (first, second))
    assert found is not None
    assert found.images is not None
    assert found.images.tolist() == [1, 0.5, 0.5, 0]
    assert found.scores == (0.5, 0.5)
    one = measured(CLASSIFY, right(1, 1, 1, 0))
    assert one is not None
    gained = compared(METRIC, one, found)
    assert gained is not None
    assert gained.paired
    assert gained.gain.value == pytest.approx(0.25)


def test_one_training_without_them_takes_them_from_the_mean() -> None:
    both = replace(CHILD, per_image=None)
    found = measured(CLASSIFY, both, (CHILD, replace(CHILD, per_image=None)))
    assert found is not None
    assert found.images is None


def test_what_has_no_score_is_not_measured() -> None:
    failed = Failed("crash", "gone", 1.0, 1.0, "A")
    for outcome in (None, failed, replace(CHILD, score=float("nan")), replace(CHILD, score=1.1), replace(CHILD, n=0)):
        assert measured(CLASSIFY, outcome) is None


def test_the_part_of_the_seeds_is_a_figure_of_its_own() -> None:
    """By the scatter of the run's repeats, and by the programs' own where there are several of each."""
    one, two = measured(CLASSIFY, CHILD), measured(CLASSIFY, PARENT)
    assert one is not None
    assert two is not None
    noise = Noise(squares=10 * 0.02**2, degrees=10)
    found = compared(METRIC, one, two, noise)
    assert found is not None
    assert found.seeds is not None
    assert found.gain == paired_shares(10, 0, 100), "the interval over the images knows nothing of the seeds"
    assert found.seeds.value == pytest.approx(0.1)
    assert found.seeds.high - found.seeds.value == pytest.approx(2.228 * 0.02 * 2**0.5, rel=1e-3)  # t, 10 degrees
    assert compared(METRIC, one, two, Noise()) == compared(METRIC, one, two)
    child, parent = (
        replace(each, scores=tuple(each.score + step / 100 for step in range(SEVERAL))) for each in (one, two)
    )
    found = compared(METRIC, child, parent, noise)
    assert found is not None
    assert found.seeds == mean_difference(child.scores, parent.scores)
    child, parent = (replace(each, scores=(each.score,) * SEVERAL) for each in (one, two))
    assert compared(METRIC, child, parent, Noise()) == compared(METRIC, one, two), (
        "trainings that are equal tell no scatter"
    )
    found = compared(METRIC, child, parent, noise)
    assert found is not None
    assert found.seeds is not None
    assert found.seeds.low < found.seeds.high


def test_the_interval_over_the_seeds_holds_the_true_gain() -> None:
    rng, held, gain = np.random.default_rng(0), 0, 0.03
    for _ in range(1000):
        groups = rng.normal(0, 0.02, (5, 2))
        squares = float(((groups - groups.mean(1, keepdims=True)) ** 2).sum())
        scores = 0.7 + rng.normal(0, 0.02, 3) + np.array([gain, gain, 0])
        one, two = measured(CLASSIFY, CHILD), measured(CLASSIFY, PARENT)
        assert one is not None
        assert two is not None
        child, parent = replace(one, scores=tuple(scores[:2])), replace(two, scores=(float(scores[2]),))
        found = compared(METRIC, child, parent, Noise(squares, 5))
        assert found is not None
        assert found.seeds is not None
        held += found.seeds.low <= gain <= found.seeds.high
    assert 930 <= held <= 970


def test_a_gain_is_positive_where_the_lower_score_is_better() -> None:
    errors = np.array([1.0, 2.0, 3.0, 5.0])
    child, parent = measured(WEIGH, weighed(errors - 0.5)), measured(WEIGH, weighed(errors))
    assert child is not None
    assert parent is not None
    found = compared(WEIGH.metric, child, parent)
    assert found is not None
    assert found.paired
    assert found.gain.value == pytest.approx(0.5)
    assert found.gain.low == pytest.approx(0.5)
    worse = compared(WEIGH.metric, parent, child)
    assert worse is not None
    assert worse.gain.value == pytest.approx(-0.5)
    bare = replace(child, images=None)
    assert compared(WEIGH.metric, bare, parent) is None, "nothing tells how sure a mean of real scores is"
