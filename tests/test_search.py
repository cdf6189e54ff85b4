"""The loop, with scripted parts around a real archive: order, retries, resuming, what is drawn from what."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean, stdev

import pytest

from deltanas.archive import RunArchive, create_run, open_run, sqlite_url
from deltanas.errors import DeltanasError
from deltanas.journal import Journal
from deltanas.novelty import NoveltyGate
from deltanas.objective import LATENCY, along, figures, front, objectives_of
from deltanas.plan import Plan
from deltanas.policy import AlongFront, by_rank, proposals_due
from deltanas.program import (
    SPACES,
    Failed,
    Program,
    Refused,
    SpaceEdit,
    Stage,
    Trained,
    differing_parts,
    parts_named,
)
from deltanas.propose import RandomProposer, Tournament
from deltanas.propose import Space as Sampler
from deltanas.records import Attempt, Call, Candidate, Draft, Measurement
from deltanas.repeats import Repeats
from deltanas.report.counts import counted
from deltanas.seams import Ask, Built, Choice, Gate, Proposal, Slot, Split, silent
from deltanas.search import Search, training_seed
from deltanas.task import CLASSIFY

BASELINES = {name: Program.of(net=f"start = {value}\n") for name, value in (("a", 1), ("b", 2), ("c", 3))}


class StopError(Exception):
    """Stands for a kill: raised at a chosen moment."""


class Fuse:
    """Raises `StopError` at its n-th call."""

    def __init__(self, calls: int | None = None) -> None:
        self.calls = calls

    def burn(self) -> None:
        if self.calls is not None:
            self.calls -= 1
            if self.calls < 0:
                raise StopError


class Scripted:
    """Appends a drawn number to the parent; every fifth draw gives no program."""

    strategy = "scripted"
    batch = 3

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse
        self.asks: list[Ask] = []

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        self.fuse.burn()
        self.asks += asks
        return [self._one(ask) for ask in asks]

    def _one(self, ask: Ask) -> Proposal:
        number = ask.rng("edit").randrange(30)
        if number % 5 == 0:
            return Proposal(None, f"no {number}", None, "goal", Refused("apply", f"{number} does not apply"))
        return Proposal(ask.parent.edited("net", f"{ask.parent.net}more({number})\n"), f"+{number}", "exact", "goal")


class Scores:
    """A runner that scores a program by its identity and the seed, and ends them in a scrambled order."""

    tier = "C"

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse
        self.trained: Counter[tuple[str, Split]] = Counter()

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        raise AssertionError("no gate here builds")

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation"
    ) -> Iterator[tuple[int, Trained | Failed]]:
        for place in Random(len(programs)).sample(range(len(programs)), len(programs)):
            self.fuse.burn()
            self.trained[programs[place].id, split] += 1
            share = int(hashlib.sha256(f"{programs[place].id}{seed}".encode()).hexdigest(), 16) % 1000 / 1000
            if share < 0.1:
                yield place, Failed("error", "scripted", 0.1, 0.1, "C")
            else:
                yield place, Trained(share, 100, seed, 0.1, 0.1, "C")


class Weighed:
    """A gate that lets all pass, and with it a choice: by the number that is edited in and by what was measured."""

    stage: Stage = "novelty"

    def __init__(self) -> None:
        self.heard: list[list[Candidate]] = []
        self.chose: list[tuple[Ask, list[str], int]] = []

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return list(drafts)

    def remember(self, drafts: Sequence[Draft]) -> None:
        """All are alike to it."""

    def told(self, journal: Journal) -> None:
        assert all(candidate.outcome for candidate in journal)
        self.heard.append(list(journal))

    def choose(self, ask: Ask, passing: Sequence[tuple[Proposal, Draft]]) -> Choice:
        assert self.heard[-1] == list(ask.journal.before(ask.cycle)), "it knows the cycles before, and no more"
        assert all(draft.program == proposal.program for proposal, draft in passing)
        measured = sum(candidate.score is not None for candidate in self.heard[-1])
        numbers = [(int(proposal.edit) + measured) % 7 for proposal, _ in passing]
        place = numbers.index(max(numbers))
        self.chose.append((ask, [proposal.edit for proposal, _ in passing], place))
        reasons = ["" if at == place else f"{number} is less" for at, number in enumerate(numbers)]
        return Choice(place, tuple(reasons), (Call("weigher", "which?", str(place), 3, 1, 0.0),))


class Sizes:
    """A gate that gives each program a size by its identity."""

    stage: Stage = "build"

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return [replace(draft, params=1 + int(draft.program.id, 16) % 50, flops=7) for draft in drafts]

    def remember(self, drafts: Sequence[Draft]) -> None:
        """Nothing is remembered."""

    def told(self, journal: Journal) -> None:
        """Nothing is learned."""


class Clock:
    """Measures a latency by the identity of a program; of every seventh there is none."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse
        self.measured: Counter[str] = Counter()

    def __call__(self, programs: Sequence[Program]) -> Iterator[Measurement]:
        for program in programs:
            self.fuse.burn()
            self.measured[program.id] += 1
            time = int(program.id, 16) % 7
            yield Measurement(LATENCY, time or None, 1.0, 2.0, 30, "" if time else "it can't be exported")


