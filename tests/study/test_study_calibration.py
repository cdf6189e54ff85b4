"""Intervals cover the truth of simulated studies as often as they say: `python -m benchmarks study_calibration`."""

from __future__ import annotations

import pytest

from benchmarks.simulated_studies import Answers, Design, Elites, Level, Likelihoods, Ranking, coverage


@pytest.mark.parametrize(
    "design",
    [
        Ranking(12, (3,), 1.0),
        Ranking(12, (1, 2, 5), 4.0, target_noise=1.0),
        Ranking(40, (2,), 25.0),
        Answers(40, 0.003),
        Elites(50, 0.3),
        Likelihoods(40),
    ],
    ids=repr,
)
def test_nominal_95_percent_intervals_cover_between_92_and_98(design: Design) -> None:
    for found in coverage(design, 400):
        if "rejected" not in found.quantity and "broken" not in found.quantity:
            assert 0.92 <= found.share <= 0.98, found
            assert found.absent == 0


@pytest.mark.parametrize("design", [Level(2, 50), Level(5, 8), Level(22, 8), Level(10, 8, steps=4)], ids=repr)
def test_the_trend_test_rejects_a_true_null_between_3_and_7_percent(design: Design) -> None:
    (candidates, *_) = coverage(design, 1000)
    assert candidates.quantity == "trend rejected"
    assert 0.03 <= candidates.low / candidates.studies <= 0.07
