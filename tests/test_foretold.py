from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from deltanas.foretold import FEWEST, rank_correlation


def test_rho_is_spearmans_ties_and_all() -> None:
    chance = np.random.default_rng(0)
    pairs = [(float(a), float(a + b)) for a, b in chance.integers(0, 9, size=(40, 2))]
    found = rank_correlation([pairs])
    assert found is not None
    assert found.value == pytest.approx(spearmanr(*zip(*pairs, strict=True)).statistic)
    assert found.low < found.value < found.high


def test_few_pairs_tell_nothing_and_pairs_without_spread_no_rank() -> None:
    assert rank_correlation([[(1.0, 1.0)] * (FEWEST - 1)]) is None
    flat = rank_correlation([[(1.0, float(n)) for n in range(9)]])
    assert flat is not None
    assert flat.value == 0.0
    alike = rank_correlation([[(float(n), float(n)) for n in range(4)]])
    assert alike is not None
    assert alike.low < 0.9 < alike.value < 1.0


def test_tables_are_ranked_each_by_itself() -> None:
    """Two cycles whose levels differ: pooled as one they would seem to rank the other way."""
    up = [(n / 10, n / 10) for n in range(12)]
    moved = [(a + 5, b - 5) for a, b in up]
    both, one = rank_correlation([up, moved]), rank_correlation([up])
    assert both is not None
    assert one is not None
    assert both.value == pytest.approx(one.value)
    assert both.low > one.low


def test_the_interval_covers_as_often_as_it_says() -> None:
    chance = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        tables = [[(float(a), float(b)) for a, b in chance.normal(size=(16, 2))] for _ in range(3)]
        found = rank_correlation(tables)
        assert found is not None
        covered += found.low <= 0 <= found.high
    assert 0.92 < covered / 400 < 0.98
