"""The learner in the loop: one line of adapters, the same however often it was killed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import cast

import pytest

from deltanas.archive import RunArchive, create_run, open_run, sqlite_url
from deltanas.errors import ArchiveError, ModelError
from deltanas.journal import Journal
from deltanas.learn import tune
from deltanas.learn.learner import Learning, LoraLearner, Teaching
from deltanas.learn.measured import MeasuredEdit
from deltanas.learn.tuning import Tuned, Tuning
from deltanas.llm import Lesson, Loss, Message, Reply, Request, Tunable, open_model
from deltanas.novelty import NoveltyGate
from deltanas.plan import Plan
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.program.adapter import Adapter
from deltanas.propose import Asking, DeltaProposer, Space
from deltanas.records import RunView
from deltanas.seams import Ask, Built, Proposal, Slot, Split, silent
from deltanas.search import Search
from deltanas.study import EliteNll, convergence_of, described

pytest_plugins = ["tiny_model"]

SEED = 0
BASELINES = {name: Program.of(net=f"{name} = 100\nx = 0\n") for name in ("a", "b", "c", "d")}


def any_parent(slot: Slot, journal: Journal, rng: Random) -> Program:
    return rng.choice([c.program for c in journal.parents if c.program])


class StopError(Exception):
    """Stands for a kill."""


class Fuse:
    """Raises `StopError` at its n-th call."""

    def __init__(self, calls: int | None = None) -> None:
        self.calls = calls
        self.burnt = 0
        self.tunings: list[int] = []

    def burn(self, what: str = "") -> None:
        if what == "tune":
            self.tunings.append(self.burnt)
        self.burnt += 1
        if self.calls is not None and self.burnt > self.calls:
            raise StopError


class Model:
    """Knows the lessons that its adapter was made of: each is a nat likelier for each time that it is in there."""

    context = 4096

    def __init__(self) -> None:
        self.adapter: Path | None = None

    @property
    def name(self) -> str:
        return f"base+{self.adapter.name}" if self.adapter else "base"

    @property
    def known(self) -> list[str]:
        return json.loads((self.adapter / "known.json").read_text()) if self.adapter else []

    def count(self, messages: Sequence[Message]) -> int:
        return 1

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        raise AssertionError

    def losses(self, lessons: Sequence[Lesson]) -> list[Loss]:
        return [Loss(float(10 - self.known.count(lesson.completion)), 2) for lesson in lessons]

    def adapt(self, folder: Path | None) -> None:
        if folder and not (folder / "known.json").exists():
            raise ModelError(f"no adapter {folder}")
        self.adapter = folder


class Proposer:
    """Adds 1 to 9 to `x`, as the seed and the model's adapter will have it."""

    strategy = "adder"
    batch = 2

    def __init__(self, model: Model, fuse: Fuse) -> None:
        self.model, self.fuse = model, fuse

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        self.fuse.burn()
        return [self._one(ask) for ask in asks]

    def _one(self, ask: Ask) -> Proposal:
        old = ask.parent.net.splitlines()[1]
        more = ask.rng(f"{len(self.model.known)}").randrange(1, 10)
        new = f"x = {int(old[4:]) + more}"
        edit = f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"
        return Proposal(ask.parent.edited("net", ask.parent.net.replace(old, new)), edit, "exact", f"+{more}")

    def lesson(self, ask: Ask, edit: str, goal: str, family: str) -> Lesson | Refused:
        return Lesson((Message("user", f"{ask.parent.net}{goal}"),), edit, family)


class Runner:
    """The accuracy grows with `x`, but for the odd ones."""

    tier = "C"

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        raise AssertionError

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        for place, program in enumerate(programs):
            self.fuse.burn()
            x = int(program.net.splitlines()[1][4:])
            yield place, Trained(min(0.99, (x if x % 4 else 0) / 100 + 0.3), 10_000, seed, 0.1, 0.1, "C")


def fake_tune(fuse: Fuse):  # type: ignore[no-untyped-def]
    """`learn.tune` in miniature: the folder appears whole; where it is there already, that is what came of it."""

    def tune(
        model: Model, lessons: Sequence[Lesson], settings: Tuning, into: Path, after: Path | None, seed: int
    ) -> Tuned:
        fuse.burn("tune")
        if not into.exists():
            before = json.loads((after / "known.json").read_text()) if after else []
            part = into.with_name(f"{into.name}.part")
            part.mkdir(parents=True, exist_ok=True)
            (part / "known.json").write_text(json.dumps(before + [lesson.completion for lesson in lessons]))
            fuse.burn("tune")
            part.rename(into)
        fuse.burn("tune")
        return Tuned(into, (2.0, 1.0), 2, len(lessons), 0.5)

    return tune


