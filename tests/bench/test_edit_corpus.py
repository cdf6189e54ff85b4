"""The corpus of edits, made from the built-in networks: no wrong program comes of it, and nearly all the right ones."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks.edit_faults import FAULTS
from benchmarks.edit_refusals import REFUSALS
from benchmarks.edits import bench_edits, corpus, lemur_programs
from deltanas import nets
from deltanas.errors import DataError
from support import Command

KINDS = len(FAULTS) + len(REFUSALS)


def test_no_wrong_program_and_hardly_a_miss() -> None:
    result: dict[str, Any] = bench_edits(None, each=8, seed=1)
    *faults, applied, refused, everything = result["faults"]
    assert len(faults) == KINDS
    assert [one["fault"] for one in faults if one["wrong"] or one["n"] < 8] == []
    assert applied["right"] >= 0.99 * applied["n"]
    assert refused["right"] == refused["n"]
    assert everything["n"] == applied["n"] + refused["n"] == 8 * KINDS
    assert everything["low"] < everything["right"] / everything["n"] <= everything["high"]
    assert result["kept"]


def test_the_corpus_is_the_same_each_time_and_moves_with_the_seed() -> None:
    first, again, other = (list(corpus(nets.baselines(), each=2, seed=seed)) for seed in (0, 0, 1))
    assert first == again != other


def test_right_answers_are_programs_that_differ_from_the_base() -> None:
    cases = list(corpus(nets.baselines(), each=3, seed=2))
    assert all(case.right != case.base for case in cases)
    assert sum(case.right is None for case in cases) == 3 * len(REFUSALS)


def test_lemur_is_read_from_a_wheel_and_from_a_folder(tmp_path: Path) -> None:
    net = tmp_path / "folder" / "ab" / "nn" / "nn" / "One.py"
    net.parent.mkdir(parents=True)
    net.write_text("class Net:\n    pass\n", "utf-8")
    net.with_name("__init__.py").touch()
    with zipfile.ZipFile(tmp_path / "lemur.whl", "w") as wheel:
        wheel.write(net, "ab/nn/nn/One.py")
    for place in (tmp_path / "folder", tmp_path / "lemur.whl"):
        assert lemur_programs(place) == {"One": "class Net:\n    pass\n"}


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_a_place_without_lemur_is_a_message(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="holds no LEMUR") as caught:
        lemur_programs(tmp_path / name)
    assert "pip download" in caught.value.hint


def test_as_a_command(benchmark: Command) -> None:
    done = benchmark("edits", "--each", 1, "--json")
    assert done.returncode == 0, done.stderr
    result = cast("dict[str, Any]", json.loads(done.stdout))
    assert result["faults"][-1]["n"] == KINDS
