"""Imported programs and trials, kept by SQLite and by PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deltanas.archive import RunArchive, create_run, open_run, sqlite_url
from deltanas.errors import ArchiveError
from deltanas.program import Program
from deltanas.program.trial import Experiment, Trial

NET = "class Net:\r\n    width = 1  # é\n"
SOURCES = {"A-1": NET, "B": "class Net:\n    width = 2\n", "A-2": "class Net:\n    width = 1\n"}
MNIST = Experiment("img-classification", "mnist", "acc", "A-1")
COCO = Experiment("obj-detection", "coco", "map", "B")
SETTINGS = '{"batch": 4, "lr": 0.1, "transform": "norm_32", "uid": "aa"}'
TRIALS = [
    Trial(MNIST, 1, 0.1 + 0.2, 2**62, SETTINGS),
    Trial(MNIST, 1, 0.25, None, SETTINGS),
    Trial(MNIST, 1, 0.25, None, SETTINGS),
    Trial(MNIST, 10, 0.75, 5, SETTINGS),
    Trial(COCO, 2, 0.0, 7, '{"lr": 1e-05}'),
]


class TrialContract:
    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def run(self, url: str) -> Iterator[RunArchive]:
        with create_run(url, "first", {}) as run:
            yield run

    def test_what_is_stored_comes_back_equal_and_in_order(self, url: str, run: RunArchive) -> None:
        assert run.trials.add_programs(SOURCES) == dict.fromkeys(SOURCES, "new")
        assert run.trials.add_trials(TRIALS) == len(TRIALS)
        with open_run(url, "first") as reader:
            assert reader.trials.sources() == SOURCES
            assert reader.trials.sources(["B"]) == {"B": SOURCES["B"]}
            assert reader.trials.trials() == TRIALS
            assert reader.trials.trials(dataset="mnist", epoch=1) == TRIALS[:3]
            assert reader.trials.trials(task="obj-detection") == TRIALS[4:]

    def test_names_share_an_identity_and_keep_their_texts(self, run: RunArchive) -> None:
        run.trials.add_programs(SOURCES)
        identities = run.trials.identities()
        assert identities["A-1"] == identities["A-2"] == Program.of(NET).id
        assert set(run.view().programs) == {Program.of(NET).id, Program.of(SOURCES["B"]).id}
        assert run.program(identities["A-2"]).net == NET
        run.trials.add_programs({"A-3": SOURCES["A-2"], "A-4": NET})
        assert run.trials.sources() == {**SOURCES, "A-3": SOURCES["A-2"], "A-4": NET}

    def test_a_second_time_adds_nothing(self, url: str, run: RunArchive) -> None:
        run.trials.add_programs(SOURCES)
        run.trials.add_trials(TRIALS)
        assert run.trials.add_trials(TRIALS) == 0
        run.close()
        with open_run(url, "first", writer=True) as again:
            assert again.trials.add_programs({**SOURCES, "B": NET}) == {"A-1": "held", "B": "other", "A-2": "held"}
            assert again.trials.add_trials(TRIALS[2:]) == 0
            more = [*TRIALS[1:3], replace(TRIALS[1], accuracy=0.5), TRIALS[1]]
            assert again.trials.add_trials(more) == 2  # a third equal one, and one that differs
            assert again.trials.sources() == SOURCES
            assert len(again.trials.trials()) == len(TRIALS) + 2

    def test_runs_of_one_archive_are_apart(self, url: str, run: RunArchive) -> None:
        run.trials.add_programs(SOURCES)
        run.trials.add_trials(TRIALS)
        with create_run(url, "second", {}) as other:
            assert (other.trials.sources(), other.trials.trials()) == ({}, [])
            other.trials.add_programs({"B": NET})
            other.trials.add_trials(TRIALS[4:])
            assert other.trials.trials() == TRIALS[4:]
        assert run.trials.trials() == TRIALS
        assert run.trials.sources() == SOURCES

    def test_a_reader_adds_nothing(self, url: str, run: RunArchive) -> None:
        with open_run(url, run.name) as reader, pytest.raises(ArchiveError, match="open for reading"):
            reader.trials.add_programs(SOURCES)


class TestTrialsInSqlite(TrialContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return sqlite_url(tmp_path / "archive.db")


class TestTrialsInPostgres(TrialContract):
    @pytest.fixture
    def url(self, postgres: str) -> str:
        return postgres