def run(archive: RunArchive, folder: Path, *, fuse: int | None = None, cycles: int = 4, **teaching: object) -> Fuse:
    burning, model = Fuse(fuse), Model()
    proposer = Proposer(model, burning)
    settings = Teaching(Learning(held_out=0.25, fewest=2), Tuning(), seed=SEED, **teaching)  # type: ignore[arg-type]
    learner = LoraLearner(model, proposer, archive, silent, folder, settings, fake_tune(burning))
    plan = Plan(cycles=cycles, candidates=7, seed=1, finals=1, parent=any_parent)
    Search(plan, BASELINES, proposer, [], NoveltyGate(), Runner(burning), archive, silent, learner).run()
    return burning


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "archive.db")


@pytest.fixture
def whole(url: str, tmp_path: Path) -> tuple[RunView, Fuse]:
    with create_run(url, "whole", {}) as archive:
        fuse = run(archive, tmp_path / "whole")
        return archive.view(), fuse


def test_each_cycle_continues_the_adapter_before_it(whole: tuple[RunView, Fuse], tmp_path: Path) -> None:
    view, _ = whole
    line = view.adapters
    assert [each.cycle for each in line] == [1, 2, 3, 4]
    assert [each.folder for each in line] == [f"adapters/{n:03d}" for n in range(1, 5)]
    assert [each.parent for each in line] == [None, *(each.folder for each in line[:-1])]
    assert {each.model for each in line} == {"base"}
    assert [each.lessons for each in line] == sorted(each.lessons for each in line), "elites of all cycles so far"
    known = [json.loads((tmp_path / "whole" / each.folder / "known.json").read_text()) for each in line]
    for before, after, each in zip([[], *known], known, line, strict=False):
        assert after[: len(before)] == before
        assert len(after) == len(before) + each.lessons


def test_elites_learned_from_become_likelier_and_those_held_out_are_of_other_families(
    whole: tuple[RunView, Fuse],
) -> None:
    view, _ = whole
    last = view.adapters[-1]
    learned = {row.family for row in last.likelihoods if not row.held_out}
    held = {row.family for row in last.likelihoods if row.held_out}
    assert len(held) == 1
    assert not held & learned
    before, after = last.nats(held_out=False) or (0, 0)
    assert after < before
    before, after = last.nats(held_out=True) or (0, 1)
    assert after == before
    for each in view.adapters:
        assert {row.family for row in each.likelihoods if not row.held_out}.isdisjoint(held)


def test_a_run_stopped_at_any_moment_has_the_same_line(whole: tuple[RunView, Fuse], url: str, tmp_path: Path) -> None:
    """The proposer draws otherwise with another adapter: equal candidates show that each cycle had the right one."""
    view, fuse = whole
    assert len(fuse.tunings) == 4 * 3
    for moment in [*fuse.tunings[3:6], *range(0, fuse.burnt, 23)]:
        name = f"stopped-{moment}"
        with create_run(url, name, {}) as archive, pytest.raises(StopError):
            run(archive, tmp_path / name, fuse=moment)
        with open_run(url, name, writer=True) as archive:
            run(archive, tmp_path / name)
            again = archive.view()
        assert again.candidates == view.candidates
        assert again.adapters == view.adapters


def test_a_lengthened_run_tunes_on(url: str, tmp_path: Path, whole: tuple[RunView, Fuse]) -> None:
    with create_run(url, "run", {}) as archive:
        run(archive, tmp_path / "run", cycles=2)
        assert len(archive.adapters()) == 2
        archive.amend({}, reopen=True)
        run(archive, tmp_path / "run")
        assert archive.adapters() == list(whole[0].adapters)


def test_with_too_few_lessons_the_model_stays_as_it_is(url: str, tmp_path: Path) -> None:
    with create_run(url, "run", {}) as archive:
        model, fuse = Model(), Fuse()
        proposer = Proposer(model, fuse)
        settings = Teaching(Learning(fewest=1000), Tuning(), seed=0)
        learner = LoraLearner(model, proposer, archive, silent, tmp_path, settings, fake_tune(fuse))
        plan = Plan(cycles=2, candidates=5, seed=1)
        Search(plan, BASELINES, proposer, [], NoveltyGate(), Runner(fuse), archive, silent, learner).run()
        assert archive.view().adapters == ()
        assert model.adapter is None