FRONT = objectives_of(["accuracy", "params", LATENCY], CLASSIFY)


def passed_by(candidate: Candidate) -> list[bool]:
    return [attempt.refusal is None for attempt in candidate.attempts]


def run(
    archive: RunArchive, *, fuse: int | None = None, plan: Plan | None = None, weighed: Weighed | None = None
) -> tuple[Scripted, Scores]:
    burning = Fuse(fuse)
    proposer, runner = Scripted(burning), Scores(burning)
    plan = plan or Plan(cycles=3, candidates=7, seed=5)
    clock = Clock(burning) if len(plan.objectives) > 1 else None
    checks: list[Gate] = [Sizes()] if clock else []
    checks += [weighed] if weighed else []
    choose = weighed.choose if weighed else None
    parts = (plan, BASELINES, proposer, checks, NoveltyGate(), runner, archive, silent)
    Search(*parts, choose=choose, measure=clock).run()
    assert clock is None or max(clock.measured.values(), default=1) == 1
    return proposer, runner


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


def test_finals_are_the_best_elites_and_their_baselines_on_the_test_split_with_another_seed(url: str) -> None:
    with create_run(url, "run", {}) as archive:
        run(archive, plan=Plan(cycles=3, candidates=7, seed=5, finals=2))
        view = archive.view()
    best = Journal(view.candidates).improvements[:2]
    expected = {
        c.program.id for elite in best for c in (elite, Journal(view.candidates).lineage(elite)[0]) if c.program
    }
    assert {final.program for final in view.finals} == expected
    selection = {c.outcome.seed for c in view.candidates if isinstance(c.outcome, Trained)}
    assert len(selection) == 1
    assert selection.isdisjoint(final.outcome.seed for final in view.finals if isinstance(final.outcome, Trained))


def by_slot(slot: Slot, journal: Journal, rng: Random) -> Program:
    """The parent of a grid: each slot of a cycle has a baseline of its own."""
    return BASELINES["abc"[slot.index % 3]]


@pytest.mark.parametrize("weighed", [False, True], ids=["the first", "a choice"])
@pytest.mark.parametrize(
    "plan",
    [
        Plan(cycles=3, candidates=7, seed=5),
        Plan(cycles=3, candidates=7, seed=5, parent=by_slot, proposals=3),
        Plan(cycles=3, candidates=7, seed=5, parent=Tournament(population=6, share=0.5)),
        Plan(cycles=3, candidates=7, seed=5, proposals=4, repeats=Repeats(3)),
        Plan(cycles=3, candidates=7, seed=5, proposals=None),
        Plan(cycles=2, candidates=7, seed=5, repeats=Repeats(1, budget=7, top=2)),
        Plan(cycles=4, candidates=7, seed=5, objectives=FRONT, parent=AlongFront(FRONT)),
    ],
    ids=[
        "rank",
        "by slot",
        "evolution",
        "several proposals and seeds",
        "as many as were measured",
        "a budget of repeats",
        "front",
    ],
)
def test_a_run_stopped_at_any_moment_ends_as_the_undisturbed_one(url: str, plan: Plan, *, weighed: bool) -> None:
    with create_run(url, "whole", {}) as archive:
        proposer, runner = run(archive, plan=plan, weighed=Weighed() if weighed else None)
        whole = archive.view()
    measured = sum(bool(c.measurements) for c in whole.candidates)
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


def test_along_a_front_what_was_trained_is_measured_once_and_finals_reach_both_ends(url: str) -> None:
    plan = Plan(cycles=4, candidates=7, seed=5, finals=4, objectives=FRONT, parent=AlongFront(FRONT))
    with create_run(url, "run", {}) as archive:
        run(archive, plan=plan)
        view = archive.view()
    for c in view.candidates:
        assert [each.name for each in c.measurements] == ([LATENCY] if c.score is not None else [])
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


def test_a_choice_takes_one_of_those_that_pass_and_the_others_are_on_record_with_the_reason(url: str) -> None:
    weighed = Weighed()
    with create_run(url, "run", {}) as archive:
        run(archive, plan=Plan(cycles=3, candidates=7, seed=5, proposals=4), weighed=weighed)
        view = archive.view()
    chosen = {(ask.cycle, ask.index): (edits, place) for ask, edits, place in weighed.chose}
    assert any(place > 0 for _, place in chosen.values())
    for c in view.candidates:
        ranked = [attempt for attempt in c.attempts if attempt.refusal and attempt.refusal.stage == "ranked"]
        if (c.cycle, c.index) not in chosen:
            assert not ranked
            continue
        edits, place = chosen[c.cycle, c.index]
        assert [attempt.edit for attempt in c.attempts if attempt.passed] == edits
        assert c.kept is not None
        assert c.kept.edit == edits[place]
        assert c.program is not None
        assert c.kept.program == c.program.id
        assert [call.model for call in c.kept.calls] == ["weigher"]
        assert len(ranked) == len(edits) - 1
        assert all(attempt.refusal and attempt.refusal.reason.endswith("is less") for attempt in ranked)
        tried = Journal(view.candidates).tried(c.parent or "")
        assert c.kept.edit in tried
    (counts,) = [one for one in counted(view) if one.strategy == "scripted"]
    passed = sum(attempt.passed for c in view.candidates if c.cycle for attempt in c.attempts)
    assert next(step.count for step in counts.proposals if step.name == "passed") == passed


