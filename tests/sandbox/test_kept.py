"""Trainings that are kept: read where all is equal, made again where anything is damaged, and never in the way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deltanas.config import TrainConfig
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.sandbox import KeptTrainings
from deltanas.seams import Built, Split
from deltanas.wiring import open_shape_pool, pools

BASE, CHILD = Program.of("x = 1\n"), Program.of("y = 1\n")


class Counting:
    """Trains by name, and counts."""

    tier = "A"

    def __init__(self) -> None:
        self.made: list[tuple[str, int, str, int | None]] = []

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        return [Refused("build", each.net) for each in programs]

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        for place in reversed(range(len(programs))):
            self.made.append((programs[place].net, seed, split, epochs))
            if "fail" in programs[place].net:
                yield place, Failed("timeout", "slow", 1.0, 1.0, "A")
            else:
                yield place, Trained(0.5, 8, seed, 7.0, 6.0, "A", per_image=b"\n\x00", epochs=epochs or 2)


def kept(folder: Path, protocol: str = "p", programs: Sequence[Program] = (BASE,)) -> tuple[KeptTrainings, Counting]:
    runner = Counting()
    return KeptTrainings(runner, folder, protocol, programs, 2), runner


def test_a_baseline_is_trained_once_and_told_as_what_it_is(tmp_path: Path) -> None:
    first, runner = kept(tmp_path)
    made = dict(first.train([CHILD, BASE, CHILD], seed=3))
    assert len(runner.made) == 3
    again, other = kept(tmp_path)
    found = dict(again.train([CHILD, BASE, CHILD], seed=3, epochs=2))
    assert other.made == [(CHILD.net, 3, "validation", 2)] * 2, "a candidate of the search is trained"
    assert found[1] == replace(made[1], cached=True) if isinstance(made[1], Trained) else False
    assert isinstance(found[0], Trained)
    assert not found[0].cached
    assert again.build([BASE]) == [Refused("build", BASE.net)]
    assert again.tier == "A"


def test_whatever_the_score_depends_on_is_part_of_the_name(tmp_path: Path) -> None:
    first, _ = kept(tmp_path)
    list(first.train([BASE], seed=3, epochs=9))
    cases: list[tuple[str, Program, int, int | None, Split]] = [
        ("q", BASE, 3, 9, "validation"),
        ("p", Program.of(BASE.net, prm='{"lr": 1}'), 3, 9, "validation"),
        ("p", BASE, 4, 9, "validation"),
        ("p", BASE, 3, None, "validation"),
        ("p", BASE, 3, 9, "test"),
    ]
    for protocol, program, seed, epochs, split in cases:
        again, other = kept(tmp_path, protocol, [program])
        [(_, found)] = again.train([program], seed=seed, epochs=epochs, split=split)
        assert len(other.made) == 1
        assert isinstance(found, Trained)
        assert not found.cached


def test_another_processor_rounds_otherwise_so_its_trainings_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home may be shared by several machines."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = TrainConfig(epochs=1, threads=1)
    places = set()
    with open_shape_pool((1, 8, 8), 2, config) as pool:
        for processor in ("a", "b", "a"):
            monkeypatch.setattr(pools, "this_machine", lambda processor=processor: (processor, 1, "torch"))
            runner = pools.kept_trainings(pool, config, [BASE])
            assert isinstance(runner, KeptTrainings)
            places.add(runner._place(BASE, 0, 1))
    assert len(places) == 2


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    failing = Program.of("fail = 1\n")
    for _ in range(2):
        again, runner = kept(tmp_path, programs=[failing])
        list(again.train([failing], seed=0))
        assert len(runner.made) == 1


def test_a_damaged_entry_is_made_again_with_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, _ = kept(tmp_path)
    list(first.train([BASE], seed=0))
    [place] = [each for each in tmp_path.rglob("*") if each.is_file()]
    whole = place.read_bytes()
    for damaged in (b"", whole[:-1], whole[:90], whole.replace(b"0.5", b"0.9"), b"\n\n\n"):
        place.write_bytes(damaged)
        caplog.clear()
        again, runner = kept(tmp_path)
        [(_, found)] = again.train([BASE], seed=0)
        assert isinstance(found, Trained)
        assert (found.cached, len(runner.made)) == (False, 1)
        assert "can't be read" in caplog.text
        assert place.read_bytes() == whole


def test_a_folder_that_cant_be_written_costs_time_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    first, runner = kept(blocked)
    list(first.train([BASE, BASE], seed=0))
    assert len(runner.made) == 2
    assert caplog.text.count("can't be") == 1, "one word is enough"
    assert blocked.read_text() == "no folder"


def test_two_writers_leave_one_whole_entry(tmp_path: Path) -> None:
    one, two = kept(tmp_path)[0], kept(tmp_path)[0]
    for made in zip(one.train([BASE], seed=0), two.train([BASE], seed=0), strict=True):
        assert len(made) == 2
    assert len([name for _, _, names in os.walk(tmp_path) for name in names]) == 1
    again, runner = kept(tmp_path)
    [(_, found)] = again.train([BASE], seed=0)
    assert isinstance(found, Trained)
    assert (found.cached, runner.made) == (True, [])
