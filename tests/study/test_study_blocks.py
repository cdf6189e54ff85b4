"""Rank tests over blocks against other packages, and by hand."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from deltanas.errors import DataError
from deltanas.study import LackingError, critical_difference, friedman, holm, signed_rank, wilcoxon
from deltanas.study.blocks import blocks_needed, cliques, mean_ranks, nemenyi
from deltanas.study.effects import PRIOR, areas, detectable, rank_biserial

ORACLE = json.loads(Path(__file__).with_name("oracle.json").read_text("utf-8"))
"""What scikit-posthocs, autorank, statsmodels and baycomp say of 100 tables: make_oracle.py wrote it."""


def scores_of(table: dict[str, Any]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([[np.nan if cell is None else cell for cell in row] for row in table["scores"]], float)


def differences_of(table: dict[str, Any]) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    scores = scores_of(table)
    found = [scores[:, a] - scores[:, b] for a, b in combinations(range(scores.shape[1]), 2)]
    return [gap[~np.isnan(gap)] for gap in found]


def test_the_oracle_holds_tables_with_ties_and_with_gaps() -> None:
    tables = [scores_of(table) for table in ORACLE["tables"]]
    assert len(tables) == 100
    assert sum(bool(np.isnan(table).any()) for table in tables) > 30
    assert sum(any(len(set(row)) < len(row) for row in table.tolist()) for table in tables) > 40


def test_friedman_and_nemenyi_equal_scikit_posthocs_and_autorank() -> None:
    for table in ORACLE["tables"]:
        found = friedman(scores_of(table))
        assert found.chi2 == pytest.approx(table["chi2"], rel=1e-9)
        assert found.chi2_p == pytest.approx(table["chi2_p"], abs=1e-9)
        assert found.chi2_p == pytest.approx(table["autorank_p"], abs=1e-9)
        # autorank reads its quantile from a table of about five digits.
        assert found.critical_difference == pytest.approx(table["critical_difference"], rel=1e-4)
        assert found.mean_ranks == pytest.approx(table["mean_ranks"], abs=1e-9)
        assert sorted(sorted(clique) for clique in found.cliques) == table["cliques"]
        for a, b in combinations(range(found.treatments), 2):
            assert nemenyi(found, a, b) == pytest.approx(table["nemenyi"][a][b], abs=1e-9)


def test_wilcoxon_and_holm_equal_scikit_posthocs_and_statsmodels() -> None:
    for table in ORACLE["tables"]:
        raw = [wilcoxon(gap) for gap in differences_of(table)]
        assert raw == pytest.approx(table["wilcoxon"], abs=1e-9)
        assert holm(raw) == pytest.approx(table["holm"], abs=1e-9)


def test_the_bayesian_signed_rank_test_equals_baycomp_draw_by_draw() -> None:
    for table in ORACLE["tables"]:
        first = differences_of(table)[0]
        draws = np.array(table["areas"])
        weights = np.random.RandomState(table["seed"]).dirichlet([PRIOR, *[1.0] * len(first)], len(draws))
        assert areas(first, weights, ORACLE["rope"]) == pytest.approx(draws[:, ::-1], abs=1e-9)


def test_iman_and_davenport_s_f_is_that_of_an_analysis_of_variance_of_the_ranks() -> None:
    for table in ORACLE["tables"]:
        scores = scores_of(table)
        scores = scores[~np.isnan(scores).any(axis=1)]
        ranks = stats.rankdata(-scores, axis=1)
        n, k = ranks.shape
        found = friedman(scores)
        if np.isinf(found.f):
            continue
        between = n * ((ranks.mean(axis=0) - ranks.mean()) ** 2).sum() / (k - 1)
        residual = (ranks - ranks.mean(axis=0) - ranks.mean(axis=1, keepdims=True) + ranks.mean()) ** 2
        expected = between / (residual.sum() / ((k - 1) * (n - 1)))
        assert found.f == pytest.approx(expected, rel=1e-9)
        assert found.p == pytest.approx(stats.f.sf(expected, k - 1, (k - 1) * (n - 1)), abs=1e-9)


def test_critical_differences_of_demsar_s_table() -> None:
    for treatments, q in ((2, 1.960), (3, 2.343), (4, 2.569), (6, 2.850), (10, 3.164)):
        expected = q * (treatments * (treatments + 1) / (6 * 17)) ** 0.5
        assert critical_difference(treatments, 17) == pytest.approx(expected, abs=2e-3)


def test_blocks_that_all_rank_alike() -> None:
    found = friedman([[0.1, 0.2, 0.3]] * 5)
    assert found.mean_ranks.tolist() == [3, 2, 1]
    assert found.f == float("inf")
    assert found.p == pytest.approx(1 / 6**4)
    tied = friedman([[0.1, 0.1, 0.3]] * 5)
    assert tied.f == float("inf")
    assert tied.p == pytest.approx(1 / 3**4)


def test_cliques_are_the_largest_and_best_first() -> None:
    assert cliques([1.0, 1.5, 3.4, 2.4], 1.0) == ((0, 1), (1, 3))
    assert cliques([1.0, 1.9, 1.5], 1.0) == ((0, 2, 1),)
    assert cliques([1.0, 2.0, 3.0], 1.0) == ()


@pytest.mark.parametrize(
    ("scores", "lacking"),
    [
        ([[0.1, 0.2]] * 9, "2 treatments"),
        ([[0.1, 0.2, 0.3]] * 2, "2 networks hold all 3 treatments: a comparison needs 3 or more"),
        ([[0.1, 0.2, np.nan]] * 9, "0 networks hold all 3 treatments"),
        ([[0.1, 0.1, 0.1]] * 9, "same score in each block"),
    ],
)
def test_too_little_data_is_said_and_not_computed(scores: list[list[float]], lacking: str) -> None:
    with pytest.raises(LackingError, match=lacking):
        friedman(scores)


def test_scores_that_are_no_table() -> None:
    with pytest.raises(DataError, match="1 dimensions"):
        friedman([0.1, 0.2])
    with pytest.raises(DataError, match="treatment 1 in block 0"):
        friedman([[0.1, np.inf, 0.2]])


def test_blocks_that_lack_one_of_the_two_are_left_out() -> None:
    gaps = [0.04, -0.01, 0.02, 0.03, 0.05]
    for measure in (wilcoxon, signed_rank, rank_biserial, detectable):
        assert measure([np.nan, *gaps]) == measure(gaps)
        with pytest.raises(DataError, match="infinite at position 1"):
            measure([0.1, np.inf, 0.2, 0.3])


def test_the_order_of_a_sum_breaks_no_tie() -> None:
    one, other = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    assert one != other
    assert mean_ranks([[one, other, 0.0]] * 3).tolist() == [1.5, 1.5, 3.0]
    assert wilcoxon([one - other] * 6) == 1.0


def test_how_many_blocks_can_show_a_difference() -> None:
    for number in (1, 3, 15):
        needed = blocks_needed(number)
        assert number * wilcoxon(np.arange(1, needed + 1)) < 0.05 <= number * wilcoxon(np.arange(1, needed))


def test_a_posterior_is_of_one_region() -> None:
    gaps = np.random.default_rng(0).normal(0, 0.001, 17)
    for shift, region in ((0.05, "better"), (0.0, "equivalent"), (-0.05, "worse")):
        found = signed_rank(gaps + shift)
        assert getattr(found, region) > 0.99
        assert found.better + found.equivalent + found.worse == pytest.approx(1)


def test_rank_biserial_by_hand() -> None:
    """Ranks 1, 3 and 5 are above 0, and 2 and 4 below: (9 - 6) / 15."""
    found = rank_biserial([1.0, -2.0, 3.0, -4.0, 5.0])
    assert found.value == pytest.approx(0.2)
    assert -1 < found.low < 0.2 < found.high < 1
    always = rank_biserial(np.arange(1, 18) / 100)
    assert (always.value, always.high) == (1, 1)
    assert 0 < always.low < 1
    with pytest.raises(LackingError, match="four or more"):
        rank_biserial([1.0, 2.0, 3.0])


def test_the_detectable_difference_is_found_in_80_of_100_cases() -> None:
    rng = np.random.default_rng(0)
    size = float(np.mean([detectable(rng.normal(0, 1, 17)) for _ in range(2000)]))
    found = np.mean(stats.ttest_1samp(rng.normal(size, 1, (4000, 17)), 0, axis=1).pvalue < 0.05)
    assert 0.77 < found < 0.83
