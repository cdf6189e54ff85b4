"""Spearman's coefficient of one training, from programs with several."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from deltanas.study.components import Groups, grouped
from deltanas.study.estimate import LackingError
from deltanas.study.ranks import averaged, coefficient, spearman


def singles(values: list[float]) -> Groups:
    return grouped([f"{place:03d}" for place in range(len(values))], values, "score")


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=4, max_size=12))
@settings(max_examples=60, deadline=None)
def test_with_one_score_a_program_it_is_the_ordinary_coefficient(pairs: list[tuple[int, int]]) -> None:
    x, y = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    if len(set(x)) == 1 or len(set(y)) == 1:
        with pytest.raises(LackingError, match="nothing to rank"):
            spearman(singles(x), singles(y))
        return
    found = spearman(singles(x), singles(y))
    assert found.value == pytest.approx(float(stats.spearmanr(x, y).statistic), abs=1e-12)
    assert -1 <= found.low <= found.value <= found.high <= 1


def test_with_several_scores_it_is_the_mean_over_all_choices_of_one() -> None:
    scores = [[0.1, 0.35], [0.2, 0.4], [0.15, 0.3], [0.6, 0.32], [0.05, 0.7]]
    target = [1.0, 2.0, 3.0, 4.0, 5.0]
    groups = grouped([str(p) for p in range(5) for _ in range(2)], [s for pair in scores for s in pair], "score")
    each = [float(stats.spearmanr(chosen, target).statistic) for chosen in product(*scores)]
    assert coefficient(groups, singles(target)) == pytest.approx(np.mean(each), abs=1e-12)


def test_perfect_agreement_of_few_programs_is_not_certain() -> None:
    found = spearman(singles([1.0, 2.0, 3.0, 4.0, 5.0]), singles([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.5
    upside_down = spearman(singles([1.0, 2.0, 3.0, 4.0, 5.0]), singles([5.0, 4.0, 3.0, 2.0, 1.0]))
    assert (upside_down.value, upside_down.low) == (-1.0, -1.0)
    assert upside_down.high > -0.5


def test_three_programs_are_too_few() -> None:
    with pytest.raises(LackingError, match="3 programs have both scores: a rank correlation needs four"):
        spearman(singles([1.0, 2.0, 3.0]), singles([1.0, 2.0, 3.0]))


def test_the_mean_of_two_trainings_is_taken_over_all_pairs_and_short_programs_are_left_out() -> None:
    groups = grouped(["a", "a", "a", "b"], [1.0, 2.0, 4.0, 9.0], "score")
    means = averaged(groups, 2)
    assert means.names == ("a",)
    assert sorted(means.score) == [1.5, 2.5, 3.0]


def test_many_choices_are_drawn_the_same_each_time() -> None:
    groups = grouped(["a"] * 12, list(np.arange(12.0)), "score")
    assert averaged(groups, 6).score.tolist() == averaged(groups, 6).score.tolist()
    assert len(averaged(groups, 6).score) == 60
