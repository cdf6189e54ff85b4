"""Every benchmark, small: that it runs, that all trainers do the same work, and that its figures add up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.evaluate import bench_evaluate
from benchmarks.sandbox import bench_sandbox
from benchmarks.trainers import Rival
from benchmarks.trainers.lemur import write_idx
from deltanas.errors import DeltanasError
from support import Command

ROOT = Path(__file__).parents[2]


def evaluated(**changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"dataset": "digits", "size": 800, "net": "mlp", "batch": 32, "repeats": 1}
    lines: list[str] = []
    result = bench_evaluate(**{**settings, "lemur": None, "quiet": 1.0, "say": lines.append, **changes})
    assert len(lines) == 1
    return result


def test_pool_and_loop_by_hand_do_the_same_work() -> None:
    result = evaluated()
    ways = {way["name"]: way for way in result["ways"]}
    assert all(0 < way["low"] <= way["seconds"] <= way["high"] for way in ways.values())
    accuracies = [way["accuracy"] for way in ways.values()]
    assert min(accuracies) > 0.5
    assert max(accuracies) - min(accuracies) < 0.15
    turns = result["turns"]
    assert all(0 <= turn["others"] <= 1 for turn in turns)
    (turn,) = turns
    assert result["ratios"][0]["median"] == pytest.approx(turn["pool-1"] / turn["hand-1"], rel=0.1)


def test_a_folder_without_lemur_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(DeltanasError, match="holds no LEMUR") as caught:
        evaluated(lemur=tmp_path)
    assert "pip install" in caught.value.hint


def test_a_rival_that_ends_is_a_message(tmp_path: Path) -> None:
    with (
        Rival("benchmarks.trainers.hand", folder=tmp_path, threads=1, hint="mend it") as rival,
        pytest.raises(DeltanasError, match=r"No such file or directory: 'candidate\.py'") as caught,
    ):
        rival.train(0)
    assert caught.value.hint == "mend it"


def test_an_unknown_net_is_a_message() -> None:
    with pytest.raises(DeltanasError, match="no baseline"):
        evaluated(net="alexnet")


def test_images_in_the_format_of_mnist(tmp_path: Path) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(tmp_path / "images", images)
    raw = (tmp_path / "images").read_bytes()
    assert raw[:4] == b"\0\0\x08\x03"
    assert np.frombuffer(raw[4:16], ">u4").tolist() == [2, 3, 4]
    assert raw[16:] == images.tobytes()


@pytest.mark.slow
def test_the_sandbox_alone() -> None:
    result: dict[str, Any] = bench_sandbox(2)
    assert len(result["milliseconds"]) == 4
    for spread in result["milliseconds"]:
        assert 0 < spread["low"] <= spread["median"] <= spread["p95"] <= spread["high"]


@pytest.mark.slow
def test_a_short_soak(benchmark: Command) -> None:
    done = benchmark("sandbox", "--soak", 20, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result["distinct_accuracies"].values()) == {1}
    (group,) = result["groups"]
    assert group["until"] == 20
    assert group["processes"] == 2


def test_without_a_name_the_benchmarks_are_listed(benchmark: Command) -> None:
    done = benchmark()
    assert done.returncode == 0, done.stderr
    names = {line.split()[0] for line in done.stdout.splitlines()[2:]}
    assert {"evaluate", "sandbox", "compare", "paired_coverage"} <= names
    assert not {"hand", "lemur", "edit_faults", "simulated_studies"} & names
    unknown = benchmark("nowhere")
    assert unknown.returncode == 2
    assert "no benchmark 'nowhere'" in unknown.stderr


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(path.stem for path in (ROOT / "benchmarks").glob("[!_]*.py")))
def test_every_benchmark_tells_its_options(benchmark: Command, file: str) -> None:
    if "\ndef main(" not in (ROOT / "benchmarks" / f"{file}.py").read_text("utf-8"):
        pytest.skip("a part of others")
    done = benchmark(file, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
