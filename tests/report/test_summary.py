from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest

from deltanas import report
from deltanas.intervals import difference, wilson
from deltanas.program import Program, Refused, Trained
from deltanas.records import Attempt, Call, Candidate, RunView
from deltanas.report import Counts, Step
from deltanas.report.refusals import Reason, reasons

Make = Callable[..., RunView]


def counts(steps: tuple[Step, ...]) -> dict[str, tuple[int, int]]:
    return {step.name: (step.count, step.of) for step in steps}


def only(view: RunView) -> Counts:
    (found,) = report.summary(view).counts
    return found


def test_slots_are_counted_once_and_the_baselines_are_none(story: RunView) -> None:
    figures = report.summary(story)
    assert (figures.slots, figures.trained, figures.failed, figures.refused, figures.open) == (7, 4, 1, 1, 1)
    assert figures.baselines == 2


def test_best_gains_are_over_the_root_baseline_and_over_the_parent(story: RunView) -> None:
    best = report.summary(story).best
    assert best is not None
    assert (best.name, best.score, best.n) == ("2.0", 0.86, 1000)
    assert (best.low, best.high) == (wilson(860, 1000).low, wilson(860, 1000).high)
    assert best.over_baseline is not None
    assert best.over_parent is not None
    assert (best.over_baseline.name, best.over_baseline.score) == ("resnet", 0.8)
    assert (best.over_parent.name, best.over_parent.score) == ("1.0", 0.84)
    expected = difference(wilson(860, 1000), wilson(800, 1000))
    gain = best.over_baseline
    assert (gain.gain, gain.low, gain.high) == (expected.value, expected.low, expected.high)
    assert (best.params, best.flops) == (1234, 5_600_000)


def test_elites_are_those_that_beat_their_parent_best_first(story: RunView) -> None:
    figures = report.summary(story)
    assert [elite.name for elite in figures.elites] == ["2.0", "1.0"]  # 1.1 is below its parent, 1.4 equal to it
    assert figures.elite_count == 2


def test_first_proposals_all_proposals_and_slots_are_kept_apart(story: RunView) -> None:
    found = only(story)
    # Nine proposals for seven slots: two do not apply, one of the others does not build.
    assert counts(found.proposals) == {
        "parsed": (9, 9), "applied": (7, 9), "changed": (7, 9), "contract": (7, 9), "built": (6, 9), "valid": (6, 9),
        "effective": (0, 3), "distinct": (0, 3), "passed": (6, 9),
    }  # fmt: skip
    assert counts(found.first)["applied"] == (5, 7)
    assert counts(found.first)["passed"] == (5, 7)
    assert counts(found.slots) == {"filled": (6, 7), "trained": (4, 6)}  # one slot is still open
    applied = wilson(7, 9)
    assert (found.proposals[1].low, found.proposals[1].high) == (applied.low, applied.high)
    assert (found.repaired, found.retried) == (1, 2)
    assert (found.strategy, found.model, found.decoding) == ("delta", "smollm2", None)
    assert asdict(found.cost) == {"calls": 9, "prompt_tokens": 900, "reply_tokens": 90, "seconds": 4.5, "estimated": 0}


def test_each_proposal_counts_as_far_as_it_came(story: RunView, make_slot: Callable[..., Candidate]) -> None:
    parent, child = Program.of("x = 1"), Program.of("x = 2")

    def tried(
        stage: str | None, program: str | None = "p", trace: str | None = None, effective: bool | None = None
    ) -> Attempt:
        refusal = None if stage is None else Refused(stage, "no")  # type: ignore[arg-type]
        return Attempt("", "exact" if program else None, "", refusal, (), 0, program, trace, effective)

    attempts = (
        tried("parse", None),
        tried("apply", None),
        tried("contract"),
        tried("build"),
        tried("step"),
        tried("novelty", parent.id, "t0", None),  # a comment more: passes everything, changes nothing
        tried("novelty", "p1", "t1", False),  # a second ReLU
        tried("novelty", "p2", "t2", True),  # repeats another candidate
        tried(None, "p3", "t3", True),
        tried(None, "p4", "t3", True),  # spared, and a repeat of the one that is kept
    )
    slot = make_slot(1, 0, parent, child, Trained(0.5, 10, 0, 1, 1, "A"), attempts)
    found = only(replace(story, candidates=(slot,)))
    assert counts(found.proposals) == {
        "parsed": (9, 10), "applied": (8, 10), "changed": (7, 10), "contract": (6, 10), "built": (5, 10),
        "valid": (4, 10), "effective": (3, 10), "distinct": (2, 10), "passed": (2, 10),
    }  # fmt: skip
    assert counts(found.slots) == {"filled": (1, 1), "trained": (1, 1)}


