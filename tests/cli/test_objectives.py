"""Searches with several objectives and with limits, as a user gives them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from deltanas import wiring
from deltanas.config import read_config
from deltanas.errors import DeltanasError
from deltanas.program import Program, Refused
from deltanas.seams import Built, silent
from deltanas.wiring.proposing import context_of
from support import Command

FRONT = ("search", "--strategy", "random", "--baseline", "mlp", "--baseline", "nin", "--cycles", "2", "--epochs", "1")


def test_a_search_along_a_front(deltanas: Command, tmp_path: Path) -> None:
    done = deltanas(*FRONT, "--candidates", "3", "--objective", "accuracy,params", "--run", "run", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["front"]
    assert found["objectives"] == ["accuracy", "params"]
    sizes = [one["prices"][0]["value"] for one in found["members"]]
    scores = [one["score"] for one in found["members"]]
    assert sizes == sorted(sizes, reverse=True)
    assert scores == sorted(scores, reverse=True)
    assert [one["cycle"] for one in found["cycles"]] == [0, 1, 2]
    volumes = [one["volume"] for one in found["cycles"]]
    assert volumes == sorted(volumes)
    shown = deltanas("runs", "show", "run")
    assert "on the front" in shown.stdout
    assert "hypervolume by cycle" in shown.stdout
    again = deltanas(*FRONT, "--candidates", "3", "--objective", "accuracy", "--run", "run")
    assert again.returncode == 2
    assert "begun with `objectives`" in again.stderr


def test_what_is_over_the_limit_is_never_trained(deltanas: Command, tmp_path: Path) -> None:
    done = deltanas(*FRONT, "--candidates", "4", "--max-params", "52000", "--growth", "1.1", "--run", "run")
    assert done.returncode == 0, done.stderr
    rows = json.loads(deltanas("programs", "list", "--run", "run", "--baselines", "--json").stdout)
    mlp, nin = rows[:2]
    assert (mlp["status"], nin["status"]) == ("trained", "refused")
    assert "the limit is 52,000" in nin["reason"]
    grown = [row[f"{cost}_ratio"] for row in rows if row["status"] == "trained" for cost in ("params", "flops")]
    assert all(0 < times <= 1.1 for times in grown)
    assert {row["parent"] for row in rows[2:]} <= {row["program"] for row in rows if row["status"] == "trained"}
    shown = json.loads(deltanas("runs", "show", "run", "--json").stdout)
    assert all(one["params"] <= 52_000 for one in shown["elites"])


def test_where_every_baseline_is_too_large_the_search_says_so(deltanas: Command) -> None:
    done = deltanas(*FRONT, "--candidates", "1", "--max-flops", "10", "--run", "run")
    assert done.returncode == 1
    assert "no baseline could be trained" in done.stderr
    assert "and the limit is 10" in done.stderr


def test_latency_without_its_packages_is_refused_before_a_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deltanas.wiring.choosing.find_spec", lambda name: None if name == "onnxruntime" else object())
    given = {"strategy": "random", "objectives": ["accuracy", "latency_ms"], "baselines": ["mlp"]}
    with (
        pytest.raises(DeltanasError, match="measured with onnxruntime") as error,
        wiring.open_search(given, tmp_path / "run", silent),
    ):
        raise AssertionError("it began")
    assert error.value.hint == "pip install 'deltanas[export]'"
    assert not (tmp_path / "run").exists()


def test_a_latency_is_measured_of_each_network_and_kept(deltanas: Command) -> None:
    pytest.importorskip("onnxruntime")
    one = ("search", "--strategy", "random", "--baseline", "nin", "--cycles", "1", "--candidates", "2", "--epochs", "1")
    done = deltanas(*one, "--objective", "accuracy,latency_ms", "--run", "run", "--json")
    assert done.returncode == 0, done.stderr
    assert "cycle 1/1: measuring (2)" in done.stderr
    members = json.loads(done.stdout)["front"]["members"]
    for member in members:
        latency = next(price for price in member["prices"] if price["name"] == "latency_ms")
        assert 0 < latency["low"] <= latency["value"] <= latency["high"]


def test_repeats_that_go_by_the_score_alone_are_refused_with_several_objectives(deltanas: Command) -> None:
    for repeats in (("--seeds", "auto"), ("--seeds-budget", "4")):
        done = deltanas(*FRONT, "--candidates", "1", "--objective", "accuracy,params", *repeats, "--run", "run")
        assert done.returncode == 2
        assert "by the score alone" in done.stderr


def test_widths_are_surveyed_without_the_limits_that_hold_for_offers() -> None:
    class Large:
        def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
            return [Built(100, 7, "trace", (1.0,) * 4) for _ in programs]

    builds, program = Large(), Program.of("x = 1\n")
    held = context_of(read_config({"strategy": "channels", "max_params": 50}), builds)
    assert held.unlimited is builds
    assert held.builds is not None
    assert [type(one) for one in held.builds.build([program])] == [Refused]
    assert context_of(read_config({"strategy": "channels", "growth": "off"}), builds).builds is builds
