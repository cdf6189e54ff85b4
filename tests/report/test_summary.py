from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest

from deltanas import report
from deltanas.program import Program, Refused, Trained
from deltanas.report import Step
from deltanas.report.funnel import Reason, reasons, rungs
from deltanas.report.intervals import difference, wilson
from deltanas.seams import Candidate, RunView

Make = Callable[..., RunView]


def counts(steps: tuple[Step, ...]) -> list[tuple[int, int]]:
    return [(step.passed, step.of) for step in steps]


def test_slots_are_counted_once_and_the_baselines_are_none(story: RunView) -> None:
    figures = report.summary(story)
    assert (figures.slots, figures.trained, figures.failed, figures.refused, figures.open) == (7, 4, 1, 1, 1)
    assert figures.baselines == 2


def test_best_gains_are_over_the_root_baseline_and_over_the_parent(story: RunView) -> None:
    best = report.summary(story).best
    assert best is not None
    assert (best.name, best.accuracy, best.n) == ("2.0", 0.86, 1000)
    assert (best.low, best.high) == (wilson(860, 1000).low, wilson(860, 1000).high)
    assert best.over_baseline is not None
    assert best.over_parent is not None
    assert (best.over_baseline.name, best.over_baseline.accuracy) == ("resnet", 0.8)
    assert (best.over_parent.name, best.over_parent.accuracy) == ("1.0", 0.84)
    expected = difference(wilson(860, 1000), wilson(800, 1000))
    gain = best.over_baseline
    assert (gain.gain, gain.low, gain.high) == (expected.value, expected.low, expected.high)
    assert (best.params, best.flops) == (1234, 5_600_000)


def test_elites_are_those_that_beat_their_parent_best_first(story: RunView) -> None:
    figures = report.summary(story)
    assert [elite.name for elite in figures.elites] == ["2.0", "1.0"]  # 1.1 is below its parent, 1.4 equal to it
    assert figures.elite_count == 2


def test_funnel_keeps_first_attempts_all_attempts_and_slots_apart(story: RunView) -> None:
    funnel = report.summary(story).funnel
    # proposed, applied, contract, built, novel, trained; the open slot is no part of the last step
    assert counts(funnel.slots) == [(7, 7), (7, 7), (7, 7), (6, 7), (6, 6), (4, 5)]
    assert counts(funnel.first) == [(7, 7), (5, 7), (5, 5), (5, 5), (5, 5), (3, 4)]
    assert counts(funnel.attempts) == [(9, 9), (7, 9), (7, 7), (6, 7), (6, 6), (4, 5)]
    applied = wilson(7, 9)
    assert (funnel.attempts[1].low, funnel.attempts[1].high) == (applied.low, applied.high)


def test_a_slot_that_trains_one_of_two_good_attempts_counts_one_training(story: RunView) -> None:
    trained = next(c for c in story.candidates if c.cycle == 1 and isinstance(c.outcome, Trained))
    twice = replace(trained, attempts=trained.attempts * 2)
    funnel = report.summary(replace(story, candidates=(*story.candidates[:2], twice))).funnel
    assert counts(funnel.attempts)[-2:] == [(2, 2), (1, 2)]
    assert counts(funnel.slots)[-1] == (1, 1)


def test_rungs_and_reasons_count_every_attempt(story: RunView) -> None:
    search = [c for c in story.candidates if c.cycle]
    assert rungs(search) == [("exact", 6), ("line ends", 1)]
    assert reasons(search) == [
        Reason("apply", 2, "block 1 is nowhere"),
        Reason("build", 1, "shapes 2x48 and 32x10 do not match"),
        Reason("timeout", 1, "60 s are over"),
    ]


def test_reasons_that_differ_in_numbers_only_are_one(story: RunView, make_slot: Callable[..., Candidate]) -> None:
    parent = Program("x = 1")
    texts = ["\n\nwidth 12 is not 16\nin line 3", "width 24 is not 32", ""]
    found = reasons([make_slot(1, i, parent, None, Refused("build", text)) for i, text in enumerate(texts)])
    assert found == [Reason("build", 2, "width 12 is not 16"), Reason("build", 1, "(no reason given)")]


def test_nothing_trained_has_no_best(story: RunView, make_view: Make) -> None:
    empty = report.summary(make_view([]))
    assert empty.best is None
    assert empty.elites == ()
    assert counts(empty.funnel.slots) == [(0, 0)] * 6
    assert {step.low for step in empty.funnel.slots} == {None}
    refused = [c for c in story.candidates if c.cycle == 0 or isinstance(c.outcome, Refused)]
    assert report.summary(make_view(refused)).best is None


def test_without_an_elite_the_best_is_still_named(story: RunView, make_view: Make) -> None:
    worse = [c for c in story.candidates if c.cycle == 0 or (c.cycle, c.index) == (1, 1)]
    figures = report.summary(make_view(worse))
    assert figures.elites == ()
    assert figures.best is not None
    assert figures.best.over_parent is not None
    assert figures.best.over_parent.gain == pytest.approx(-0.01)


def test_a_missing_ancestor_gives_no_gain(story: RunView, make_view: Make) -> None:
    orphan = [c for c in story.candidates if c.cycle == 2]
    best = report.summary(make_view(orphan)).best
    assert best is not None
    assert (best.over_baseline, best.over_parent) == (None, None)


@pytest.mark.parametrize("outcome", [Trained(float("nan"), 10, 0, 1, 1, "A"), Trained(0.5, 0, 0, 1, 1, "A")])
def test_an_accuracy_that_is_no_share_is_no_score(story: RunView, make_view: Make, outcome: Trained) -> None:
    spoilt = [replace(c, outcome=outcome) if c.cycle else c for c in story.candidates]
    assert report.summary(make_view(spoilt)).best is None


def test_a_program_trained_twice_is_shown_once_by_its_better_score(story: RunView, make_view: Make) -> None:
    again = [*story.candidates, replace(story.candidates[-2], index=9, outcome=Trained(0.9, 1000, 2, 1, 1, "A"))]
    assert [elite.name for elite in report.summary(make_view(again)).elites] == ["2.9", "1.0"]


def test_a_circle_of_parents_ends(make_view: Make, make_slot: Callable[..., Candidate]) -> None:
    one, two = Program("a = 1"), Program("b = 2")
    score = Trained(0.5, 10, 0, 1, 1, "A")
    best = report.summary(make_view([make_slot(1, 0, two, one, score), make_slot(1, 1, one, two, score)])).best
    assert best is not None
    assert best.over_baseline is None


def test_the_summary_is_json(story: RunView) -> None:
    text = json.dumps(asdict(report.summary(story)), allow_nan=False)
    assert json.loads(text)["best"]["over_baseline"]["name"] == "resnet"
