"""Trainings at rungs: what is set, what is told, and that scores of different lengths are never ranked together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deltanas.allocation import Allocation
from deltanas.cli.read import _row
from deltanas.config import read_config
from deltanas.errors import UsageError
from deltanas.journal import Journal
from deltanas.learn.sources import own_edits
from deltanas.narrate import Narrator
from deltanas.program import Failed, Program, Trained, combined
from deltanas.records import Attempt, Candidate, Draft, RunView
from deltanas.report import summary
from deltanas.report.reading import Reading
from deltanas.seams import Began, Settled, TrainingEnded
from deltanas.study.run import trials_of
from deltanas.train.data import Dataset, Images
from deltanas.wiring import allocation_of, settled_lengths
from deltanas.wiring.choosing import require_objectives
from deltanas.wiring.resuming import resumed_config

BASE = Program.of("width = 1\n")


def made(scores: dict[int, float]) -> tuple[Trained, ...]:
    return tuple(Trained(score, 100, 7, 2.0, 1.0, "A", epochs=epochs) for epochs, score in scores.items())


def row(cycle: int, index: int, width: int, scores: dict[int, float]) -> Candidate:
    net = f"width = {width}\n"
    program = BASE.edited("net", net) if cycle else BASE
    edit = f"<<<<<<< SEARCH\nwidth = 1\n=======\n{net}>>>>>>> REPLACE\n"
    attempts = (Attempt(edit if cycle else "", "exact", "widen", None, program=program.id, kind="width"),)
    parent, name, draft = BASE.id if cycle else None, "" if cycle else "base", Draft(program, 10, 20, "t")
    trainings = made(scores)
    return Candidate(cycle, index, "random", parent, draft, attempts, combined(trainings), trainings, name)


BASELINE = row(0, 0, 1, {1: 0.5, 9: 0.8})
SHORT, LONG, LOST = row(1, 0, 2, {1: 0.9}), row(1, 1, 3, {1: 0.6, 9: 0.85}), row(1, 2, 4, {1: 0.61, 9: 0.7})
ROWS = [BASELINE, SHORT, LONG, LOST]
VIEW = RunView("run", True, {}, tuple(ROWS), {c.program.id: c.program for c in ROWS if c.program})


def test_a_score_is_of_the_longest_training_and_a_row_can_be_read_at_any() -> None:
    assert [(c.score, c.rung, c.scores) for c in (BASELINE, SHORT)] == [(0.8, 9, [0.8]), (0.9, 1, [0.9])]
    assert isinstance(LONG.outcome, Trained)
    assert (LONG.outcome.seconds, LONG.outcome.cpu_seconds, LONG.outcome.epochs) == (4.0, 2.0, 9), "all that was spent"
    first = LONG.at(1)
    assert first
    assert (first.score, first.rung, first.trainings) == (0.6, 1, LONG.trainings[:1])
    assert SHORT.at(9) is None
    assert SHORT.at(1) is SHORT
    lost = Failed("timeout", "slow", 1.0, 1.0, "A", epochs=9)
    failed = replace(SHORT, trainings=(*SHORT.trainings, lost), outcome=combined((*SHORT.trainings, lost)))
    assert (failed.score, failed.rung, failed.at(1)) == (None, 0, None), "who fails once has failed"
    unknown = replace(SHORT, trainings=made({0: 0.9}), outcome=made({0: 0.9})[0])
    assert (unknown.at(0), unknown.at(1)) == (unknown, None)


def test_a_journal_compares_equal_lengths_and_ranks_the_longest_alone() -> None:
    journal = Journal(ROWS)
    assert [journal.gain(c) for c in ROWS] == [None, pytest.approx(0.4), pytest.approx(0.05), pytest.approx(-0.1)]
    assert journal.parents == [LONG, BASELINE], "the short score is the highest, and no parent"
    assert journal.improvements == [LONG]
    assert sorted(ROWS, key=journal.rank) == [LONG, BASELINE, LOST, SHORT]
    twice = replace(BASELINE, trainings=made({1: 0.5, 9: 0.8}) + made({1: 0.7, 9: 0.82}))
    noisy = Journal([twice])
    assert noisy.noise.squares == pytest.approx(0.0002)
    assert noisy.noise_at(1).squares == pytest.approx(0.02)
    assert noisy.noise_at(3).degrees == 0


def test_lessons_study_and_report_leave_no_lengths_mixed() -> None:
    assert [edit.gain for edit in own_edits(ROWS)] == pytest.approx([0.4, 0.1, 0.11])
    assert [edit.accuracy for edit in own_edits(ROWS)] == [0.9, 0.6, 0.61]
    assert Journal(ROWS).gains("kind")["width"] == pytest.approx([0.4, 0.1, 0.11])
    trials = trials_of(VIEW)
    assert trials.proxy is not None
    assert sorted(score for score in trials.proxy if score == score) == [0.7, 0.8, 0.85]
    reading, found = Reading(VIEW), summary(VIEW)
    assert [c.label for c in reading.ranked()] == ["1.1", "1.2"]
    assert found.best
    assert (found.best.name, found.best.rung, found.shorter) == ("1.1", 9, 1)
    assert found.best.over_parent
    assert found.best.over_parent.score == 0.8
    assert found.best.over_parent.gain == pytest.approx(0.05)
    assert reading.told(SHORT) == "90.0% after 1 of 9 epochs"
    told = _row(SHORT, Journal(ROWS))
    assert (told["rung"], told["applied"]) == (1, "exact")


def test_narration_says_after_how_many_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    narrator = Narrator()
    narrator(Began(0, "train", 1, 1))
    narrator(Settled(BASELINE))
    narrator(Began(1, "train", 2, 1))
    narrator(TrainingEnded(replace(LONG, trainings=LONG.trainings[:1], outcome=None)))
    narrator(Began(1, "promote", 1, 9))
    narrator(Settled(LONG))
    narrator(Settled(SHORT))
    told = capsys.readouterr().err
    assert "training on the most promising, 9 epochs each (1)" in told
    assert "1.1 60.0% after 1 epoch (seed 1, 2.0 s)" in told
    assert "1.1 85.0% after 9 epochs, +5.0 points over base" in told
    assert "1.0 90.0% after 1 epoch, +40.0 points over base" in told
    assert narrator._best == 0.85


def test_rungs_are_numbers_of_epochs_and_the_last_is_a_whole_training() -> None:
    config = read_config({"rungs": "1,9", "candidates": 16})
    assert (config.rungs, config.train.epochs) == ((1, 9), 9)
    assert allocation_of(config) == Allocation(1, 0, 3, (1, 9), 0.25)
    assert allocation_of(config).sizes(16) == [16, 4]
    auto = allocation_of(read_config({"rungs": [1, 9], "candidates": 16, "seeds": "auto"}))
    assert (auto.each, auto.budget) == (1, 2), "half of those that come to the last rung"
    for one in (5, "5", ["5"]):
        alone = read_config({"rungs": one})
        assert (alone.train.epochs, allocation_of(alone)) == (5, allocation_of(read_config({"rungs": "off"})))
    resumed = resumed_config(config.model_dump(mode="json"), {"rungs": "1,9", "train": {"cache": False}})
    assert (resumed.rungs, resumed.train.epochs, resumed.train.cache) == ((1, 9), 9, False)


ONE_LENGTH: list[dict[str, Any]] = [
    {"rungs": "off"},
    {"rungs": []},
    {"train": {"epochs": 3}},
    {"objectives": "accuracy,params", "strategy": "random"},
    {"strategy": "outside"},
]


@pytest.mark.parametrize("given", ONE_LENGTH, ids=str)
def test_where_nobody_gives_rungs_there_is_one_length_for_these(given: dict[str, Any]) -> None:
    config = read_config(given)
    assert (config.rungs, allocation_of(config).rungs) == ((), ())
    assert config.train.epochs == given.get("train", {}).get("epochs", "auto")


@pytest.mark.parametrize(
    ("images", "rungs"),
    [
        (100, (32, 160)),
        (1_078, (4, 19)),
        (4_000, (2, 6)),
        (4_096, (1, 5)),
        (10_000, (1, 3)),
        (20_480, ()),
        (60_000, ()),
    ],
)
def test_where_nobody_gives_them_the_data_asks_for_two_lengths(images: int, rungs: tuple[int, ...]) -> None:
    """128 optimizer steps and 640, at 32 images a step."""
    x, y = np.zeros((images, 1, 2, 2), np.uint8), np.arange(images, dtype=np.int64) % 2
    data = Dataset("blank", Images(x, y), Images(x[:9], y[:9]), Images(x[:9], y[:9]), 2)
    config = read_config({"objectives": "accuracy"})
    settled = settled_lengths(config, data)
    assert (config.rungs, settled.rungs, settled.lengths) == ("auto", rungs, rungs)
    assert settled.train.epochs == (rungs[-1] if rungs else "auto")
    assert settled.shortest == (rungs[0] if rungs else None)
    given = read_config({"rungs": "1,9"})
    assert settled_lengths(given, data) is given
    pairs = replace(data, train=Images(x, x))
    assert settled_lengths(config, pairs).rungs == ()
    with pytest.raises(UsageError, match="there is one length of training"):
        settled_lengths(read_config({"promote": 0.5}), pairs)


def test_a_run_keeps_the_rungs_that_its_data_asked_for() -> None:
    for begun in (read_config({}).at((2, 6)), read_config({"train": {"epochs": 3}})):
        stored = begun.model_dump(mode="json")
        for given in ({}, {"rungs": "auto"}, {"train": {"epochs": "auto"}}, {"train": {"epochs": begun.train.epochs}}):
            assert resumed_config(stored, given) == begun
    stored = read_config({}).at((2, 6)).model_dump(mode="json")
    for other in ("2,9", "2,4,6", "6", "off"):
        with pytest.raises(UsageError, match="begun with `rungs`"):
            resumed_config(stored, {"rungs": other})
    with pytest.raises(UsageError, match="leave train\\.epochs out, or give it 6"):
        resumed_config(stored, {"train": {"epochs": 2}})


@pytest.mark.parametrize("rungs", ["9,1", "1,1", "0,3", "1;9", "one", "auto,3", "1,off"])
def test_what_is_no_ladder_is_refused(rungs: str) -> None:
    with pytest.raises(UsageError, match="rungs"):
        read_config({"rungs": rungs})


def test_settings_that_contradict_rungs_say_how_to_mend_it() -> None:
    given = {"rungs": "1,9", "train": {"epochs": 3}}
    with pytest.raises(UsageError, match="exclude one another") as caught:
        read_config(given)
    assert "leave train.epochs out, or give it 9" in str(caught.value.hint)
    assert (
        read_config({**given, "train": {}}).train.epochs == read_config({**given, "train": {"epochs": 9}}).train.epochs
    )
    several = read_config({"rungs": "1,9", "objectives": "accuracy,params", "strategy": "random"})
    with pytest.raises(UsageError, match="several objectives") as caught:
        require_objectives(several)
    assert "--rungs 9" in str(caught.value.hint)
    require_objectives(read_config({"rungs": "9", "objectives": "accuracy,params", "strategy": "random"}))
    require_objectives(read_config({"rungs": "1,9", "strategy": "random"}))
