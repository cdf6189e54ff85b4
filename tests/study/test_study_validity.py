"""The token-error model, against the published figures and answers by hand."""

from __future__ import annotations

import numpy as np
import pytest

from deltanas.errors import DataError
from deltanas.study import Absent, Estimate, LackingError, largest_ratio, validity
from deltanas.study.estimate import ratio


def answers(**groups: tuple[int, int, int]) -> tuple[list[str], list[float], list[float]]:
    """(tokens, valid, of) of each generator."""
    names, tokens, good = [], [], []
    for name, (length, valid, of) in groups.items():
        names += [name] * of
        tokens += [float(length)] * of
        good += [1.0] * valid + [0.0] * (of - valid)
    return names, tokens, good


def test_the_published_ratio_and_its_bound() -> None:
    """75.3, 72.1 and 66.6 % against 50.6 %: 1.41."""
    assert round((75.3 + 72.1 + 66.6) / 3 / 50.6, 2) == 1.41
    assert round(largest_ratio(0.506), 2) == 1.98


def test_eps_at_one_length_is_the_root_of_the_share() -> None:
    found = validity(*answers(delta=(40, 60, 80)))
    (delta,) = found.generators
    assert delta.eps.value == pytest.approx(1 - 0.75 ** (1 / 40))
    assert delta.eps.low < delta.eps.value < delta.eps.high
    assert "nothing to compare" in found.verdict


def test_two_generators_of_one_eps_agree_with_it() -> None:
    rng = np.random.default_rng(0)
    tokens = np.concatenate([rng.integers(30, 51, 400), rng.integers(150, 251, 400)])
    good = rng.random(800) < 0.997**tokens
    found = validity(["delta"] * 400 + ["full"] * 400, tokens, good)
    (pair,) = found.comparisons
    assert (pair.name, pair.over) == ("delta", "full")
    assert pair.eps.low < 0.003 < pair.eps.high
    assert pair.p > 0.05
    assert isinstance(pair.predicted, Estimate)
    assert isinstance(pair.seen, Estimate)
    assert pair.seen.low < pair.predicted.value < pair.seen.high
    assert not pair.impossible
    assert "one eps fits both" in found.verdict


def test_a_prediction_that_no_share_allows_is_named() -> None:
    found = validity(*answers(delta=(40, 150, 200), full=(400, 120, 200)))
    (pair,) = found.comparisons
    assert isinstance(pair.predicted, Estimate)
    assert pair.impossible
    assert pair.predicted.value > pair.largest == pytest.approx(200 / 120)
    assert pair.p < 0.05
    assert "which is impossible: over a share of 60.0% no ratio is above 1.67" in found.verdict


@pytest.mark.parametrize(("delta", "full"), [(0, 0), (20, 0), (0, 20), (20, 20)])
def test_all_or_nothing_valid(delta: int, full: int) -> None:
    found = validity(*answers(delta=(40, delta, 20), full=(200, full, 20)))
    for generator, valid in zip(found.generators, (delta, full), strict=True):
        assert generator.eps.value == (0.0 if valid else 1.0)
        assert generator.eps.high > 0
    (pair,) = found.comparisons
    assert isinstance(pair.seen, Absent if full == 0 else Estimate)


def test_missing_values_and_bad_ones() -> None:
    nan = float("nan")
    assert validity(None, [10, nan, 30], [1, 1, nan]).generators[0].n == 1
    with pytest.raises(LackingError, match="no answer"):
        validity(None, [nan], [nan])
    with pytest.raises(DataError, match="`valid` is 2 at position 1; it is 0 or 1"):
        validity(None, [10, 20], [1, 2])
    with pytest.raises(DataError, match="`tokens` is 0 at position 1"):
        validity(None, [10, 0], [1, 1])
    with pytest.raises(DataError, match="`tokens` 2, `valid` 1"):
        validity(None, [10, 20], [1])


def test_koopman_s_own_example() -> None:
    """36 of 40 against 16 of 80: Koopman (1984) gives 2.94 to 7.15."""
    found = ratio(36, 40, 16, 80)
    assert found.value == pytest.approx(4.5)
    assert (round(found.low, 2), round(found.high, 2)) == (2.94, 7.15)
