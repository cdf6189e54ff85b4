"""A budget of repeats: what is due is read off the journal, near the cut, and the same whenever one looks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltanas.journal import Journal
from deltanas.program import Failed, Program, Refused, Trained, combined
from deltanas.records import Candidate, Draft
from deltanas.repeats import BATCH, Repeats


def scored(accuracy: float) -> Trained:
    return Trained(accuracy, 1000, 0, 1.0, 1.0, "A")


def row(cycle: int, index: int, *accuracies: float, settled: bool = False) -> Candidate:
    made = tuple(scored(each) for each in accuracies)
    outcome = combined(made) if settled else None
    return Candidate(cycle, index, "random", None, Draft(Program.of(f"x = {cycle, index}\n")), (), outcome, made)


BASELINES = [row(0, 0, 0.50, 0.52, settled=True), row(0, 1, 0.60, 0.58, settled=True)]
"""One training scatters by .014."""


def test_each_is_trained_so_often_and_settled_with_its_last() -> None:
    twice = Repeats(2)
    journal = [row(1, 0), row(1, 1, 0.5), row(1, 2, 0.4, 0.5, settled=True)]
    assert twice.due(Journal(journal), 1) == journal[:1], "those with the fewest trainings come first"
    assert twice.due(Journal(journal[1:]), 1) == [journal[1]]
    assert not twice.last(journal[1])
    assert twice.last(journal[2])
    assert twice.due(Journal(journal[2:]), 1) == []


def test_a_budget_gives_baselines_two_trainings_and_nothing_more() -> None:
    auto = Repeats(1, budget=6)
    assert auto.due(Journal([row(0, 0, 0.5), row(0, 1, 0.6)]), 0) == [row(0, 0, 0.5), row(0, 1, 0.6)]
    assert auto.last(row(0, 0, 0.5, 0.6))
    assert auto.due(Journal(BASELINES), 0) == []
    assert not auto.last(row(1, 0, 0.5)), "more may come"


def test_the_budget_goes_to_what_may_be_chosen_and_first_to_what_is_in_doubt() -> None:
    """The second and the third best are near each other; the first is chosen; the last one and the refused are not."""
    cycle = [row(1, i, accuracy) for i, accuracy in enumerate((0.9, 0.705, 0.70, 0.3))]
    refused = replace(row(1, 5), draft=Draft(Program.of("y\n")), outcome=Refused("novelty", "known"))
    journal = [*BASELINES, *cycle, refused]
    assert [c.index for c in Repeats(1, budget=20, top=2).due(Journal(journal), 1)] == [1, 2, 0]
    assert [c.index for c in Repeats(1, budget=2, top=2).due(Journal(journal), 1)] == [1, 2]
    lost = [row(1, i, accuracy) for i, accuracy in enumerate((0.4, 0.3))]
    assert Repeats(1, budget=20, top=1).due(Journal([*BASELINES, *lost]), 1) == [], "a budget may be left over"


def test_earlier_candidates_have_a_rank_but_get_no_training() -> None:
    parent = BASELINES[0].program
    assert parent
    earlier = [replace(row(1, i, score, settled=True), parent=parent.id) for i, score in enumerate((0.9, 0.701))]
    cycle = [row(2, 0, 0.70), row(2, 1, 0.9)]
    assert Repeats(1, budget=4, top=3).due(Journal([*BASELINES, *earlier, *cycle]), 2) == cycle


def test_who_may_not_beat_its_parent_is_trained_again_even_where_all_are_among_the_best() -> None:
    parent = BASELINES[1].program
    assert parent
    cycle = [replace(row(1, i, accuracy), parent=parent.id) for i, accuracy in enumerate((0.595, 0.8, 0.4))]
    assert Repeats(1, budget=4, top=9).due(Journal([*BASELINES, *cycle]), 1) == cycle[:2]


def test_what_failed_is_out_and_no_choice_needs_no_repeat() -> None:
    failed = replace(row(1, 0), outcome=Failed("error", "", 1.0, 1.0, "A"), trainings=(Failed("error", "", 1, 1, "A"),))
    journal = [*BASELINES, failed, row(1, 1, 0.55)]
    assert {c.index for c in Repeats(1, budget=4, top=1).due(Journal(journal), 1)} <= {1}
    assert Repeats(1, budget=4, top=3).due(Journal(journal), 1) == [], "three are left, and three are to be chosen"


def test_repeats_that_agree_leave_a_scatter_of_one_image() -> None:
    same = [row(0, 0, 0.5, 0.5, settled=True)]
    near = [row(1, 0, 0.7), row(1, 1, 0.699), row(1, 2, 0.65)]
    assert [c.index for c in Repeats(1, budget=4, top=1).due(Journal([*same, *near]), 1)] == [0, 1]


@pytest.mark.parametrize("budget", [1, 5, 9])
def test_the_budget_is_kept_and_any_order_of_ends_gives_out_the_same(budget: int) -> None:
    scores = {i: [0.70 + 0.004 * i, 0.71, 0.69, 0.70, 0.72, 0.70, 0.71, 0.69, 0.70, 0.70] for i in range(6)}
    rule = Repeats(1, budget=budget, top=2)
    ends = []
    for late in (False, True):
        journal = {i: row(1, i, scores[i][0]) for i in scores}
        given = 0
        while due := rule.due(Journal([*BASELINES, *journal.values()]), 1):
            assert len(due) <= BATCH
            one = due[-1 if late else 0]  # the others are cut off by a kill
            journal[one.index] = row(1, one.index, *scores[one.index][: len(one.trainings) + 1])
            given += 1
        assert given == budget
        ends.append([len(c.trainings) for c in journal.values()])
    assert ends[0] == ends[1]
