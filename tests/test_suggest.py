from __future__ import annotations

from math import comb

import numpy as np
import pytest

from deltanas import nets
from deltanas.errors import UsageError
from deltanas.suggest import Evidence, Measured, common_epochs, evened, left_out, suggested
from lemur_wheels import net

SETS = ("a", "b", "c", "d")
NAMES = [f"F{number}" for number in range(14)]
SOURCES = {name: net(8 * (number + 1)) for number, name in enumerate(NAMES)}


def evidence(*sets: str, trials: int = 1, noise: float = 0.01, epochs: int = 5, tuned: bool = False) -> Evidence:
    """The higher a network's number, the higher it scores, on all sets alike."""
    rng = np.random.default_rng(0)
    rows = [
        Measured(name, dataset, epochs, 0.3 + 0.03 * number + rng.normal(0, noise))
        for dataset in sets
        for number, name in enumerate(NAMES)
        for _ in range(trials)
    ]
    return Evidence(rows, SOURCES, tuned)


def test_what_stands_high_on_other_sets_is_named_first_within_what_the_others_leave_open() -> None:
    found = suggested([evidence(*SETS)], {}, "new")
    assert [one.program for one in found[:2]] == ["F13", "F12"]
    assert {one.source for one in found} == {"measured"}
    assert all(0 <= one.low <= one.score <= one.high <= 1 for one in found)
    assert found[0].high - found[0].low < 0.4
    unsure = suggested([evidence("a")], {}, "new")
    assert (unsure[0].low, unsure[0].high) == (0, 1), "one other set tells nothing of how far sets differ"


def test_what_was_measured_on_the_set_itself_counts_alone() -> None:
    reverse = [Measured(row.program, "e", 5, 1 - row.score) for row in evidence("a", trials=8).rows]
    found = suggested([evidence(*SETS), Evidence(reverse, SOURCES, False)], {}, "e")
    assert found[0].program == "F0"
    assert found[0].low > 0.7


def test_two_runs_on_the_set_count_alike_in_whatever_order() -> None:
    first = evidence("a", trials=6, noise=0.01)
    reverse = Evidence([Measured(row.program, "a", 5, 1 - row.score) for row in first.rows], SOURCES, False)
    one, other = suggested([first, reverse], {}, "a"), suggested([reverse, first], {}, "a")
    assert one == other
    assert all(made.score == pytest.approx(0.5) for made in one)
    assert all(made.low == pytest.approx(1 - made.high, abs=0.05) for made in one)


def test_seeds_are_resampled_and_a_single_trial_is_as_unsure_as_the_rest() -> None:
    noisy = suggested([evidence("a", trials=6, noise=0.2)], {}, "a")
    clear = suggested([evidence("a", trials=6, noise=1e-6)], {}, "a")
    assert np.mean([one.high - one.low for one in noisy]) > 0.2
    assert np.mean([one.high - one.low for one in clear]) == pytest.approx(0, abs=1e-9)
    rows = [row for row in evidence("a", trials=6, noise=0.2).rows if row.program != "F3"]
    lone = suggested([Evidence([*rows, Measured("F3", "a", 5, 0.5)], SOURCES, False)], {}, "a")
    [of_lone] = [one for one in lone if one.program == "F3"]
    assert of_lone.high - of_lone.low > 0.2


def test_code_ranks_what_was_never_measured_and_says_so() -> None:
    found = suggested([evidence(*SETS)], {"Wide": net(8 * 16), "Thin": net(4), "F13": net(1)}, "new")
    by_name = {one.program: one for one in found}
    assert by_name["Wide"].source == by_name["Thin"].source == "code"
    assert by_name["F13"].source == "measured"
    assert by_name["Wide"].score > by_name["Thin"].score
    few = Evidence([row for row in evidence("a", "b").rows if row.program in NAMES[:5]], SOURCES, False)
    assert all(one.source == "measured" for one in suggested([few], {"Wide": net(128)}, "new"))


def test_a_set_that_is_left_out_is_told_by_the_others() -> None:
    rows = left_out([evidence(*SETS)])
    assert [row.dataset for row in rows] == list(SETS)
    assert all(row.rho is not None and row.rho.value > 0.9 for row in rows)
    assert all(row.best > 0.97 for row in rows)
    assert all(row.by_code is not None and row.by_code.value > 0.5 for row in rows)
    assert left_out([evidence("a")]) == []
    short = [Measured(f"G{number}", dataset, 1, 0.1 * number) for number in range(5) for dataset in SETS]
    more = Evidence([*evidence(*SETS).rows, *short], {**SOURCES, **{f"G{n}": net(3) for n in range(5)}}, True)
    assert [row.n for row in left_out([more])] == [14] * 4, "of the longest trainings"


def test_the_number_of_trials_is_evened_out() -> None:
    scores = [number / 20 for number in range(20)]
    mean_of_best = sum(max(scores[:place]) * comb(place - 1, 9) for place in range(10, 21)) / comb(20, 10)
    assert evened(scores, True) == pytest.approx(mean_of_best)
    assert evened(scores[:10], True) == scores[9]
    assert evened(scores, False) == pytest.approx(np.mean(scores))
    rng = np.random.default_rng(1)
    often, seldom = rng.random((400, 100)), rng.random((400, 10))
    gap = np.mean([evened(row, True) for row in often]) - np.mean([evened(row, True) for row in seldom])
    assert abs(gap) < 0.02


def test_the_longest_common_training_counts_and_who_lacks_it_by_what_it_has() -> None:
    long = [row for row in evidence("a", "b", epochs=9).rows if row.program in NAMES[:6]]
    some = [*evidence("a", "b", epochs=1).rows, *long, Measured("F0", "a", 50, 0.9)]
    assert common_epochs(some) == 9
    found = suggested([Evidence(some, SOURCES, True)], {}, "new")
    assert {one.program for one in found} == set(NAMES)
    assert found[0].program in ("F5", "F13")
    assert common_epochs([]) == 1
    short = suggested([Evidence(some, SOURCES, True)], {}, "new", 1)
    assert short[0].program == "F13"


def test_nothing_to_compare_is_said() -> None:
    for rows in ([], evidence("a").rows[:2]):
        with pytest.raises(UsageError, match="no three networks") as caught:
            suggested([Evidence(rows, SOURCES, False)], nets.baselines(), "a")
        assert "--from lemur:RUN" in caught.value.hint
    with pytest.raises(UsageError, match="no three networks") as caught:
        suggested([evidence("a", epochs=5)], {}, "a", 4)
    assert "give more --epochs than 4, or none" in caught.value.hint
    assert suggested([evidence("a", epochs=5)], {}, "a", 5)
