"""Variance components, closed forms and verdicts, against known answers."""

from __future__ import annotations

from math import asin, pi, sqrt

import numpy as np
import pytest
from scipy import stats

from deltanas.errors import DataError
from deltanas.study import (
    Absent,
    Estimate,
    LackingError,
    Reliability,
    components,
    pearson_of,
    reliability,
    repeats_for,
    separation,
    spearman_of,
    truncated,
)

HAND = (["a", "a", "b", "b", "c", "c"], [1.0, 3.0, 5.0, 7.0, 9.0, 11.0])
"""Means 2, 6, 10; within each program a variance of 2; between them a mean square of 32."""


def simulated(k: int, n: int, snr: float, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    level = rng.normal(0, sqrt(snr), k).repeat(n)
    return [f"p{i}" for i in range(k) for _ in range(n)], level + rng.normal(size=k * n), level


def known(estimate: Estimate | Absent) -> Estimate:
    assert isinstance(estimate, Estimate), estimate
    return estimate


def test_variance_components_by_hand() -> None:
    found = components(*HAND)
    assert (found.programs, found.trainings, found.agreement) == (3, 6, 16.0)
    assert found.var_noise.value == 2.0
    assert found.var_arch.value == 15.0
    assert found.snr.value == 7.5


def test_the_interval_of_balanced_repeats_is_the_one_of_f() -> None:
    found = components(*HAND)
    low, high = (16 / stats.f(2, 3).ppf(q) - 1 for q in (0.975, 0.025))
    assert found.snr.low == pytest.approx(max(0, low / 2), abs=1e-6)
    assert found.snr.high == pytest.approx(high / 2, rel=1e-9)
    assert found.var_noise.low == pytest.approx(6 / stats.chi2(3).ppf(0.975))
    assert found.var_noise.high == pytest.approx(6 / stats.chi2(3).ppf(0.025))


def test_the_order_of_rows_and_missing_scores_change_nothing() -> None:
    names, scores = HAND
    order = [5, 2, 0, 4, 1, 3]
    mixed = components(
        [names[i] for i in order] + ["b", "d"], [scores[i] for i in order] + [float("nan"), float("nan")]
    )
    assert mixed == components(names, scores)


def test_programs_with_one_training_count_for_the_spread_but_not_for_the_noise() -> None:
    names, scores = HAND
    found = components([*names, "d"], [*scores, 14.0])
    assert (found.programs, found.var_noise) == (4, components(names, scores).var_noise)
    assert found.var_arch.value > 15


@pytest.mark.parametrize(
    ("names", "scores", "words"),
    [
        ([], [], "0 programs have a score"),
        (["a", "a"], [1, 2], "1 program has a score"),
        (["a", "b", "c"], [1, 2, 3], "no program was trained twice"),
        (["a", "a", "b", "b"], [1, 1, 2, 2], "all repeats of a program gave one score"),
        (["a", "a", "b", "b"], [7, 7, 7, 7], "all repeats of a program gave one score"),
        (["a", "a"], [float("nan")] * 2, "0 programs have a score"),
    ],
)
def test_what_is_lacking_is_said(names: list[str], scores: list[float], words: str) -> None:
    with pytest.raises(LackingError, match=words):
        components(names, scores)
    found = reliability(names, scores)
    assert isinstance(found.snr, Absent)
    assert words in found.snr.why
    assert words in found.verdict


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([1, "x"], "`proxy` is no number at position 1: 'x'"),
        ([1, float("inf")], "`proxy` is infinite at position 1"),
        ([1, 2, 3], "differ in length"),
        ([[1], [2]], "2 dimensions"),
        ("ab", "no list of numbers"),
    ],
)
def test_wrong_columns_are_named(scores: list[float], words: str) -> None:
    with pytest.raises(DataError, match=words):
        reliability(["a", "b"], scores)


