"""What a search takes: one of the proposals that pass, texts of a slot, parents; and what its gates hear."""

from __future__ import annotations

from pathlib import Path

import pytest

from deltanas.archive import create_run, open_run, sqlite_url
from deltanas.journal import Journal
from deltanas.novelty import NoveltyGate
from deltanas.plan import Plan
from deltanas.program import (
    SPACES,
    Program,
    SpaceEdit,
    differing_parts,
    parts_named,
)
from deltanas.propose import RandomProposer
from deltanas.propose import Space as Sampler
from deltanas.report.counts import counted
from deltanas.seams import Ask, Proposal, silent
from deltanas.search import Search
from scripted_search import BASELINES, Fuse, Scores, Scripted, StopError, Weighed, run


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "archive.db")


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


def test_a_slot_of_two_parts_gets_one_of_them(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
