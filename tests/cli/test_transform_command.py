"""Searches of transforms by the command line: who proposes, a kill in the middle, what is shown and exported."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deltanas import open_run
from deltanas.program import Trained
from deltanas.program.transforms import read_transform
from deltanas.records import RunView
from support import Command

pytest_plugins = ["tiny_model"]

SEARCH = (
    "search", "--dataset", "digits", "--edits", "transform", "--baseline", "mlp", "--cycles", "2", "--candidates", "3",
    "--train-size", "200", "--epochs", "1", "--set", "finals=1", "--set", "model.max_prompt=7500", "--run", "run",
)  # fmt: skip
STRATEGIES = [
    pytest.param("random", id="random"),
    pytest.param("bandit", id="bandit", marks=pytest.mark.slow),
    pytest.param("evolution", id="evolution", marks=pytest.mark.slow),
    pytest.param("delta", id="typed", marks=pytest.mark.slow),
    pytest.param("delta --set model.choice=any", id="any", marks=pytest.mark.slow),
    pytest.param("delta --set model.choice=ranked", id="ranked", marks=pytest.mark.slow),
    pytest.param("delta --set model.reason=true --set model.max_tokens=1000", id="reason", marks=pytest.mark.slow),
    pytest.param("delta --decoding anchored --set model.max_tokens=64", id="anchored", marks=pytest.mark.slow),
    pytest.param("delta --decoding free --set model.max_tokens=64", id="free", marks=pytest.mark.slow),
    pytest.param("delta --learn --set learn.rule=gain --set tuning.steps=2", id="learn", marks=pytest.mark.slow),
    pytest.param("feedback", id="feedback", marks=pytest.mark.slow),
    pytest.param("full --set model.max_tokens=64", id="full", marks=pytest.mark.slow),
]


def told(view: RunView) -> list[tuple[object, ...]]:
    """What must not depend on a kill."""
    return [(c.cycle, c.index, c.program and c.program.id, c.parent, c.score, c.name) for c in view.candidates]


def arguments(strategy: str, model: Path) -> tuple[str, ...]:
    return (*SEARCH, "--strategy", *strategy.split(), "--llm", f"path:{model}")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_searches_transforms(
    deltanas: Command, tmp_path: Path, tiny_folder: Path, strategy: str
) -> None:
    ended = deltanas(*arguments(strategy, tiny_folder), "--json")
    assert ended.returncode == 0, ended.stderr
    view = open_run(tmp_path / "run")
    assert view.finished
    assert [c.name for c in view.candidates if c.cycle == 0] == [
        f"mlp {start}".strip() for start in ("", "flip", "crop+flip", "TrivialAugment", "RandAugment")
    ]
    assert all(isinstance(c.outcome, Trained) for c in view.candidates if c.cycle == 0)
    made = [c for c in view.candidates if c.cycle and c.kept and c.program]
    typed = not any(level in strategy for level in ("anchored", "free", "full"))
    if typed:
        assert len(made) == 6, [attempt.refusal for c in view.candidates for attempt in c.attempts]
    nets = {c.program.net for c in view.candidates if c.program}
    assert len(nets) == 1
    for one in made:
        assert one.kept is not None
        assert one.program is not None
        assert one.kept.part == "transform"
        assert read_transform(one.program.transform) or one.program.transform == ""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_a_search_of_transforms_shows_and_exports(deltanas: Command, tmp_path: Path) -> None:
    assert deltanas(*SEARCH, "--strategy", "random").returncode == 0
    view = open_run(tmp_path / "run")
    child = next(c for c in view.candidates if c.cycle and c.program and c.program.transform)
    assert child.program is not None
    changed = deltanas("programs", "diff", child.program.id, "--run", "run").stdout
    assert "+++ b/transform" in changed or "+++ transform" in changed
    assert deltanas("runs", "export", "run", "--top", "9", "--out", "out").returncode == 0
    told = [json.loads(path.read_text())["deltanas"] for path in tmp_path.glob("out/*/config.json")]
    for one, folder in zip(told, tmp_path.glob("out/*/"), strict=True):
        transform, card = view.programs[one["program"]].transform, (folder / "README.md").read_text()
        calls = [step.call.partition(".")[2] for step in read_transform(transform)]
        assert one["transform"] == (calls if transform else None)
        assert (folder / "transform.py").exists() is bool(transform)
        assert ("`transform.py`" in card) is bool(transform)
        for step in read_transform(transform):
            assert step.call.partition(".")[2] in card


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_search_of_transforms_ends_as_the_undisturbed_one(
    deltanas: Command, tmp_path: Path, tiny_folder: Path
) -> None:
    whole = arguments("delta", tiny_folder)
    assert deltanas(*whole[:-5], "undisturbed", *whole[-4:]).returncode == 0
    command = [str(Path(sys.executable).with_name("deltanas")), *whole]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as search:
        assert search.stderr is not None
        for line in search.stderr:
            if line.startswith("cycle 2/2: proposing"):
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(search.pid, signal.SIGKILL)
    assert deltanas("search", "--run", "run").returncode == 0
    assert told(open_run(tmp_path / "run")) == told(open_run(tmp_path / "undisturbed"))