def test_edits_from_elsewhere_are_learned_from_the_first_cycle_on(url: str, tmp_path: Path) -> None:
    edit = "<<<<<<< SEARCH\nx = 0\n=======\nx = 7\n>>>>>>> REPLACE\n"
    more = tuple(
        MeasuredEdit(f"from {n}", f"other = {n}\nx = 0\n", edit, gain=0.2, accuracy=0.6, noise=noise)
        for n, noise in enumerate((0.01, 0.01, 0.01, 0.5))
    )
    with create_run(url, "run", {}) as archive:
        run(archive, tmp_path / "run", cycles=1, more=more)
        (first,) = archive.adapters()
    with create_run(url, "without", {}) as archive:
        run(archive, tmp_path / "without", cycles=1)
        (without,) = archive.adapters()
    assert first.digest != without.digest
    families = {row.family for row in first.likelihoods}
    assert families & {"from 0", "from 1", "from 2"}
    assert "from 3" not in families, "its gain is within its noise"


def test_a_tuning_that_fails_leaves_the_line_as_it_was(url: str, tmp_path: Path) -> None:
    def no_memory(*_: object, **__: object) -> Tuned:
        raise ModelError("out of memory", "a smaller batch")

    with create_run(url, "run", {}) as archive:
        run(archive, tmp_path, cycles=2)
        line, journal = archive.adapters(), archive.candidates()
        model, fuse = Model(), Fuse()
        settings = Teaching(Learning(held_out=0.25, fewest=2), Tuning(), seed=0)
        learner = LoraLearner(model, Proposer(model, fuse), archive, silent, tmp_path, settings, no_memory)
        with pytest.raises(ModelError, match="out of memory"):
            learner.learn(3, Journal(journal))
        assert archive.adapters() == line
        assert archive.candidates() == journal
        assert model.adapter == tmp_path / line[-1].folder


def test_the_archive_keeps_the_line(url: str) -> None:
    one = Adapter(1, "adapters/001", None, "m", {"a": [1]}, 3, "d" * 16, {"why": 2}, (1.0, 0.5), 2, 40, 1.5)
    with create_run(url, "run", {}) as archive:
        archive.add_adapter(one)
        for cycle in (0, 1):
            with pytest.raises(ArchiveError, match="already"):
                archive.add_adapter(Adapter(cycle, "x", None, "m", {}, 0, "", {}, (), 0, 0, 0.0))
        assert archive.view().adapters == (one,)
    with create_run(url, "other", {}) as archive:
        assert archive.adapters() == []


def test_the_study_tells_what_the_tuning_did_to_elites(whole: tuple[RunView, Fuse]) -> None:
    view, _ = whole
    found = convergence_of(view)
    assert isinstance(found.nll, EliteNll)
    held = [one for one in found.tunings if one.held_out]
    assert found.nll == (held or found.tunings)[-1].nll
    learned = next(one for one in found.tunings if not one.held_out)
    adapter = view.adapters[learned.cycle - 1]
    rows = [row for row in adapter.likelihoods if not row.held_out]
    before, after = adapter.nats(held_out=False) or (0, 0)
    assert learned.nll.programs == len(rows)
    assert learned.nll.change.value == pytest.approx(after - before)
    assert after < before
    assert f"cycle {learned.cycle}, {len(rows)} elites learned from: change -" in described(found)


class Hashed(Runner):
    """Every program scores by its text."""

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        for place, program in enumerate(programs):
            share = int(program.id, 16) % 1000 / 1000
            yield place, Trained(share, 10_000, seed, 0.1, 0.1, "C")


def test_a_real_model_is_tuned_from_cycle_to_cycle(url: str, tmp_path: Path, tiny_folder: Path, small: Program) -> None:
    """The strategy's own questions, its edits, LoRA; only the trainings are played."""
    model = cast("Tunable", open_model(f"path:{tiny_folder}"))
    proposer = DeltaProposer(model, Space(None), Asking(max_prompt=7000))
    baselines = {"small": small, "wider": small.edited("net", small.net.replace("8", "16"))}
    teaching = Teaching(Learning(held_out=0.5, fewest=1), Tuning(rank=2, epochs=2), seed=0)
    with create_run(url, "run", {}) as archive:
        learner = LoraLearner(model, proposer, archive, silent, tmp_path, teaching, tune)
        plan = Plan(cycles=2, candidates=8, seed=1, finals=0, parent=any_parent)
        Search(plan, baselines, proposer, [], NoveltyGate(), Hashed(Fuse()), archive, silent, learner).run()
        first, second = archive.adapters()
        asked = {(c.cycle, call.model) for c in archive.candidates() for a in c.attempts for call in a.calls}
    marks = [json.loads((tmp_path / each.folder / "lineage.json").read_text()) for each in (first, second)]
    assert marks[0]["parent"] is None
    assert marks[1]["parent"] == marks[0]["weights"] != marks[1]["weights"]
    assert asked == {(1, first.model), (2, f"{first.model}+001")}
    assert {row.family for row in second.likelihoods} == {"small", "wider"}
    assert len({row.held_out for row in second.likelihoods}) == 2
    before, after = second.nats(held_out=False) or (0, 0)
    assert after < before
    assert model.name == f"{first.model}+002"
