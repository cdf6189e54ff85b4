"""Quality and elites over the cycles, likelihoods, novelty: known answers."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from deltanas.errors import DataError
from deltanas.study import Absent, Estimate, LackingError, concentration, elite_nll, monotone, novelty, shingles
from deltanas.study.concentration import bound


def test_the_trend_test_is_kendall_s_with_ties() -> None:
    rng = np.random.default_rng(0)
    cycle = np.arange(6).repeat(7)
    quality = np.round(rng.normal(size=42) + 0.2 * cycle, 1)
    found = monotone(cycle, quality)
    known = stats.kendalltau(cycle, quality, method="asymptotic")
    assert found.trend.tau == pytest.approx(known.statistic)
    assert found.trend.p == pytest.approx(known.pvalue)
    assert [row.n for row in found.cycles] == [7] * 6


def test_the_test_over_the_means_is_exact() -> None:
    """Five rising means: 2 of the 120 orders are as extreme."""
    rising = monotone(np.arange(5).repeat(2), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert rising.trend.p_means == pytest.approx(2 / 120)
    assert rising.verdict.startswith("Quality rises over the cycles")
    assert rising.falls == ()
    falling = monotone([1, 1, 2, 2, 3, 3], [9, 8, 7, 6, 5, 4])
    assert falling.trend.p_means is None
    assert falling.verdict.startswith("Quality falls")


def test_falling_steps_have_welch_s_p_corrected_by_holm() -> None:
    groups = [[5.0, 6.0, 7.0, 6.0], [1.0, 2.0, 1.5, 2.0], [1.4, 2.1, 1.0, 1.9], [8.0, 9.0, 7.5, 8.0]]
    found = monotone(np.arange(4).repeat(4), np.concatenate(groups))
    assert [fall.cycle for fall in found.falls] == [1, 2]
    raw = [float(stats.ttest_ind(b, a, equal_var=False, alternative="less").pvalue) for a, b in pairwise(groups)]
    assert found.falls[0].p == pytest.approx(3 * raw[0])
    assert found.falls[1].p == pytest.approx(2 * raw[1])
    assert found.falls[0].fall == pytest.approx(6.0 - 1.625)


@pytest.mark.parametrize(
    ("cycle", "quality", "words"),
    [
        ([], [], "0 cycles and 0 candidates"),
        ([1, 1, 1], [1, 2, 3], "1 cycle and 3 candidates"),
        ([1, 2], [1, 2], "2 cycles and 2 candidates"),
        ([1, 2, 3], [5, 5, 5], "all candidates have the same score"),
        ([1, 2, 3], [float("nan")] * 3, "0 cycles"),
    ],
)
def test_a_trend_needs_something_to_test(cycle: list[float], quality: list[float], words: str) -> None:
    with pytest.raises(LackingError, match=words):
        monotone(cycle, quality)


def test_single_candidates_have_no_interval_and_no_step_test() -> None:
    found = monotone([1, 2, 3], [3.0, 1.0, 2.0])
    assert all(isinstance(row.mean, Absent) for row in found.cycles)
    assert found.falls[0].p is None


def test_the_bound_of_concentration() -> None:
    assert bound(0.2, 0) == 0
    assert bound(0.2, 1) == pytest.approx(0.2)
    assert bound(0.5, 3) == pytest.approx(0.875)


def test_a_rate_from_one_step_is_its_share() -> None:
    found = concentration([1] * 10 + [2] * 10, [1] * 2 + [0] * 8 + [1] * 3 + [0] * 7)
    assert found.rho_0.value == 0.2
    assert isinstance(found.rate, Estimate)
    assert found.rate.value == pytest.approx(0.3)
    assert [row.step for row in found.cycles] == [0, 1]
    assert "not broken" in found.verdict


def test_a_share_that_stays_behind_breaks_the_bound() -> None:
    cycle = np.arange(8).repeat(50)
    elite = np.tile([1] * 20 + [0] * 30, 8)
    found = concentration(cycle, elite)
    broken = [row.cycle for row in found.cycles if row.broken]
    assert broken == [2, 3, 4, 5, 6, 7]
    assert found.verdict == "The bound is broken beyond chance in cycle 2, 3, 4, 5, 6, 7."


def test_no_elite_and_only_elites() -> None:
    none = concentration([1, 1, 2, 2], [0, 0, 0, 0])
    assert isinstance(none.rate, Estimate)
    assert none.rate.value == 0
    assert "says nothing" in none.verdict
    every = concentration([1, 1, 2, 2], [1, 1, 1, 1])
    assert isinstance(every.rate, Estimate)
    assert every.rate.value == 1
    with pytest.raises(LackingError, match="1 cycle with"):
        concentration([1, 1], [0, 1])
    with pytest.raises(DataError, match=r"`elite` is 0\.5"):
        concentration([1, 2], [0.5, 1])


def test_likelihoods_by_hand() -> None:
    found = elite_nll([100, 200, 300], [90, 180, 270], [50, 100, 150])
    assert (found.before.value, found.after.value) == (2.0, 1.8)
    assert found.change.value == pytest.approx(-0.2)
    assert (found.before.low, found.before.high) == (2.0, 2.0)
    assert found.change_program.value == -20
    assert found.change_program.low >= -30
    assert found.verdict.startswith("Tuning made the elites likelier")
    assert elite_nll([3, 2, 3, 2], [2, 3, 2, 3], [1, 1, 1, 1]).verdict.startswith("No change is shown")
    with pytest.raises(LackingError, match="2 programs"):
        elite_nll([1, 2, float("nan")], [1, 2, 3], [1, 1, 1])


def program(*numbers: int) -> NDArray[np.uint64]:
    return np.array(numbers, np.uint64)


def test_shingles_keep_numbers_and_repeats() -> None:
    assert len(shingles("conv(3, 64)", 3)) == 4
    assert len(np.intersect1d(shingles("conv(3, 64)", 3), shingles("conv ( 3 , 32 )", 3))) == 2
    assert len(shingles("")) == len(shingles("a b", 5)) == 1
    assert shingles("a b")[0] != shingles("a c")[0]
    assert len(shingles("a b a b a b", 2)) == 5, "ab, ba, and each again"
    assert shingles("x = 1.5", 2).tolist() == shingles("x=1.5  ", 2).tolist()


def test_the_invariant_is_checked_over_all_pairs() -> None:
    a, b, c = program(1, 2, 3, 4), program(1, 2, 3, 5), program(7, 8, 9)
    found = novelty([a, b, c, a], threshold=1.0)
    assert (found.broken, found.examples, found.largest, found.clusters) == (1, ((0, 3),), 1.0, 3)
    assert "is broken by 1 pair" in found.verdict
    assert novelty([a, b, c], threshold=0.61).broken == 0
    assert novelty([a, b, c], threshold=0.6).examples == ((0, 1),)
    assert novelty([a, b, c]).largest == pytest.approx(3 / 5)
    assert novelty([a, c]).largest == 0
    with pytest.raises(LackingError, match="1 program with"):
        novelty([a])


@given(st.lists(st.sets(st.integers(0, 12), min_size=1), min_size=2, max_size=9))
@settings(max_examples=60, deadline=None)
def test_indices_and_clusters_are_those_of_the_sets(sets: list[set[int]]) -> None:
    pairs = {(i, j): len(a & sets[j]) / len(a | sets[j]) for i, a in enumerate(sets) for j in range(i + 1, len(sets))}
    found = novelty([program(*sorted(one)) for one in sets], threshold=0.5)
    assert found.largest == pytest.approx(max(pairs.values()))
    assert found.broken == sum(index >= 0.5 for index in pairs.values())
    clusters = [{i} for i in range(len(sets))]
    for (i, j), index in pairs.items():
        if index >= 0.8:
            joined = [c for c in clusters if c & {i, j}]
            clusters = [c for c in clusters if c not in joined] + [set.union(*joined)]
    assert found.clusters == len(clusters)


def test_pairs_are_compared_across_blocks() -> None:
    programs = [program(2 * i, 2 * i + 1) for i in range(1200)]
    programs[1100] = programs[3]
    found = novelty(programs)
    assert (found.broken, found.examples, found.clusters) == (1, ((3, 1100),), 1199)


def test_many_programs_are_compared_as_their_sets_are() -> None:
    rng = np.random.default_rng(0)
    texts = [set(rng.integers(10_000, size=60).tolist()) for _ in range(4)]
    sets = [texts[i % 4] ^ set(rng.integers(10_000, size=rng.integers(20)).tolist()) for i in range(300)]
    sets[250] = sets[10]
    index = {(i, j): len(a & sets[j]) / len(a | sets[j]) for i, a in enumerate(sets) for j in range(i + 1, len(sets))}
    found = novelty([program(*sorted(one)) for one in sets], threshold=0.7)
    broken = sorted(pair for pair, value in index.items() if value >= 0.7)
    assert (found.broken, found.examples) == (len(broken), tuple(broken[:5]))
    assert found.largest == 1.0
    assert 4 <= found.clusters < 300
    without = [one for place, one in enumerate(sets) if place != 250]
    second = max(value for pair, value in index.items() if 250 not in pair)
    assert novelty([program(*sorted(one)) for one in without]).largest == second


def test_families_and_their_entropy() -> None:
    programs = [program(i) for i in range(8)]
    found = novelty(programs, cycle=[1] * 4 + [2] * 4, family=list("abcdaabb"))
    first, second = found.cycles
    assert (first.families, second.families) == (4, 2)
    assert first.effective == pytest.approx(4)
    assert second.entropy == pytest.approx(math.log(2))
    assert found.warning is None, "four candidates a cycle are too few to tell"


def test_a_collapse_is_warned_of() -> None:
    programs = [program(i) for i in range(60)]
    families = [str(i % 10) for i in range(30)] + ["0"] * 27 + ["1"] * 3
    collapsed = novelty(programs, cycle=[1] * 30 + [2] * 30, family=families)
    assert collapsed.warning is not None
    assert "10.0 families of equal weight in cycle 1, 1.4 in 2" in collapsed.warning
    repeats = novelty(
        programs,
        cycle=[1] * 30 + [2] * 30,
        proposal_cycle=[1] * 40 + [2] * 90,
        repeat=[0] * 36 + [1] * 4 + [0] * 30 + [1] * 60,
    )
    assert repeats.warning == "Warning of a collapse: repeats rose from 10% in cycle 1 to 67% in cycle 2."
    assert isinstance(repeats.repeats, Estimate)
    assert repeats.repeats.value == pytest.approx(64 / 130)
