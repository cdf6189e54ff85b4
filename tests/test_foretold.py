from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from deltanas.foretold import FEWEST, foretold, rank_correlation
from deltanas.program import Program, Trained
from deltanas.records import Attempt, Candidate, Draft


def trained(score: float) -> Trained:
    return Trained(score, 1000, 1, 1.0, 1.0, "A")


def program_id(row: Candidate) -> str:
    assert row.program
    return row.program.id


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


def test_small_cycles_are_ranked_together_until_there_are_enough() -> None:
    """Three candidates a cycle whose gains run against what was foretold: it is seen, though no cycle tells it."""
    base = Candidate(0, 0, "baseline", None, Draft(Program.of("x = 0")), (), trained(0.5), (trained(0.5),))
    rows = [base]
    for cycle in range(1, 9):
        for index in range(3):
            program = Program.of(f"x = {3 * cycle + index}", parents=("",))
            kept = Attempt(f"{cycle}.{index}", "exact", "", None, predicted=float((7 * cycle + index) % 24))
            score = trained(0.5 - 0.01 * ((7 * cycle + index) % 24))
            rows.append(Candidate(cycle, index, "random", program_id(base), Draft(program), (kept,), score, (score,)))
    found = foretold(rows)
    assert [one.rho for one in found] == [None] * 8
    assert found[0].pooled is None
    assert found[1].pooled is not None
    assert found[-1].total == 24
    assert not found[-1].on


def test_the_interval_covers_as_often_as_it_says() -> None:
    chance = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        tables = [[(float(a), float(b)) for a, b in chance.normal(size=(16, 2))] for _ in range(3)]
        found = rank_correlation(tables)
        assert found is not None
        covered += found.low <= 0 <= found.high
    assert 0.92 < covered / 400 < 0.98