def test_gates_hear_each_cycle_once_and_on_resume_what_came_before(url: str) -> None:
    whole, first, second = Weighed(), Weighed(), Weighed()
    with create_run(url, "whole", {}) as archive:
        run(archive, weighed=whole)
    assert [max(c.cycle for c in heard) for heard in whole.heard] == [0, 1, 2, 3]
    with create_run(url, "stopped", {}) as archive, pytest.raises(StopError):
        run(archive, fuse=25, weighed=first)
    with open_run(url, "stopped", writer=True) as archive:
        run(archive, weighed=second)
    assert first.heard == whole.heard[: len(first.heard)]
    assert second.heard == whole.heard[-len(second.heard) :]
    assert len(first.heard) < 4


def test_a_slot_of_two_texts_gets_one_of_them(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A space is one entry: it needs nothing of the loop, of a strategy or of the archive."""

    class Batch:
        part = of = "prm"

        def edits(self, program: Program) -> list[SpaceEdit]:
            more = [f'{{"batch": {2**n}}}' for n in range(1, 9) if f'{{"batch": {2**n}}}' != program.prm]
            return [SpaceEdit("batch", self.part, program.prm, text, of=self.of) for text in more]

    monkeypatch.setitem(SPACES, "prm", Batch())
    baselines = {name: Program.of(f"x = nn.{name}()\n", prm='{"batch": 1}') for name in ("ReLU", "GELU")}
    plan = Plan(cycles=2, candidates=8, seed=0, parts=parts_named("prm,net"))
    with create_run(url, "run", {}) as archive:
        proposer = RandomProposer(Sampler(None))
        Search(plan, baselines, proposer, [], NoveltyGate(), Scores(Fuse()), archive, silent).run()
        journal = Journal(archive.candidates())
    made = [c for c in journal if c.cycle and c.kept]
    assert {c.kept.part for c in made if c.kept} == {"prm"}, "these nets admit no edit"
    assert any(c.kept is None and c.cycle for c in journal), "a slot of the network finds none"
    for c in made:
        parent = journal.of(c.parent or "")
        assert parent is not None
        assert c.program is not None
        assert parent.program is not None
        assert [part for part, _, _ in differing_parts(parent.program, c.program)] == ["prm"]


def test_a_program_of_several_parents_is_of_the_first_ones_family(url: str) -> None:
    class Mixing(Scripted):
        def _one(self, ask: Ask) -> Proposal:
            others = [one.id for one in BASELINES.values() if one.id != ask.parent.id]
            program = ask.parent.edited("net", f"{ask.parent.net}mix({ask.key!r})\n")
            mixed = Program({**program.parts, "experts": "4"}, (ask.parent.id, *others))
            return Proposal(mixed, f"mix {ask.key}", None, "goal")

    with create_run(url, "run", {}) as archive:
        Search(Plan(2, 3, 0), BASELINES, Mixing(Fuse()), [], NoveltyGate(), Scores(Fuse()), archive, silent).run()
        journal = Journal(archive.rows())
    mixed = [c for c in journal if c.cycle and c.program]
    assert len(mixed) == 6
    for c in mixed:
        assert c.program is not None
        assert c.program.part("experts") == "4"
        assert c.parents == c.program.parents
        assert c.parents[0] == c.parent
        assert len(c.parents) in (3, 4)
        assert all(c in journal.children(parent) for parent in c.parents)
        first = journal.of(c.parents[0])
        assert first is not None
        assert journal.family(c) == journal.family(first)
        assert journal.lineage(c)[-2:] == [first, c]


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
        _, runner = run(archive, plan=Plan(cycles=2, candidates=7, seed=5, repeats=Repeats(3)))
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
        archive.reopen({})
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
            self, programs: Sequence[Program], *, seed: int, split: Split = "validation"
        ) -> Iterator[tuple[int, Trained | Failed]]:
            for place in range(len(programs)):
                yield place, Failed("timeout", "took longer than 1 s", 1.0, 1.0, "C")

    fuse = Fuse()
    with create_run(url, "run", {}) as archive:
        search = Search(Plan(1, 2, 0), BASELINES, Scripted(fuse), [], NoveltyGate(), Broken(fuse), archive, silent)
        with pytest.raises(DeltanasError, match="took longer than 1 s"):
            search.run()
