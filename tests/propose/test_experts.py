"""Mixtures: which baselines are joined, that a kill changes nothing, and that what fails is journalled once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from deltanas.archive import RunArchive, create_run, open_run, sqlite_url
from deltanas.check import LimitGate, Limits
from deltanas.config import read_config
from deltanas.errors import DeltanasError, UsageError
from deltanas.journal import Journal
from deltanas.novelty import NoveltyGate
from deltanas.plan import Plan
from deltanas.program import Failed, Program, Refused, Stage, Trained, prm_text
from deltanas.propose import STRATEGIES, Context
from deltanas.propose.experts import Draws, Experts, ExpertsProposer, mixture
from deltanas.propose.quartets import Groups
from deltanas.records import Candidate, Draft
from deltanas.seams import Gate, silent
from deltanas.search import Search
from deltanas.wiring.programs import programs_of
from deltanas.wiring.proposing import context_of
from scripted_search import Fuse, Scores, StopError

NET = 'size = {}\n\ndef supported_hyperparameters():\n    return {{"lr"}}\n\nclass Net: ...\n'
BASES = {
    name: Program.of(NET.format(place), prm=prm_text({"lr": 0.1 + place}))
    for place, name in enumerate("abcdefghijklmnop")
}
STAR = Program.of(f"from math import *\n{NET.format(9)}")
CONTEXT = Context(seed=3, candidates=4, settings=Experts(count=3))


class Fussy(Gate):
    """A gate that refuses mixtures of g."""

    stage: Stage = "build"

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        bad = [re.search(r"size_\d = 6\n", one.program.net) for one in drafts]
        return [Refused("build", "it is too slow") if no else one for no, one in zip(bad, drafts, strict=True)]


def searched(archive: RunArchive, fuse: int | None = None, cycles: int = 3, bases: str = "abcdefghijklmnop") -> Scores:
    burning, draws = Fuse(fuse), Draws(CONTEXT)
    proposer, runner = ExpertsProposer(draws, CONTEXT.own(Experts).joined), Scores(burning)
    plan = Plan(cycles=cycles, candidates=4, seed=3, retries=0, parent=draws.parent)
    baselines = {**{name: BASES[name] for name in bases}, "star": STAR}
    Search(plan, baselines, proposer, [Fussy()], NoveltyGate(), runner, archive, silent).run()
    return runner


@pytest.fixture
def url(tmp_path: Path) -> str:
    return sqlite_url(tmp_path / "archive.db")


@pytest.mark.parametrize("seed", range(3))
def test_groups_hold_all_pairs_about_equally_often_and_no_group_comes_twice(seed: int) -> None:
    groups = Groups(17, 4, lambda place: Random(f"{seed}:{place}"))
    drawn = [groups.at(place) for place in range(96)]
    assert None not in drawn
    assert len(set(drawn)) == 96
    pairs = Counter(pair for group in drawn for pair in combinations(group or (), 2))
    singles = Counter(one for group in drawn for one in group or ())
    assert len(pairs) == 136
    assert max(pairs.values()) - min(pairs.values()) <= 3
    assert max(singles.values()) - min(singles.values()) <= 3
    # Whoever asks for one of them first gets the same.
    assert Groups(17, 4, lambda place: Random(f"{seed}:{place}")).at(95) == drawn[95]
    assert Groups(17, 4, lambda place: Random(f"{seed + 9}:{place}")).at(0) != drawn[0]


@pytest.mark.parametrize(("pool", "count"), [(6, 4), (5, 2), (4, 4), (7, 3)])
def test_all_groups_come_and_then_none(pool: int, count: int) -> None:
    groups = Groups(pool, count, lambda place: Random(place))
    assert {groups.at(place) for place in range(len(groups))} == set(combinations(range(pool), count))
    assert groups.at(len(groups)) is None


def test_a_slot_is_a_mixture_whose_parent_is_its_best_expert_and_what_is_refused_comes_once(url: str) -> None:
    with create_run(url, "run", {}) as archive:
        searched(archive)
        rows = archive.view().candidates
    journal = Journal(rows)
    trained = {row.name: row for row in rows if row.cycle == 0 and row.score is not None}
    slots = [row for row in rows if row.cycle]
    assert len(slots) == 12
    goals = [row.attempts[0].goal for row in slots]
    assert len(set(goals)) == 12
    faults = []
    for row in slots:
        (attempt,) = row.attempts
        names = attempt.goal.split(" + ")
        best = min((trained[name] for name in names), key=journal.rank)
        assert best.program is not None
        assert row.parent == best.program.id
        if "star" in names:
            assert attempt.refusal is not None
            assert "star, line 1: `from math import *`" in attempt.refusal.reason
        if "g" in names:
            assert attempt.refusal == Refused("build", "it is too slow")
        else:
            assert (attempt.rung, attempt.edit) == ("experts", "")
            assert row.program is not None
            assert {journal.of(one).name for one in row.parents} == set(names)  # type: ignore[union-attr]
        faults += [attempt.refusal] if attempt.refusal else []
    assert {fault.stage for fault in faults} == {"build"}


@pytest.mark.parametrize("fuse", range(1, 28, 3))
def test_a_run_that_is_killed_goes_on_with_the_same_mixtures(tmp_path: Path, fuse: int) -> None:
    runs = []
    for name, cut in (("whole", None), ("cut", fuse)):
        url = sqlite_url(tmp_path / f"{name}.db")
        with create_run(url, "run", {}) as archive:
            if cut is None:
                searched(archive)
            else:
                with pytest.raises(StopError):
                    searched(archive, cut)
        with open_run(url, "run", writer=True) as archive:
            if cut is not None:
                searched(archive)
            runs.append([(row.label, row.parents, row.attempts, row.score) for row in archive.view().candidates])
    assert runs[0] == runs[1]


def test_all_mixtures_are_made_and_then_slots_say_so(url: str) -> None:
    with create_run(url, "run", {}) as archive:
        searched(archive, cycles=15, bases="adei")
        rows = archive.view().candidates
    trained = [row for row in rows if not row.cycle and row.score is not None and row.name != "star"]
    number = len(list(combinations(trained, 3)))
    slots = [row for row in rows if row.cycle]
    assert [bool(row.attempts[0].goal) for row in slots] == [place < number for place in range(60)]
    assert slots[-1].outcome == Refused("apply", "all mixtures of these baselines were drawn")


def row(place: int, score: float | None) -> Candidate:
    outcome = Failed("error", "it hangs", 0, 0, "C") if score is None else Trained(score, 10, 0, 0.0, 0.0, "C")
    name = "abcdefghijklmnop"[place]
    return Candidate(0, place, "baseline", None, Draft(BASES[name]), (), outcome, name=name)


def test_too_few_trained_baselines_are_told_with_what_became_of_the_others() -> None:
    star = replace(row(3, 0.9), name="star", draft=Draft(STAR))
    journal = Journal([row(0, 0.5), row(1, None), row(2, 0.4), star])
    with pytest.raises(DeltanasError, match="joins 3 baselines, and 2 of 4 were trained and fit") as caught:
        Draws(CONTEXT).of(1, 0, journal)
    assert "b: it hangs" in caught.value.hint
    assert "star, line 1: `from math import *`" in caught.value.hint
    assert "experts.count" in caught.value.hint
    fewer = Context(seed=3, candidates=4, settings=Experts(count=2))  # as the hint says
    assert [one.name for one in Draws(fewer).of(1, 0, journal) or ()] == ["a", "c"]


def test_a_mixture_has_the_hyperparameters_that_its_experts_share_and_each_its_own() -> None:
    program = mixture([row(0, 0.5), row(1, 0.4)], Experts().joined)
    assert program.hyperparameters == {"batch": 32, "lr": 0.002, "momentum": 0.9}
    assert '{"lr": 0.1}' in program.net
    assert '{"lr": 1.1}' in program.net
    assert program.parents == (BASES["a"].id, BASES["b"].id)
    same = [Candidate(0, 0, "baseline", None, Draft(Program.of(one.net, prm=prm_text({"lr": 0.3, "batch": 64}))))
            for one in (BASES["a"], BASES["b"])]  # fmt: skip
    assert mixture(same, Experts().joined).hyperparameters == {"batch": 64, "lr": 0.3, "momentum": 0.9}


def test_the_limit_of_growth_counts_from_all_experts_together() -> None:
    first, second = (Draft(BASES[name], params=100, flops=10) for name in "ab")
    gate = LimitGate(Limits(growth=1.1, joined=True))
    gate.remember([first, second])
    parents = (BASES["a"].id, BASES["b"].id)
    small, large = (Draft(Program.of(f"{size}\n", parents=parents), size, 20) for size in (220, 221))
    fits, refused = gate.judge([small, large])
    assert fits is small
    assert isinstance(refused, Refused)
    assert "221 parameters, 1.10 times the 200 of its baseline" in refused.reason
    gate.remember([small])
    (edited,) = gate.judge([Draft(Program.of("more\n", parents=(small.program.id,)), 221, 1)])
    assert isinstance(edited, Refused)


REFUSED: dict[str, tuple[dict[str, object], str, dict[str, object]]] = {
    "proposals": ({"proposals": 3}, "a slot has one proposal", {}),
    "novelty": ({"novelty": {"threshold": 0.9}}, "two that share most of them are alike", {}),
    "screen": ({"screen": "builtin"}, "ranks draws from the space of edits", {}),
    "steps": ({"steps_per_edit": 2}, "steps_per_edit", {}),
    "few": (
        {"baselines": ["mlp", "nin"]},
        "joins 4 baselines, and 2 are given that fit",
        {"baselines": ["mlp", "nin", "vgg", "vit"]},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_settings_that_would_do_nothing_are_refused_and_the_hint_mends_it(name: str) -> None:
    given, says, mended = REFUSED[name]

    def begun(settings: dict[str, object]) -> None:
        config = read_config({"strategy": "experts", **settings})
        context_of(config)
        programs_of(config)

    with pytest.raises(UsageError, match=says) as caught:
        begun(given)
    assert caught.value.hint
    begun(mended)


def test_two_files_of_one_name_are_not_one_baseline_and_the_hint_mends_it(tmp_path: Path) -> None:
    files = [tmp_path / folder / "mine.py" for folder in "abc"]
    for place, file in enumerate(files):
        file.parent.mkdir()
        file.write_text(NET.format(min(place, 1)))
    with pytest.raises(UsageError, match="two baselines that differ have one name, mine") as caught:
        programs_of(read_config({"baselines": [str(file) for file in files[:2]]}))
    assert "another name" in caught.value.hint
    renamed = files[1].rename(tmp_path / "b" / "other.py")
    assert list(programs_of(read_config({"baselines": [str(files[0]), str(renamed)]}))) == ["mine", "other"]
    assert list(programs_of(read_config({"baselines": [str(renamed), str(files[2])]}))) == ["other", "mine"]
    assert list(programs_of(read_config({"baselines": [str(files[0]), str(files[0])]}))) == ["mine"]


def test_the_settings_of_the_head_are_in_the_mixture() -> None:
    own = {"head": "gate", "loss": "joint", "temperature": 1.5, "noise": 0.3, "balance": 0.7, "rate": 0.25}
    config = read_config({"strategy": "experts", "experts": own})
    context = context_of(config)
    assert (context.seed, context.candidates) == (config.seed, config.candidates)
    text = mixture([row(0, 0.5), row(1, 0.4)], context.own(Experts).joined).net
    for line in ("NOISE = 0.3\n", "BALANCE = 0.7\n", "RATE = 0.25\n", "torch.tensor(1.5).log()"):
        assert line in text
    assert "fixed" not in text
    assert STRATEGIES["experts"].joins(context) == 4


@pytest.mark.parametrize("name", ["temperature", "noise", "balance", "rate"])
def test_a_setting_of_the_gate_is_refused_where_there_is_none_and_the_hint_mends_it(name: str) -> None:
    with pytest.raises(UsageError, match=f"`experts.{name}` = 0.7 is for a gate") as caught:
        context_of(read_config({"strategy": "experts", "experts": {"head": "mean", name: 0.7}}))
    assert f"leave `experts.{name}` out, or set experts.head to gate" in caught.value.hint
    for mended in ({"head": "mean"}, {"head": "gate", name: 0.7}):
        context_of(read_config({"strategy": "experts", "experts": mended}))


def test_what_would_teach_a_gate_is_refused_where_it_does_not_learn() -> None:
    still = {"rate": 0.0, "noise": 0.7}
    for own in (still, {"rate": 0.0, "loss": "joint", "balance": 0.7}):
        with pytest.raises(UsageError, match=r"is for a gate that learns, and `experts\.rate` = 0"):
            context_of(read_config({"strategy": "experts", "experts": own}))
    for own in ({"rate": 0.0}, {**still, "loss": "joint"}, {"noise": 0.7}):  # experts learn from noise in their shares
        context_of(read_config({"strategy": "experts", "experts": own}))