def test_the_closed_forms() -> None:
    assert pearson_of(1.0) == pytest.approx(sqrt(0.5))
    assert pearson_of(1.0, "both noisy") == 0.5
    assert pearson_of(float("inf")) == 1
    assert spearman_of(1.0) == pytest.approx(1.0)
    assert spearman_of(0.5) == pytest.approx(6 / pi * asin(0.25))
    for snr in (0.5, 3.0):
        assert spearman_of(pearson_of(repeats_for(0.7, snr) * snr)) == pytest.approx(0.7)
        assert spearman_of(pearson_of(repeats_for(0.7, snr, snr) * snr, "both noisy")) == pytest.approx(0.7)
    a, b = 2.0 * repeats_for(0.7, 2.0, 0.5), 0.5 * repeats_for(0.7, 2.0, 0.5)
    assert spearman_of(sqrt(pearson_of(a, "both noisy") * pearson_of(b, "both noisy"))) == pytest.approx(0.7)
    assert repeats_for(0.7, float("inf")) == 0
    assert repeats_for(0.7, 0.0) == repeats_for(0.7, 1.0, 0.0) == float("inf")
    with pytest.raises(DataError, match="-1"):
        pearson_of(-1.0)


def test_the_published_rank_correlation_belongs_to_these_ratios() -> None:
    """rho_S = 0.926 is published; the forms give it at an SNR of 6.6 (noiseless target) or 13.7 (both noisy)."""
    assert repeats_for(0.926, 1.0) == pytest.approx(6.63, abs=0.01)
    assert repeats_for(0.926, 1.0, 1.0) == pytest.approx(13.74, abs=0.01)
    assert round(spearman_of(pearson_of(13.74, "both noisy")), 3) == 0.926


def test_truncation_lowers_the_correlation_as_a_simulation_has_it() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=400_000)
    y = 0.8 * x + 0.6 * rng.normal(size=400_000)
    best = x > np.quantile(x, 0.75)
    assert truncated(0.8) == pytest.approx(np.corrcoef(x[best], y[best])[0, 1], abs=0.01)
    assert truncated(1.0) == pytest.approx(1.0)


def test_a_target_told_on_each_row_is_one_value_without_noise() -> None:
    names, proxy, level = simulated(40, 3, 4.0)
    found = reliability(names, proxy, level)
    assert (found.form, found.other_form, found.pairs) == ("noiseless target", "both noisy", 40)
    assert known(found.rho_pearson).value == pearson_of(known(found.snr).value)
    assert known(found.other_pearson).value == pearson_of(known(found.snr).value, "both noisy")
    once = [value if i % 3 == 1 else float("nan") for i, value in enumerate(level)]
    assert reliability(names, proxy, once) == found


def test_a_target_with_repeats_has_a_noise_of_its_own() -> None:
    names, proxy, level = simulated(60, 3, 4.0)
    quiet = level + 0.1 * np.random.default_rng(5).normal(size=len(level))
    loud = level + np.random.default_rng(5).normal(size=len(level))
    by_quiet, by_loud = reliability(names, proxy, quiet), reliability(names, proxy, loud)
    assert by_quiet.form == by_loud.form == "both noisy"
    snr = known(by_loud.snr).value
    assert known(by_loud.rho_pearson).value == pytest.approx(pearson_of(snr, "both noisy"), abs=0.05)
    assert known(by_quiet.rho_pearson).value == pytest.approx(pearson_of(snr), abs=0.02)


def test_what_the_two_scores_of_a_row_share_counts_for_the_pair_alone() -> None:
    names, proxy, level = simulated(60, 3, 1.0)
    shared = proxy + 0.1 * np.random.default_rng(2).normal(size=len(proxy))
    found = reliability(names, proxy, shared)
    assert known(found.rho_spearman_paired).value > 0.95
    assert known(found.rho_spearman_measured).value < 0.7
    assert "A training and its own continuation agree better (1.00)" in found.verdict
    assert isinstance(reliability(names, proxy, level).rho_spearman_paired, Absent)
    apart = [value if place % 3 else float("nan") for place, value in enumerate(shared)]
    alone = [float("nan") if place % 3 else value for place, value in enumerate(proxy)]
    assert isinstance(reliability(names, alone, apart).rho_spearman_paired, Absent)


def test_the_mean_of_repeats_is_a_better_score() -> None:
    names, proxy, level = simulated(40, 4, 1.0)
    one, three = reliability(names, proxy, level), reliability(names, proxy, level, repeats=3)
    assert known(three.snr).value == pytest.approx(3 * known(one.snr).value)
    assert known(three.rho_spearman_measured).value > known(one.rho_spearman_measured).value
    assert three.var_noise == one.var_noise
    too_many = reliability(names, proxy, level, repeats=5)
    assert isinstance(too_many.rho_spearman_measured, Absent)
    assert "5 trainings" in too_many.rho_spearman_measured.why
    with pytest.raises(DataError, match="0 repeats"):
        reliability(names, proxy, level, repeats=0)


