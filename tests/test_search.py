"""The loop, with scripted parts around a real archive: order, retries, resuming, what is drawn from what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from random import Random
from statistics import fmean, stdev

import pytest

from deltanas.allocation import Allocation
from deltanas.archive import create_run, open_run, sqlite_url
from deltanas.errors import DeltanasError
from deltanas.journal import Journal
from deltanas.novelty import NoveltyGate
from deltanas.objective import along, figures, front
from deltanas.plan import Plan
from deltanas.policy import AlongFront, by_rank, proposals_due
from deltanas.prices import ratios
from deltanas.program import (
    Failed,
    Program,
    Refused,
    Trained,
    combined,
)
from deltanas.propose import Tournament
from deltanas.records import Attempt, Call, Candidate, Draft
from deltanas.seams import Ask, Proposal, Slot, Split, silent
from deltanas.search import Search, training_seed
from scripted_search import BASELINES, FRONT, MEASURED, Fuse, Scores, Scripted, StopError, Weighed, passed_by, run


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "archive.db")


def test_a_run_fills_every_slot_once_and_in_order(url: str) -> None:
    with create_run(url, "run", {}) as archive:
        _, runner = run(archive)
        view = archive.view()
    assert view.finished
    assert [(c.cycle, c.index) for c in view.candidates] == [(0, i) for i in range(3)] + [
        (cycle, index) for cycle in (1, 2, 3) for index in range(7)
    ]
    assert all(c.outcome for c in view.candidates)
    assert all(count == 1 for (_, split), count in runner.trained.items() if split == "validation")
    refused = [c for c in view.candidates if isinstance(c.outcome, Refused)]
    assert all(len(c.attempts) == 3 for c in refused)
    trained = [c.program.id for c in view.candidates if c.program and not isinstance(c.outcome, Refused)]
    assert len(set(trained)) == len(trained)


def test_finals_are_the_best_elites_and_baselines_on_the_test_split_with_another_seed(url: str) -> None:
    with create_run(url, "run", {}) as archive:
        run(archive, plan=Plan(cycles=3, candidates=7, seed=5, finals=2))
        view = archive.view()
    journal = Journal(view.candidates)
    best = journal.improvements[:2]
    expected = {c.program.id for elite in best for c in (elite, journal.lineage(elite)[0]) if c.program}
    first = min((c for c in journal.of_cycle(0) if c.score is not None), key=journal.rank)
    assert first.program is not None
    expected.add(first.program.id)
    assert {final.program for final in view.finals} == expected
    selection = {c.outcome.seed for c in view.candidates if isinstance(c.outcome, Trained)}
    assert len(selection) == 1
    assert selection.isdisjoint(final.outcome.seed for final in view.finals if isinstance(final.outcome, Trained))


def by_slot(slot: Slot, journal: Journal, rng: Random) -> Program:
    """The parent of a grid: each slot of a cycle has a baseline of its own."""
    return BASELINES["abc"[slot.index % 3]]


SEVERAL: dict[str, Plan] = {
    "by slot": Plan(cycles=3, candidates=7, seed=5, parent=by_slot, proposals=3),
    "several proposals and seeds": Plan(cycles=3, candidates=7, seed=5, proposals=4, allocation=Allocation(3)),
    "as many as were measured": Plan(cycles=3, candidates=7, seed=5, proposals=None),
}
ONE: dict[str, Plan] = {
    "rank": Plan(cycles=3, candidates=7, seed=5),
    "evolution": Plan(cycles=3, candidates=7, seed=5, parent=Tournament(population=6, share=0.5)),
    "a budget of repeats": Plan(cycles=2, candidates=7, seed=5, allocation=Allocation(1, budget=7, top=2)),
    "rungs and repeats": Plan(
        cycles=2,
        candidates=7,
        seed=5,
        allocation=Allocation(1, 3, 2, rungs=(1, 3, 9), share=0.5),
        final_epochs=12,
        parent=Tournament(population=6, share=0.5),
    ),
    "front": Plan(cycles=4, candidates=7, seed=5, objectives=FRONT, parent=AlongFront(FRONT)),
}
"""Plans whose slots draw one proposal: there is nothing to choose from."""


@pytest.mark.parametrize(
    ("plan", "weighed"),
    [
        *(pytest.param(plan, False, id=name) for name, plan in (ONE | SEVERAL).items()),
        *(pytest.param(plan, True, id=f"{name}, a choice") for name, plan in SEVERAL.items()),
    ],
)
def test_a_run_stopped_at_any_moment_ends_as_the_undisturbed_one(url: str, plan: Plan, *, weighed: bool) -> None:
    with create_run(url, "whole", {}) as archive:
        proposer, runner = run(archive, plan=plan, weighed=Weighed() if weighed else None)
        whole = archive.view()
    measured = sum(len(c.measurements) for c in whole.candidates)
    assert bool(measured) == (len(plan.objectives) > 1)
    moments = len(proposer.asks) + sum(runner.trained.values()) + measured
    for moment in range(0, moments, 5):
        name = f"stopped-{moment}"
        with create_run(url, name, {}) as archive:
            try:
                run(archive, fuse=moment, plan=plan, weighed=Weighed() if weighed else None)
            except StopError:
                assert not archive.finished
        with open_run(url, name, writer=True) as archive:
            run(archive, plan=plan, weighed=Weighed() if weighed else None)
            view = archive.view()
        assert view.candidates == whole.candidates
        assert sorted(view.finals, key=lambda f: f.program) == sorted(whole.finals, key=lambda f: f.program)


def test_growth_is_limited_from_the_baseline_on_and_a_resumed_run_decides_alike(url: str) -> None:
    plan = Plan(cycles=3, candidates=7, seed=5, retries=4)
    with create_run(url, "whole", {}) as archive:
        run(archive, plan=plan, growth=1.2)
        whole = archive.view()
    stages = [each.refusal.stage for c in whole.candidates for each in c.attempts if each.refusal]
    assert stages.count("limit") > 10
    journal = Journal(whole.candidates)
    deep = [c for c in journal if c.score is not None and len(journal.lineage(c)) > 2]
    assert deep, "no candidate is two steps from its baseline"
    assert all((ratios(c, journal)["params"] or 0.0) <= 1.2 for c in journal if c.score is not None)
    for moment in (0, 5, 9, 14, 20, 27):
        with create_run(url, f"stopped-{moment}", {}) as archive, pytest.raises(StopError):
            run(archive, fuse=moment, plan=plan, growth=1.2)
        with open_run(url, f"stopped-{moment}", writer=True) as archive:
            run(archive, plan=plan, growth=1.2)
            assert archive.view().candidates == whole.candidates


def test_on_a_ladder_equal_lengths_are_compared_and_the_longest_trained_are_parents(url: str) -> None:
    plan = Plan(cycles=4, candidates=8, seed=3, allocation=Allocation(rungs=(1, 3), share=0.5), final_epochs=12)
    with create_run(url, "run", {}) as archive:
        proposer, runner = run(archive, plan=plan)
        rows, finals, best = archive.candidates(), archive.finals(), archive.best()
    journal = Journal(rows)
    made = {(c.cycle, c.index): [each.epochs for each in c.trainings] for c in rows if c.trainings}
    assert {tuple(lengths) for (cycle, _), lengths in made.items() if not cycle} <= {(1,), (1, 3)}
    for cycle in range(1, 5):
        trained = [c for c in journal.of_cycle(cycle) if c.trainings]
        long = [c for c in trained if len(c.trainings) == 2]
        whole = [c for c in trained if isinstance(c.trainings[0], Trained)]
        assert len(long) == min(len(whole), ceil(len(trained) / 2))
        assert all(c.rung == (3 if c in long else 1) for c in trained if c.score is not None)
    longest = {c.program.id for c in rows if c.program and c.rung == 3}
    assert {ask.parent.id for ask in proposer.asks} <= longest
    assert journal.improvements, "the script has none"
    for c in journal.improvements:
        parent = journal.of(c.parent or "")
        assert parent
        assert c.score is not None
        assert c.score > (parent.at(3) or parent).scores[0]
        assert c.score == c.trainings[1].score if isinstance(c.trainings[1], Trained) else False
    assert best == max(c.score for c in rows if c.cycle and c.rung == 3 and c.score is not None)
    assert {lengths[0] for (_, split), lengths in runner.lengths.items() if split == "test"} == {12}
    assert finals
    seeds = {each.epochs: each.seed for c in rows for each in c.trainings if isinstance(each, Trained)}
    assert seeds[1] == training_seed(3)
    assert seeds[3] == training_seed(3, epochs=3) != seeds[1], "the luck of the short training does not come along"


def test_along_a_front_what_was_trained_is_measured_once_and_finals_reach_both_ends(url: str) -> None:
    plan = Plan(cycles=4, candidates=7, seed=5, finals=4, objectives=FRONT, parent=AlongFront(FRONT))
    with create_run(url, "run", {}) as archive:
        run(archive, plan=plan)
        view = archive.view()
    for c in view.candidates:
        assert sorted(each.name for each in c.measurements) == (sorted(MEASURED) if c.score is not None else [])
    stands = front(view.candidates, FRONT)
    assert len(stands) > 4
    journal = Journal(view.candidates)
    tested = along(view.candidates, FRONT, 4)
    assert tested[0] is stands[0]
    expected = {c.program.id for each in tested for c in (each, journal.lineage(each)[0]) if c.program}
    assert {final.program for final in view.finals} == expected
    lacking = {c.program.id for c in view.candidates if c.program and figures(c, FRONT) is None}
    assert lacking
    assert not lacking & {c.parent for c in view.candidates}


def test_a_refusal_goes_back_to_the_proposer_with_its_reason(url: str) -> None:
    with create_run(url, "run", {}) as archive:
        proposer, _ = run(archive)
        by_slot = {(c.cycle, c.index): c for c in archive.candidates()}
    again = [ask for ask in proposer.asks if ask.attempt]
    assert again
    for ask in again:
        assert ask.earlier == by_slot[ask.cycle, ask.index].attempts[: ask.attempt]
        assert all(attempt.refusal and attempt.refusal.reason for attempt in ask.earlier)
        assert ask.key == f"5:{ask.cycle}:{ask.index}:{ask.attempt}"


def test_of_several_proposals_the_first_that_passes_is_kept(url: str) -> None:
    with create_run(url, "run", {}) as archive:
        proposer, runner = run(archive, plan=Plan(cycles=3, candidates=7, seed=5, proposals=4, retries=1))
        journal = [c for c in archive.candidates() if c.cycle]
    asked = Counter((ask.cycle, ask.index) for ask in proposer.asks)
    for c in journal:
        assert len(c.attempts) == asked[c.cycle, c.index] in (4, 8)
        assert [attempt.round for attempt in c.attempts] == [0, 0, 0, 0, 1, 1, 1, 1][: len(c.attempts)]
        assert (len(c.attempts) == 8) == (not any(passed_by(c)[:4]))
        assert c.kept is not None
        assert c.program is not None
        assert c.kept.program == c.program.id == c.attempts[passed_by(c).index(True)].program
    assert any(sum(passed_by(c)) > 1 for c in journal), "no slot had a proposal to spare"
    assert sum(count for (_, split), count in runner.trained.items() if split == "validation") == 3 + len(journal)
    assert {ask.key for ask in proposer.asks if (ask.cycle, ask.index) == (1, 0)} >= {f"5:1:0:{n}" for n in range(4)}
    kept = [c.program.id for c in journal if c.program]
    assert len(set(kept)) == len(kept)


def test_what_was_not_kept_may_be_proposed_again(url: str) -> None:
    """A resumed run does not know what was left over, so a run that goes on may not know it either."""

    class Two(Scripted):
        def _one(self, ask: Ask) -> Proposal:
            number = 2 * ask.index + 10 * ask.cycle if ask.attempt == 0 else 99
            return Proposal(ask.parent.edited("net", f"more({number})\n"), f"+{number}", "exact", "goal")

    fuse = Fuse()
    with create_run(url, "run", {}) as archive:
        plan = Plan(cycles=1, candidates=3, seed=0, proposals=2)
        Search(plan, BASELINES, Two(fuse), [], NoveltyGate(), Scores(fuse), archive, silent).run()
        assert [passed_by(c) for c in archive.candidates() if c.cycle] == [[True, True]] * 3


def test_each_candidate_is_trained_with_every_seed_and_scored_by_the_mean(url: str) -> None:
    with create_run(url, "run", {}) as archive:
        _, runner = run(archive, plan=Plan(cycles=2, candidates=7, seed=5, allocation=Allocation(3)))
        journal, finals = archive.candidates(), archive.finals()
    seeds = [training_seed(5, repeat=repeat) for repeat in range(3)]
    for c in journal:
        scores = [each.score for each in c.trainings if isinstance(each, Trained)]
        assert [each.seed for each in c.trainings if isinstance(each, Trained)] == seeds[: len(scores)]
        if isinstance(c.outcome, Trained):
            assert c.score == fmean(scores)
            assert c.standard_error == pytest.approx(stdev(scores) / 3**0.5)
            assert c.outcome.seconds == pytest.approx(0.3)
        elif isinstance(c.outcome, Failed):
            assert isinstance(c.trainings[-1], Failed)
            assert c.standard_error is None
    assert any(isinstance(c.outcome, Failed) and len(c.trainings) > 1 for c in journal), "none failed at a later seed"
    trained = {c.program.id: len(c.trainings) for c in journal if c.program and c.trainings}
    assert {name: count for (name, split), count in runner.trained.items() if split == "validation"} == trained
    assert all(runner.trained[final.program, "test"] == 1 for final in finals)


def test_a_lengthened_run_goes_on_and_tests_no_program_twice(url: str) -> None:
    with create_run(url, "long", {}) as archive:
        run(archive, plan=Plan(cycles=4, candidates=7, seed=5))
        long = archive.view()
    with create_run(url, "run", {}) as archive:
        _, first = run(archive, plan=Plan(cycles=2, candidates=7, seed=5))
        archive.amend({}, reopen=True)
        _, second = run(archive, plan=Plan(cycles=4, candidates=7, seed=5))
        view = archive.view()
    assert view.finished
    assert view.candidates == long.candidates
    assert {final.program for final in view.finals} >= {final.program for final in long.finals}
    tested = [name for runner in (first, second) for name, split in runner.trained if split == "test"]
    assert len(set(tested)) == len(tested)


def test_as_many_proposals_as_fill_a_slot_and_cost_no_more_than_its_training() -> None:
    def journal(seconds: float, passed: int, of: int, training: float) -> Journal:
        call = Call("m", "", "", 1, 1, seconds)
        attempts = [Attempt("", None, "", None if n < passed else Refused("build", "no"), (call,)) for n in range(of)]
        base = Candidate(0, 0, "baseline", None, None, (), Trained(0.5, 10, 0, training, 1.0, "C"))
        return Journal([base, Candidate(1, 0, "delta", None, None, tuple(attempts), Refused("build", "no"))])

    assert proposals_due(Journal()) == 1
    assert proposals_due(journal(0.5, 0, 0, 10.0)) == 1
    assert proposals_due(journal(0.5, 49, 49, 10.0)) == 1  # nearly all pass
    assert proposals_due(journal(0.5, 49, 98, 10.0)) == 5  # 1 - 0.5^5 > 0.95
    assert proposals_due(journal(4.0, 49, 98, 10.0)) == 2  # the third would take longer than the training
    assert proposals_due(journal(60.0, 0, 98, 10.0)) == 1
    assert proposals_due(journal(0.5, 0, 98, 10.0)) == 8
    assert proposals_due(journal(0.0, 0, 98, 10.0)) == 8  # a proposer that costs nothing
    made = tuple(Trained(0.5, 10, 0, 10.0 * epochs, 1.0, "C", epochs=epochs) for epochs in (1, 5))
    base, slot = journal(4.0, 49, 98, 10.0)
    base = replace(base, trainings=made, outcome=combined(made))
    assert proposals_due(Journal([base, slot])) == 2, "a candidate is trained for the shortest length, and few for more"


def test_a_proposer_is_told_what_the_earlier_cycles_measured(url: str) -> None:
    with create_run(url, "run", {}) as archive:
        proposer, _ = run(archive)
        journal = archive.candidates()
    scores = {c.program.id: c.score for c in journal if c.program and c.score is not None}
    for ask in proposer.asks:
        trained = [c for c in journal if c.cycle < ask.cycle and c.score is not None]
        gains = [scores[c.program.id] - scores[c.parent] for c in trained if c.program and c.parent in scores]
        assert ask.telemetry.score == scores[ask.parent.id]
        assert ask.telemetry.gains == ({"goal": pytest.approx(fmean(gains))} if gains else {})
    assert any(ask.telemetry.gains for ask in proposer.asks)


def test_parents_are_baselines_and_elites_of_earlier_cycles_only(url: str) -> None:
    with create_run(url, "run", {}) as archive:
        run(archive, plan=Plan(cycles=5, candidates=7, seed=1))
        journal = archive.candidates()
    for cycle in range(1, 6):
        allowed = {c.program.id for c in Journal(journal).before(cycle).parents if c.program}
        assert {c.parent for c in journal if c.cycle == cycle} <= allowed
    roots = {p.id for p in BASELINES.values()}
    assert any(c.parent not in roots for c in journal if c.cycle), "no elite ever became a parent"


def test_parents_are_drawn_by_rank() -> None:
    journal = [
        Candidate(0, n, "baseline", None, Draft(Program.of(net=f"{n}")), (), Trained((9 - n) / 10, 10, 0, 0, 0, "C"))
        for n in range(4)
    ]
    rng = Random(0)
    counts = Counter(by_rank(Slot(1, 0), Journal(journal), rng).net for _ in range(20_000))
    weights = [1, 1 / 2, 1 / 3, 1 / 4]
    for n, weight in enumerate(weights):
        assert counts[str(n)] / 20_000 == pytest.approx(weight / sum(weights), abs=0.015)


def test_an_elite_is_a_candidate_that_beat_its_parent() -> None:
    def row(cycle: int, index: int, name: str, parent: str | None, accuracy: float | None) -> Candidate:
        outcome = Failed("error", "", 0, 0, "C") if accuracy is None else Trained(accuracy, 10, 0, 0, 0, "C")
        parent_id = Program.of(net=parent).id if parent else None
        return Candidate(cycle, index, "x", parent_id, Draft(Program.of(net=name)), (), outcome)

    journal = [
        row(0, 0, "base", None, 0.5),
        row(1, 0, "better", "base", 0.6),
        row(1, 1, "equal", "base", 0.5),
        row(1, 2, "broken", "base", None),
        row(2, 0, "best", "better", 0.7),
        row(2, 1, "worse", "better", 0.55),
    ]
    assert [c.program.net for c in Journal(journal).improvements if c.program] == ["best", "better"]
    assert [c.program.net for c in Journal(journal).lineage(journal[4]) if c.program] == ["base", "better", "best"]


def test_no_trainable_baseline_is_an_error_that_says_why(url: str) -> None:
    class Broken(Scores):
        def train(
            self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
        ) -> Iterator[tuple[int, Trained | Failed]]:
            for place in range(len(programs)):
                yield place, Failed("timeout", "took longer than 1 s", 1.0, 1.0, "C")

    fuse = Fuse()
    with create_run(url, "run", {}) as archive:
        search = Search(Plan(1, 2, 0), BASELINES, Scripted(fuse), [], NoveltyGate(), Broken(fuse), archive, silent)
        with pytest.raises(DeltanasError, match="took longer than 1 s"):
            search.run()
