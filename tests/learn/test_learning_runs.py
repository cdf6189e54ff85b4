"""Whole searches that learn, with a real tuning of a tiny model: killed ones, bad settings, and what comes out."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deltanas import nets
from deltanas.archive import begin_run, read_folder
from deltanas.cli import app
from deltanas.errors import DataError, DeltanasError
from deltanas.learn.measured import MeasuredEdit, write_measured
from deltanas.program import edits_of
from deltanas.records import RunView
from support import Command

pytest_plugins = ["tiny_model"]

SETTINGS = """
[learn]
enabled = true
fewest = 1
held_out = 0.0
rule = "quantile"
share = 0.5

[tuning]
rank = 2
epochs = 2
"""
SMALL = (
    "--cycles",
    "2",
    "--candidates",
    "3",
    "--train-size",
    "100",
    "--epochs",
    "1",
    "--baseline",
    "mlp",
    "--baseline",
    "nin",
)


def view_of(folder: Path) -> RunView:
    with read_folder(folder).open() as run:
        return run.view()


def told(view: RunView) -> object:
    """All but times."""
    rows = [(c.cycle, c.index, c.parent, c.program and c.program.id, c.score) for c in view.candidates]
    return rows, [(a.cycle, a.parent, a.digest, a.losses, a.likelihoods) for a in view.adapters]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("learning")


@pytest.fixture(scope="module")
def command(place: Path, tiny_folder: Path) -> list[str]:
    (place / "my.toml").write_text(SETTINGS)
    program = str(Path(sys.executable).with_name("deltanas"))
    return [program, "search", str(place / "my.toml"), "--llm", f"path:{tiny_folder}", *SMALL, "--run"]


@pytest.fixture(scope="module")
def undisturbed(command: list[str], place: Path) -> RunView:
    subprocess.run([*command, str(place / "whole")], check=True, capture_output=True, timeout=600)
    return view_of(place / "whole")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_search_that_learns(undisturbed: RunView, place: Path) -> None:
    first, second = undisturbed.adapters
    assert (first.parent, second.parent) == (None, "adapters/001")
    marks = [json.loads((place / "whole" / each.folder / "lineage.json").read_text()) for each in (first, second)]
    assert marks[0]["parent"] is None
    assert marks[1]["parent"] == marks[0]["weights"] != marks[1]["weights"]
    before, after = second.nats(held_out=False) or (0, 0)
    assert after < before
    models = {(c.cycle, call.model) for c in undisturbed.candidates for a in c.attempts for call in a.calls}
    base = next(model for cycle, model in models if cycle == 1)
    assert models == {(1, base), (2, f"{base}+001")}


def watched(command: list[str], run: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*command, str(run)], start_new_session=True, stderr=subprocess.PIPE, text=True) as search:
        try:
            yield search
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(search.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_in_a_tuning_and_behind_one_it_ends_as_the_undisturbed_one(
    command: list[str], place: Path, undisturbed: RunView
) -> None:
    run = place / "killed"
    for search in watched(command, run):
        assert search.stderr
        for line in search.stderr:
            if "tuning the model" in line:
                break
        time.sleep(0.3)
    assert view_of(run).adapters == ()
    for search in watched(command, run):
        while search.poll() is None and not (run / "adapters" / "001").exists():
            time.sleep(0.005)
    assert not (run / "adapters" / "002").exists()
    subprocess.run([*command, str(run)], check=True, capture_output=True, timeout=600)
    assert told(view_of(run)) == told(undisturbed)
    assert sorted(path.name for path in (run / "adapters").iterdir()) == ["001", "002"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_corpus_tune_and_export(installed: Command, undisturbed: RunView, place: Path, tiny_folder: Path) -> None:
    run = place / "whole"
    made = json.loads(installed("learn", "corpus", run, f"{run}/.", "--out", "c.jsonl", "--json").stdout)
    trained = [c for c in undisturbed.candidates if c.cycle and c.score is not None]
    assert made["edits"] == len(trained)
    settings = ("--config", place / "my.toml", "--llm", f"path:{tiny_folder}")
    tuned = installed("learn", "tune", "c.jsonl", *settings, "--out", "mine", "--json")
    assert tuned.returncode == 0, tuned.stderr
    assert json.loads(tuned.stdout)["lessons"] == undisturbed.adapters[1].lessons
    again = installed("learn", "tune", "c.jsonl", *settings, "--out", "mine", "--json")
    assert json.loads(again.stdout)["losses"] == json.loads(tuned.stdout)["losses"]
    exported = installed("learn", "export", run, place / "out", "--base", "some/base")
    assert exported.returncode == 0, exported.stderr
    config = json.loads((place / "out" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"]) == ("some/base", 2)


def test_what_is_wrong_is_told(tmp_path: Path, tiny_folder: Path) -> None:
    _, archive = begin_run(tmp_path / "empty", None, {"config": {}})
    archive.close()
    (tmp_path / "short.jsonl").write_text('{"family": "a", "ed')
    loss = {"family": "a", "source": "x = 1\n", "edit": "none", "gain": -0.1, "noise": 0.1, "accuracy": 0.1}
    (tmp_path / "losses.jsonl").write_text(json.dumps(loss))
    tune = ("--llm", f"path:{tiny_folder}", "--out", tmp_path / "x")

    def said(*arguments: object) -> DeltanasError:
        error = CliRunner().invoke(app, [str(argument) for argument in arguments]).exception
        assert isinstance(error, DeltanasError)
        return error

    missing = said("learn", "export", tmp_path / "empty", tmp_path / "out", "--cycle", 7)
    assert (missing.message, missing.hint) == (
        f"{tmp_path / 'empty'} has no adapter of cycle 7",
        "`deltanas search --learn` makes some",
    )
    assert "strategy random has no model that learns" in str(said("search", "--strategy", "random", "--learn"))
    assert "its weights are on a server" in str(said("search", "--learn", "--llm", "openai:http://127.0.0.1:9/v1#m"))
    (tmp_path / "ranked.toml").write_text('model.choice = "ranked"\n')
    ranked = (tmp_path / "ranked.toml", "--llm", "openai:http://127.0.0.1:9/v1#m", "--run", tmp_path / "r")
    assert "can't rank edits" in str(said("search", *ranked))
    assert "short.jsonl, line 1: not JSON" in str(said("learn", "tune", tmp_path / "short.jsonl", *tune))
    assert "no pair to learn from" in str(said("learn", "tune", tmp_path / "losses.jsonl", *tune))
    assert "no measured edits" in str(said("learn", "corpus", tmp_path, "--out", tmp_path / "c.jsonl"))
    assert not (tmp_path / "x").exists()


@pytest.fixture
def measured(tmp_path: Path) -> list[MeasuredEdit]:
    """Twelve edits at most of each of three networks, every other one a gain; they stand in edits.jsonl."""
    rows = []
    for net in ("mlp", "nin", "vgg"):
        source = nets.baselines()[net]
        kind = [edit.text for edit in edits_of(source) if edit.kind == "activation"]
        gains = {edit: 0.1 * (place % 2) for place, edit in enumerate(kind[:12])}
        rows += [MeasuredEdit(net, source, edit, gain, 0.5 + gain, noise=0.01) for edit, gain in gains.items()]
    write_measured(tmp_path / "edits.jsonl", rows)
    return rows


def test_what_is_too_long_counts_as_no_lesson(tmp_path: Path, tiny_folder: Path, measured: list[MeasuredEdit]) -> None:
    def learned(most: int) -> tuple[int, int]:
        config = tmp_path / "my.toml"
        config.write_text(f"[learn]\nheld_out = 0\nmeasured = 0\n[tuning]\nmax_length = {most}\n")
        command = ["learn", "tune", str(tmp_path / "edits.jsonl"), "--llm", f"path:{tiny_folder}", "--json"]
        command += ["--config", str(config), "--out", str(tmp_path / str(most))]
        made = json.loads(CliRunner().invoke(app, command, catch_exceptions=False).stdout)
        return made["lessons"], made["left_out"]

    every, none = learned(100_000)
    some, rest = learned(2650)
    assert none == 0
    assert 0 < some < every
    assert some + rest == every


def test_pairs_of_better_and_worse_edits_are_learned_from(
    tmp_path: Path, tiny_folder: Path, measured: list[MeasuredEdit]
) -> None:
    settings = ["--llm", f"path:{tiny_folder}", "--out", str(tmp_path / "mine"), "--held-out", ".34", "--json"]
    settings += ["--measured", "3"]
    command = ["learn", "tune", str(tmp_path / "edits.jsonl"), "--preferences", *settings]
    told = CliRunner().invoke(app, command, catch_exceptions=False)
    made = json.loads(told.stdout)
    assert made["losses"][0] == pytest.approx(math.log(2), rel=1e-3)
    assert len(made["held_out_families"]) == 1
    for side in made["better_is_likelier"].values():
        assert side["n"] == 3
        assert 0 <= side["after"]["low"] <= side["after"]["value"] <= side["after"]["high"] <= 1
    assert set(made["better_is_likelier"]) == {"learned from", "held out"}
    assert (made["pairs"], made["held_out"]) == (8, 6)  # one of the files has fewer such edits
    write_measured(tmp_path / "edits.jsonl", measured[:1])
    with pytest.raises(DataError, match="no two answer the same question"):
        CliRunner().invoke(app, command, catch_exceptions=False)