def verdict_of(k: int, n: int, snr: float, *, other: bool = False) -> Reliability:
    names, proxy, level = simulated(k, n, snr)
    target = np.random.default_rng(9).permutation(k).repeat(n).astype(float) if other else level
    return reliability(names, proxy, target)


def test_the_verdict_in_words() -> None:
    assert verdict_of(80, 3, 30.0).verdict.startswith("The ranking can be trusted (Spearman 0.9")
    assert verdict_of(150, 3, 0.1).verdict.startswith("The ranking can't be trusted")
    assert verdict_of(150, 3, 1.0).verdict.startswith("The ranking is a coarse guide")
    assert verdict_of(8, 2, 1.0).verdict.startswith("Not decided")
    assert "something else, steadily" in verdict_of(80, 3, 30.0, other=True).verdict
    names, proxy, level = simulated(400, 6, 1.0)
    noisy = level + np.random.default_rng(3).normal(size=len(level)) * level.std()
    both = reliability(names, proxy, noisy)
    assert both.repeats_needed is not None
    enough = known(reliability(names, proxy, noisy, repeats=both.repeats_needed).rho_spearman_predicted)
    fewer = known(reliability(names, proxy, noisy, repeats=both.repeats_needed - 1).rho_spearman_predicted)
    assert fewer.value < 0.8 <= enough.value
    chance = reliability(names, proxy, np.random.default_rng(4).normal(size=len(level))).repeats_needed
    assert chance is None or chance > 100
    hint = verdict_of(150, 3, 0.5)
    assert f"The mean of {hint.repeats_needed} trainings" in hint.verdict


def test_without_a_target_the_prediction_stands_alone() -> None:
    names, proxy, _ = simulated(80, 3, 30.0)
    found = reliability(names, proxy)
    assert found.verdict.startswith("Other seeds would rank alike; whether the target would is not known (Spearman 0.9")
    assert "predicted from repeats; not measured" in found.verdict
    assert isinstance(found.rho_spearman_measured, Absent)
    assert isinstance(found.truncation.measured, Absent)
    assert known(found.truncation.predicted).value < known(found.rho_spearman_predicted).value
    every_target_missing = reliability(names, proxy, [float("nan")] * len(names))
    assert isinstance(every_target_missing.rho_spearman_measured, Absent)


def test_one_training_a_program_still_measures() -> None:
    names, proxy, level = simulated(40, 1, 4.0)
    found = reliability(names, proxy, level)
    assert isinstance(found.snr, Absent)
    assert known(found.rho_spearman_measured).value == pytest.approx(float(stats.spearmanr(proxy, level).statistic))
    assert "measured against the target" in found.verdict


def test_what_a_pick_of_the_best_is_expected_to_cost() -> None:
    """Over simulated studies the expected regret and hits are the real ones, on the average."""
    real: list[tuple[float, float]] = []
    said: list[tuple[float, float]] = []
    for seed in range(150):
        names, scores, levels = simulated(40, 3, 4.0, seed)
        found = separation(names, scores, 5)
        level, mean = levels[::3], scores.reshape(40, 3).mean(1)
        picked, best = np.argsort(-mean)[:5], np.argsort(-level)[:5]
        real.append((float(level[best].mean() - level[picked].mean()), len(set(picked) & set(best))))
        said.append((found.regret, found.hits))
    (regret, hits), (expected, expected_hits) = np.mean(real, axis=0), np.mean(said, axis=0)
    assert expected == pytest.approx(regret, rel=0.2)
    assert expected_hits == pytest.approx(hits, abs=0.3)


def test_a_ranking_of_noise_is_said_not_to_separate() -> None:
    names, _, _ = simulated(40, 3, 1.0)
    noise = np.random.default_rng(3).normal(size=120)
    assert "do not tell the programs apart" in separation(names, noise, 5).verdict
    names, scores, _ = simulated(40, 3, 50.0)
    assert separation(names, scores, 5).verdict.startswith("the ranking separates the best 5 from the rest")
    with pytest.raises(LackingError, match="there is no choice of 40"):
        separation(names, scores, 40)
    with pytest.raises(LackingError, match="no program was trained twice"):
        separation(names[::3], scores[::3], 5)
