"""A budget of repeats: what is due is read off the journal, near the cut, and the same whenever one looks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltanas.allocation import BATCH, Allocation
from deltanas.journal import Journal
from deltanas.program import Failed, Program, Refused, Trained, combined
from deltanas.records import Candidate, Draft


def scored(accuracy: float, epochs: int = 0) -> Trained:
    return Trained(accuracy, 1000, 0, 1.0, 1.0, "A", epochs=epochs)


def row(cycle: int, index: int, *accuracies: float, settled: bool = False) -> Candidate:
    made = tuple(scored(each) for each in accuracies)
    outcome = combined(made) if settled else None
    return Candidate(cycle, index, "random", None, Draft(Program.of(f"x = {cycle, index}\n")), (), outcome, made)


def due(rule: Allocation, journal: Journal, cycle: int) -> list[Candidate]:
    found = rule.due(journal, cycle)
    return found.candidates if found else []


BASELINES = [row(0, 0, 0.50, 0.52, settled=True), row(0, 1, 0.60, 0.58, settled=True)]
"""One training scatters by .014."""


def test_each_is_trained_so_often_and_settled_with_its_last() -> None:
    twice = Allocation(2)
    journal = [row(1, 0), row(1, 1, 0.5), row(1, 2, 0.4, 0.5, settled=True)]
    assert due(twice, Journal(journal), 1) == journal[:1], "those with the fewest trainings come first"
    assert due(twice, Journal(journal[1:]), 1) == [journal[1]]
    assert not twice.last(journal[1])
    assert twice.last(journal[2])
    assert due(twice, Journal(journal[2:]), 1) == []


def test_a_budget_gives_baselines_two_trainings_and_nothing_more() -> None:
    auto = Allocation(1, budget=6)
    assert due(auto, Journal([row(0, 0, 0.5), row(0, 1, 0.6)]), 0) == [row(0, 0, 0.5), row(0, 1, 0.6)]
    assert auto.last(row(0, 0, 0.5, 0.6))
    assert due(auto, Journal(BASELINES), 0) == []
    assert not auto.last(row(1, 0, 0.5)), "more may come"


def test_the_budget_goes_to_what_may_be_chosen_and_first_to_what_is_in_doubt() -> None:
    """The second and the third best are near each other; the first is chosen; the last one and the refused are not."""
    cycle = [row(1, i, accuracy) for i, accuracy in enumerate((0.9, 0.705, 0.70, 0.3))]
    refused = replace(row(1, 5), draft=Draft(Program.of("y\n")), outcome=Refused("novelty", "known"))
    journal = [*BASELINES, *cycle, refused]
    assert [c.index for c in due(Allocation(1, budget=20, top=2), Journal(journal), 1)] == [1, 2, 0]
    assert [c.index for c in due(Allocation(1, budget=2, top=2), Journal(journal), 1)] == [1, 2]
    lost = [row(1, i, accuracy) for i, accuracy in enumerate((0.4, 0.3))]
    assert due(Allocation(1, budget=20, top=1), Journal([*BASELINES, *lost]), 1) == [], "a budget may be left over"


def test_earlier_candidates_have_a_rank_but_get_no_training() -> None:
    parent = BASELINES[0].program
    assert parent
    earlier = [replace(row(1, i, score, settled=True), parent=parent.id) for i, score in enumerate((0.9, 0.701))]
    cycle = [row(2, 0, 0.70), row(2, 1, 0.9)]
    assert due(Allocation(1, budget=4, top=3), Journal([*BASELINES, *earlier, *cycle]), 2) == cycle


def test_who_may_not_beat_its_parent_is_trained_again_even_where_all_are_among_the_best() -> None:
    parent = BASELINES[1].program
    assert parent
    cycle = [replace(row(1, i, accuracy), parent=parent.id) for i, accuracy in enumerate((0.595, 0.8, 0.4))]
    assert due(Allocation(1, budget=4, top=9), Journal([*BASELINES, *cycle]), 1) == cycle[:2]


def test_what_failed_is_out_and_no_choice_needs_no_repeat() -> None:
    failed = replace(row(1, 0), outcome=Failed("error", "", 1.0, 1.0, "A"), trainings=(Failed("error", "", 1, 1, "A"),))
    journal = [*BASELINES, failed, row(1, 1, 0.55)]
    assert {c.index for c in due(Allocation(1, budget=4, top=1), Journal(journal), 1)} <= {1}
    assert due(Allocation(1, budget=4, top=3), Journal(journal), 1) == [], "three are left, and three are to be chosen"


def test_repeats_that_agree_leave_a_scatter_of_one_image() -> None:
    same = [row(0, 0, 0.5, 0.5, settled=True)]
    near = [row(1, 0, 0.7), row(1, 1, 0.699), row(1, 2, 0.65)]
    assert [c.index for c in due(Allocation(1, budget=4, top=1), Journal([*same, *near]), 1)] == [0, 1]


@pytest.mark.parametrize("budget", [1, 5, 9])
def test_the_budget_is_kept_and_any_order_of_ends_gives_out_the_same(budget: int) -> None:
    scores = {i: [0.70 + 0.004 * i, 0.71, 0.69, 0.70, 0.72, 0.70, 0.71, 0.69, 0.70, 0.70] for i in range(6)}
    rule = Allocation(1, budget=budget, top=2)
    ends = []
    for late in (False, True):
        journal = {i: row(1, i, scores[i][0]) for i in scores}
        given = 0
        while now := due(rule, Journal([*BASELINES, *journal.values()]), 1):
            assert len(now) <= BATCH
            one = now[-1 if late else 0]  # the others are cut off by a kill
            journal[one.index] = row(1, one.index, *scores[one.index][: len(one.trainings) + 1])
            given += 1
        assert given == budget
        ends.append([len(c.trainings) for c in journal.values()])
    assert ends[0] == ends[1]


LADDER = Allocation(rungs=(1, 3, 9), share=0.5)


def climbed(
    cycle: int, index: int, *scores: float, parent: Candidate | None = None, settled: bool = False
) -> Candidate:
    """A candidate with one training at each of the first rungs."""
    made = tuple(scored(score, epochs) for score, epochs in zip(scores, LADDER.rungs, strict=False))
    outcome = combined(made) if settled else None
    over = parent.program.id if parent and parent.program else None
    return replace(row(cycle, index), trainings=made, outcome=outcome, parent=over)


SLOW, FAST = climbed(0, 0, 0.5, 0.7, 0.9, settled=True), climbed(0, 1, 0.8, 0.81, 0.82, settled=True)
"""The one that starts slowly ends high."""


def test_baselines_are_trained_at_every_rung_whatever_they_score() -> None:
    rows = [climbed(0, 0, 0.1), climbed(0, 1, 0.9), climbed(0, 2, 0.5, 0.6)]
    found = LADDER.due(Journal(rows), 0)
    assert found
    assert (found.candidates, found.epochs, found.repeat, found.promoted) == (rows[:2], 3, 0, True)
    assert LADDER.due(Journal([SLOW, FAST]), 0) is None
    assert LADDER.last(SLOW)
    assert not LADDER.last(rows[2])


def test_who_is_promoted_stands_well_by_its_parent_at_the_top_and_what_it_gained() -> None:
    """After one epoch the children of the fast family score highest; half of what was gained is counted on."""
    slow = [climbed(1, place, 0.5 + gain, parent=SLOW) for place, gain in enumerate((0.02, -0.01, 0.01))]
    fast = [climbed(1, 3 + place, 0.8 + gain, parent=FAST) for place, gain in enumerate((0.1, 0.18, 0.0))]
    found = LADDER.due(Journal([SLOW, FAST, *slow, *fast]), 1)
    assert found
    assert [c.index for c in found.candidates] == [0, 2, 4], ".91, .905 and .91 are expected of them at the top"
    assert (found.epochs, found.promoted) == (3, True)
    first = LADDER.due(Journal([SLOW, FAST, *slow, *fast[:2], climbed(1, 5, parent=FAST)]), 1)
    assert first
    assert ([c.index for c in first.candidates], first.epochs, first.promoted) == ([5], 1, False)


def test_promotion_is_known_from_the_rungs_below_so_that_a_resumed_run_goes_on_with_the_same() -> None:
    gains = (0.05, 0.04, 0.03, 0.02)
    rows = [climbed(1, place, 0.5 + gain, parent=SLOW) for place, gain in enumerate(gains)]
    trained = climbed(1, 0, 0.55, 0.1, parent=SLOW)
    found = LADDER.due(Journal([SLOW, FAST, trained, *rows[1:]]), 1)
    assert found
    assert [c.index for c in found.candidates] == [1], "the first one's second training is there, however bad"
    failed = replace(
        trained,
        outcome=Failed("error", "", 1, 1, "A"),
        trainings=(*trained.trainings[:1], Failed("error", "", 1, 1, "A", 3)),
    )
    both = [failed, climbed(1, 1, 0.54, 0.7, parent=SLOW), *rows[2:]]
    found = LADDER.due(Journal([SLOW, FAST, *both]), 1)
    assert found
    assert ([c.index for c in found.candidates], found.epochs) == ([1], 9), "one that fails makes no room for another"
    done = [failed, climbed(1, 1, 0.54, 0.7, 0.9, parent=SLOW), *rows[2:]]
    assert LADDER.due(Journal([SLOW, FAST, *done]), 1) is None


def test_repeats_are_of_the_longest_training() -> None:
    rule = replace(LADDER, budget=3, top=1)
    twice = [replace(one, trainings=tuple(each for each in one.trainings for _ in range(2))) for one in (SLOW, FAST)]
    low = [climbed(1, 2 + place, 0.4, parent=SLOW) for place in range(2)]
    found = rule.due(
        Journal([*twice, climbed(1, 0, 0.5, 0.7, 0.91, parent=SLOW), climbed(1, 1, 0.5, 0.6, parent=SLOW), *low]), 1
    )
    assert found
    assert ([c.index for c in found.candidates], found.epochs, found.repeat) == ([0], 9, 1)
    assert rule.sizes(4) == [4, 2, 1]
