"""The sequential test: it errs as seldom as it says, whatever it is fed, and finds what is there."""

from __future__ import annotations

from itertools import product
from math import exp
from random import Random

import pytest

from deltanas.referee import ERROR, PAIRS, Trial, pairs_needed, share
from deltanas.referee.evidence import SKEW

NOISE = 0.006


def trial(error: float = ERROR, most: int = PAIRS) -> Trial:
    return Trial(NOISE, error, most)


@pytest.mark.parametrize("shift", [0.0, 0.003, 0.02])
def test_evidence_against_a_symmetric_difference_has_a_mean_of_the_margin_and_less_if_it_lies_lower(
    shift: float,
) -> None:
    sizes = (0.002, 0.011, 0.0, 0.03, 0.006)
    total = 0.0
    for signs in product((-1, 1), repeat=len(sizes)):
        held = trial()
        for sign, size in zip(signs, sizes, strict=True):
            held.add(sign * size - shift)
        total += exp(held.evidence)
    mean = total / 2 ** len(sizes)
    margin = (1 + SKEW) ** -len(sizes)
    assert mean == pytest.approx(margin) if not shift else mean < margin


def test_shares_never_sum_to_more_than_the_error_however_many_tests_there_are() -> None:
    rng, slots, spent = Random(0), 500, 0.0
    for left in range(slots, 0, -1):
        if rng.random() < 0.6:
            spent += share(ERROR - spent, left)
    assert 0.6 * ERROR < spent < ERROR
    for _ in range(1000):  # more tests than slots were planned: a run was lengthened, or old slots are settled late
        spent += share(ERROR - spent, 1)
    assert spent <= ERROR


def test_the_share_of_a_run_that_tests_every_candidate_is_even() -> None:
    spent: list[float] = []
    for left in range(20, 0, -1):
        spent.append(share(ERROR - sum(spent), left))
    assert spent == pytest.approx([ERROR / 21] * 20)


def test_a_gain_of_twice_the_noise_is_found_among_500_and_nothing_is_not() -> None:
    rng = Random(1)

    def ends(gain: float) -> list[str]:
        found: list[str] = []
        for _ in range(150):
            held = trial(share(ERROR, 500))
            while held.add(gain + rng.gauss(0, NOISE) - rng.gauss(0, NOISE)) == "going":
                pass
            found.append(held.state)
        return found

    assert ends(2 * NOISE).count("better") > 0.9 * 150
    assert "better" not in ends(0.0)
    assert ends(-4 * NOISE).count("better") == 0


def test_equal_differences_are_no_proof_however_little_they_scatter() -> None:
    """Scores of few images are often equal: a test by their spread would take two of them for certainty."""
    held = trial()
    for _ in range(4):
        assert held.add(1 / 360) == "going"
    assert held.evidence < 4 * 0.7


def test_what_is_worse_is_told_as_that_and_what_is_hopeless_ends() -> None:
    held = trial()
    states = [held.add(-5 * NOISE) for _ in range(12)]
    assert "worse" in states or "hopeless" in states
    assert trial(most=3).most == 3
    short = trial(most=3)
    assert [short.add(0.0), short.add(0.0), short.add(0.0)] == ["going", "going", "spent"]


def test_the_cost_to_know_foretells_the_number_of_pairs() -> None:
    rng = Random(2)
    foretold = pairs_needed(2 * NOISE, NOISE, 0.0, trial(ERROR / 500).threshold)
    assert foretold is not None
    counts = []
    for _ in range(200):
        held = trial(ERROR / 500, most=200)
        while held.add(2 * NOISE + rng.gauss(0, NOISE) - rng.gauss(0, NOISE)) == "going":
            pass
        counts.append(len(held.differences))
    assert 0.7 < foretold / (sum(counts) / len(counts)) < 1.4
    assert pairs_needed(-0.01, NOISE, 0.0, 3.0) is None
