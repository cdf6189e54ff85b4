from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from deltanas import nets
from deltanas.errors import UsageError
from deltanas.standings import Evidence, Measured, best_of, common_epochs, pieces_of, standings, wins
from deltanas.suggest import left_out, suggested
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


def test_equal_scores_in_any_order_are_a_draw() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        scores = rng.random(3).tolist()
        assert wins([scores, scores[::-1]], False)[0, 1] == 0.5


def test_a_set_on_which_nothing_is_right_has_no_best() -> None:
    none = Evidence([Measured(name, "zero", 5, 0.0) for name in NAMES], SOURCES, False)
    assert {row.dataset: row.best for row in left_out([evidence(*SETS), none])}["zero"] is None


def test_a_set_that_is_left_out_is_told_by_the_others() -> None:
    rows = left_out([evidence(*SETS)])
    assert [row.dataset for row in rows] == list(SETS)
    assert all(row.rho is not None and row.rho.value > 0.9 for row in rows)
    assert all(row.best is not None and row.best > 0.97 for row in rows)
    assert all(row.by_code is not None and row.by_code.value > 0.5 for row in rows)
    assert left_out([evidence("a")]) == []
    short = [Measured(f"G{number}", dataset, 1, 0.1 * number) for number in range(5) for dataset in SETS]
    more = Evidence([*evidence(*SETS).rows, *short], {**SOURCES, **{f"G{n}": net(3) for n in range(5)}}, True)
    assert [row.n for row in left_out([more])] == [14] * 4, "of the longest trainings"


def shares(*pieces: Evidence, dataset: str = "a", epochs: int | None = None) -> dict[str, float]:
    return {name: one.share for name, one in standings(pieces_of(pieces, epochs)[dataset]).items()}


def table(scores: dict[int, list[float]], dataset: str = "a") -> Evidence:
    """By number of epochs, the scores of the first networks."""
    return Evidence(
        [
            Measured(name, dataset, epochs, score)
            for epochs, those in scores.items()
            for name, score in zip(NAMES, those, strict=False)
        ],
        SOURCES,
        False,
    )


def test_a_network_does_not_win_by_having_been_tried_more_often() -> None:
    rng = np.random.default_rng(1)
    won = [wins([rng.random(40).tolist(), rng.random(few).tolist()], True)[0, 1] for _ in range(400) for few in (1, 4)]
    assert np.mean(won) == pytest.approx(0.5, abs=0.04)
    often, seldom = [0.1, 0.2, 0.5, 0.6], [0.3, 0.4]
    pairs = [(max(ours), max(seldom)) for ours in combinations(often, 2)]
    expected = np.mean([mine > theirs for mine, theirs in pairs])
    assert wins([often, seldom], True)[0, 1] == pytest.approx(expected)
    assert wins([often, seldom], True)[1, 0] == pytest.approx(1 - expected)
    assert wins([often, often, often], True).ravel() == pytest.approx([0.5] * 9)
    assert wins([[0.1, 0.5], [0.3], [0.4]], False).tolist() == [[0.5, 0.5, 0], [0.5, 0.5, 0], [1, 1, 0.5]]
    assert best_of(12, 10).sum() == pytest.approx(1)
    assert best_of(3, 3).tolist() == [0, 0, 1]


def test_the_best_of_a_wide_run_trained_again_leave_the_order_as_it_was() -> None:
    wide = table({5: [0.9 - 0.01 * place for place in range(14)]})
    again = Evidence(wide.rows[:3], SOURCES, False)
    alone = shares(wide)
    assert shares(wide, again) == shares(again, wide) == alone
    found = suggested([wide, again], {}, "a")
    assert [one.program for one in found] == NAMES
    turned = Evidence([Measured(row.program, "a", 5, 1 - row.score) for row in again.rows], SOURCES, False)
    both = shares(wide, turned)
    assert both["F0"] == both["F1"] == both["F2"] == pytest.approx(np.mean([alone[name] for name in NAMES[:3]]))
    assert [both[name] for name in NAMES[3:]] == [alone[name] for name in NAMES[3:]]


def test_who_is_trained_longer_is_ordered_by_that_and_stays_above_the_others() -> None:
    first = [0.9 - 0.01 * place for place in range(14)]
    alone, longer = shares(table({1: first})), shares(table({1: first, 9: [0.95, 0.97, 0.94, 0.96]}))
    assert sorted(longer, key=lambda name: -longer[name]) == ["F1", "F3", "F0", "F2", *NAMES[4:]]
    assert sorted(longer.values()) == pytest.approx(sorted(alone.values()))
    assert longer["F1"] == alone["F0"]


def test_what_one_other_set_tells_counts_less_than_what_several_do_and_is_less_sure() -> None:
    rng = np.random.default_rng(3)
    level = {f"N{number}": rng.normal() for number in range(60)}
    sources = {name: net(8) for name in level}
    many = [chr(97 + number) for number in range(7)]
    rows = [Measured(name, dataset, 5, value + rng.normal(0, 1)) for name, value in level.items() for dataset in many]
    best = max(row.score for row in rows)
    luck = [Measured(name, dataset, 5, score) for name, dataset, score in
            [("Once", "a", best + 1), *(("Always", dataset, 2.0) for dataset in many)]]  # fmt: skip
    found = suggested([Evidence([*rows, *luck], {**sources, "Once": net(8), "Always": net(8)}, False)], {}, "new")
    once, always = (next(one for one in found if one.program == name) for name in ("Once", "Always"))
    assert 0.5 < once.score < always.score - 0.05
    assert once.score - once.low > always.score - always.low + 0.02


def test_what_is_told_by_one_set_comes_out_on_others() -> None:
    rng = np.random.default_rng(4)
    level = {f"N{number}": rng.normal() for number in range(60)}
    many = [chr(97 + number) for number in range(7)]
    rows = [Measured(name, dataset, 5, value + rng.normal(0, 1)) for name, value in level.items() for dataset in many]
    every = [shares(Evidence(rows, {}, False), dataset=dataset) for dataset in many[1:]]
    known = [row for row in rows if row.dataset == "a" or row.program < "N4"]
    found = suggested([Evidence(known, {name: net(8) for name in level}, False)], {}, "new")
    first = [one for one in found if one.program >= "N4"][:8]
    told = np.mean([one.score for one in first])
    came = np.mean([[held[one.program] for held in every] for one in first])
    assert told == pytest.approx(came, abs=0.08)
    inside = [one.low <= held[one.program] <= one.high for one in found for held in every]
    assert 0.88 < np.mean(inside) < 0.99


def test_a_set_that_is_left_out_is_judged_by_networks_of_shorter_trainings_too() -> None:
    short = [Measured(f"G{number}", dataset, 1, 0.1 * number) for number in range(5) for dataset in SETS]
    one_epoch = evidence(*SETS, epochs=1).rows
    more = Evidence(
        [*evidence(*SETS).rows, *one_epoch, *short], {**SOURCES, **{f"G{n}": net(3) for n in range(5)}}, True
    )
    rows = left_out([more])
    assert [(row.n, row.every_n) for row in rows] == [(14, 19)] * 4
    assert all(row.every is not None and row.every.value > 0.9 for row in rows)


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
