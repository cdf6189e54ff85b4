"""The task of a run, and what follows from the direction of its metric."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from deltanas.allocation import Allocation
from deltanas.errors import DeltanasError
from deltanas.journal import Journal
from deltanas.narrate import Narrator
from deltanas.policy import by_rank
from deltanas.program import Program
from deltanas.propose.channels import goal
from deltanas.propose.evolution import Tournament
from deltanas.propose.goals import facts
from deltanas.records import Attempt, Candidate, Draft
from deltanas.seams import Planned, Settled, Slot
from deltanas.task import CLASSIFY, TASKS, task_of
from toy_task import WEIGH, weighed

METRIC = WEIGH.metric


def row(cycle: int, index: int, error: float, parent: Candidate | None = None, repeats: int = 1) -> Candidate:
    over = parent.program.id if parent and parent.program else None
    made = tuple(weighed(np.full(4, error), seed) for seed in range(repeats))
    draft = Draft(Program.of(f"x = {cycle}, {index}"))
    return Candidate(cycle, index, "delta", over, draft, (Attempt("", "exact", "g", None),), made[0], made)


BASE = row(0, 0, 4.0)
BETTER, WORSE = row(1, 0, 3.0, BASE), row(1, 1, 5.0, BASE)
BEST = row(2, 0, 2.0, BETTER)
ROWS = [BASE, BETTER, WORSE, BEST]


def test_a_run_names_its_task_or_classifies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert task_of({}) is task_of({"config": {"dataset": "digits"}}) is CLASSIFY
    with pytest.raises(DeltanasError, match="the run's task is 'weigh'") as caught:
        task_of({"config": {"task": "weigh"}})
    assert caught.value.hint
    monkeypatch.setitem(TASKS, "weigh", WEIGH)
    assert task_of({"config": {"task": "weigh"}}) is WEIGH


def test_a_metric_tells_gains_and_the_best_in_its_direction() -> None:
    assert (METRIC.over(3.0, 4.0), CLASSIFY.metric.over(0.5, 0.75)) == (1.0, -0.25)
    assert (METRIC.best([3.0, 2.0]), CLASSIFY.metric.best([0.5, 0.75]), METRIC.best([])) == (2.0, 0.75, None)
    assert (METRIC.points(1.0), METRIC.moved(1.0)) == ("+1.00 g", "-1.00 g")
    assert (CLASSIFY.metric.points(-0.0001), CLASSIFY.metric.moved(0.02)) == ("+0.0 points", "+2.0 points")
    assert (CLASSIFY.metric.said(0.9034), CLASSIFY.metric.heading) == ("90.3 % accuracy", "accuracy (%)")


def test_a_journal_ranks_by_the_metric() -> None:
    journal = Journal(ROWS, metric=METRIC)
    assert journal.improvements == [BEST, BETTER]
    assert journal.parents == [BEST, BETTER, BASE]
    assert journal.gains() == {"g": [1.0, -1.0, 1.0]}
    assert sorted(ROWS, key=journal.rank) == [BEST, BETTER, BASE, WORSE]
    assert journal.before(2).parents == [BETTER, BASE]
    upwards = Journal(ROWS)
    assert upwards.improvements == [WORSE]


def test_parents_are_drawn_from_the_lower_end() -> None:
    journal = Journal(ROWS, metric=METRIC)
    drawn = [by_rank(Slot(1, 0), journal, Random(seed)).id for seed in range(200)]
    assert WORSE.program is not None
    assert WORSE.program.id not in drawn
    assert Tournament(population=4, share=1.0)(Slot(1, 0), journal, Random(0)) == BEST.program


def test_repeats_go_to_those_that_may_be_below_the_bar() -> None:
    base = row(0, 0, 4.0, repeats=2)
    noisy = replace(base, trainings=(weighed(np.full(4, 3.9)), weighed(np.full(4, 4.1))))
    near, far = (replace(row(1, place, error, base), outcome=None) for place, error in enumerate((3.9, 9.0)))
    journal = Journal([noisy, near, far], metric=METRIC)
    rule, higher = Allocation(1, budget=4, top=1), Journal([noisy, near, far])
    found, other = rule.due(journal, 1), rule.due(higher, 1)
    assert found
    assert [c.index for c in found.candidates] == [0]
    assert other is None or [c.index for c in other.candidates] != [0]


def test_a_model_is_told_in_the_words_of_the_metric() -> None:
    assert BETTER.program is not None
    told = facts("g", Journal(ROWS, metric=METRIC).telemetry(BETTER.program))
    assert goal(METRIC) == "Choose widths that were not tried and that lower the error."
    assert told == ["The network reaches 3.00 g error.", "Edits for this goal moved it by -0.33 g on average."]


def test_the_search_is_narrated_in_the_words_of_the_metric(capsys: pytest.CaptureFixture[str]) -> None:
    narrator = Narrator()
    narrator(Planned(2, 4, 1, 1, Journal([BASE], metric=METRIC)))
    narrator(Settled(BETTER))
    narrator(Settled(WORSE))
    said = capsys.readouterr().err
    assert "1.0 3.00 g, +1.00 g over 0.0" in said
    assert "1.1 5.00 g, -1.00 g over 0.0" in said