def test_strategies_and_models_are_counted_apart(story: RunView, make_slot: Callable[..., Candidate]) -> None:
    parent = Program.of("x = 1")
    slots = [make_slot(1, n, parent, Program.of(f"x = {n + 2}"), None) for n in range(4)]
    small, large = (tuple(replace(a, calls=(Call(m, "", "", 1, 1, 1.0),)) for a in slots[0].attempts) for m in "sl")
    silent = tuple(replace(a, calls=()) for a in slots[0].attempts)
    view = replace(
        story,
        manifest={"config": {"model": {"decoding": "anchored"}}},
        candidates=(
            replace(slots[0], attempts=small),
            replace(slots[1], attempts=large),
            replace(slots[2], attempts=silent, strategy="random"),
            replace(slots[3], attempts=small, strategy="full"),
            replace(slots[3], index=9, attempts=silent, strategy="full"),  # its prompt was too long
        ),
    )
    groups = [(c.strategy, c.decoding, c.model, c.proposals[0].of) for c in report.summary(view).counts]
    assert groups == [
        ("delta", "anchored", "s", 1), ("delta", "anchored", "l", 1), ("random", None, None, 1), ("full", None, "s", 2),
    ]  # fmt: skip


def test_rungs_and_reasons_count_every_attempt(story: RunView) -> None:
    search = [c for c in story.candidates if c.cycle]
    assert only(story).rungs == {"exact": 6, "line ends": 1}
    assert reasons(search) == [
        Reason("apply", 2, "block 1 is nowhere"),
        Reason("build", 1, "shapes 2x48 and 32x10 do not match"),
        Reason("timeout", 1, "60 s are over"),
    ]


def test_reasons_that_differ_in_numbers_only_are_one(story: RunView, make_slot: Callable[..., Candidate]) -> None:
    parent = Program.of("x = 1")
    texts = ["\n\nwidth 12 is not 16\nin line 3", "width 24 is not 32", ""]
    found = reasons([make_slot(1, i, parent, None, Refused("build", text)) for i, text in enumerate(texts)])
    assert found == [Reason("build", 2, "width 12 is not 16"), Reason("build", 1, "(no reason given)")]


def test_nothing_trained_has_no_best(story: RunView, make_view: Make) -> None:
    empty = report.summary(make_view([]))
    assert empty.best is None
    assert empty.elites == ()
    assert empty.counts == ()
    refused = [c for c in story.candidates if c.cycle == 0 or isinstance(c.outcome, Refused)]
    assert report.summary(make_view(refused)).best is None


def test_a_mean_over_seeds_carries_its_standard_error(story: RunView) -> None:
    seeds = (Trained(0.85, 1000, 1, 1, 1, "A"), Trained(0.87, 1000, 2, 1, 1, "A"))
    repeated = [replace(c, trainings=seeds) if (c.cycle, c.index) == (2, 0) else c for c in story.candidates]
    best = report.summary(replace(story, candidates=tuple(repeated))).best
    assert best is not None
    assert (best.score, best.seeds) == (0.86, 2)
    assert best.standard_error == pytest.approx(0.01)


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
    one, two = Program.of("a = 1"), Program.of("b = 2")
    score = Trained(0.5, 10, 0, 1, 1, "A")
    best = report.summary(make_view([make_slot(1, 0, two, one, score), make_slot(1, 1, one, two, score)])).best
    assert best is not None
    assert best.over_baseline is None


def test_the_summary_is_json(story: RunView) -> None:
    text = json.dumps(asdict(report.summary(story)), allow_nan=False)
    assert json.loads(text)["best"]["over_baseline"]["name"] == "resnet"
