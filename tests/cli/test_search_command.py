"""A real search by the command line: what it prints, that it survives a kill, that no candidate runs in it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from deltanas import nets, open_run
from deltanas.records import RunView
from support import ARGUMENTS, SMALL, Command, told


@pytest.fixture
def orphans() -> Iterator[Callable[[], set[int]]]:
    """Processes that outlived the one that started them: they become children of this one."""
    prctl = ctypes.CDLL(None).prctl
    subreaper = 36
    prctl(subreaper, 1, 0, 0, 0)

    def living() -> set[int]:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}

    mine = living()  # a database server of other tests
    yield lambda: living() - mine
    prctl(subreaper, 0, 0, 0, 0)


def test_the_last_line_is_what_came_of_it(undisturbed: tuple[RunView, str, float]) -> None:
    view, stdout, _ = undisturbed
    result = json.loads(stdout.splitlines()[-1])
    assert {"run", "trained", "failed", "refused", "best"} <= result.keys()
    assert result["trained"] + result["failed"] + result["refused"] == 8
    accuracies = [c.score for c in view.candidates if c.cycle and c.score is not None]
    assert (result["best"], result["metric"]) == (max(accuracies), "accuracy")
    for elite in result["elites"]:
        assert elite["accuracy"] == elite["score"]
        assert elite["over_parent"]["accuracy"] == elite["over_parent"]["score"]
        assert elite["over_parent"]["paired"]
    assert Path(result["report"]).read_text().startswith("<!doctype html>")
    assert view.finished


def test_the_programs_as_json(deltanas: Command, undisturbed: tuple[RunView, str, float]) -> None:
    view, stdout, _ = undisturbed
    run = json.loads(stdout.splitlines()[-1])["run"]
    rows = json.loads(deltanas("programs", "list", "--run", run, "--json").stdout)
    assert [(row["cycle"], row["index"]) for row in rows] == [(cycle, index) for cycle in (1, 2) for index in range(4)]
    for row in rows:
        assert set(row) == {
            "cycle", "index", "strategy", "status", "program", "parent", "parents", "accuracy", "standard_error",
            "accuracies", "rung", "applied", "steps", "reason", "score", "scores", "metric", "flops_ratio",
            "params_ratio", "seconds_ratio", "predicted",
        }  # fmt: skip
        assert (row["metric"], row["score"], row["scores"]) == ("accuracy", row["accuracy"], row["accuracies"])
        assert row["standard_error"] is None
        assert row["accuracies"] == ([] if row["accuracy"] is None else [row["accuracy"]])
        assert row["status"] in ("trained", "failed", "refused")
        assert (row["accuracy"] is not None) == (row["status"] == "trained")
    trained = next(row for row in rows if row["status"] == "trained")
    source = deltanas("programs", "show", trained["program"], "--run", run).stdout
    assert source == view.programs[trained["program"]].net
    assert deltanas("programs", "diff", trained["program"], "--run", run).stdout.startswith("---")
    assert f"{sum(row['status'] == 'trained' for row in rows)} trained" in deltanas("runs", "show", run).stdout


@pytest.mark.timeout(600)
def test_a_run_killed_at_random_moments_ends_as_the_undisturbed_one(
    tmp_path: Path, undisturbed: tuple[RunView, str, float], orphans: Callable[[], set[int]]
) -> None:
    view, _, seconds = undisturbed
    rng = Random(11)
    command = [str(Path(sys.executable).with_name("deltanas")), *ARGUMENTS, str(tmp_path / "run")]
    for _ in range(5):
        with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as search:
            time.sleep(rng.uniform(0.1, 0.6) * seconds)
            with contextlib.suppress(ProcessLookupError):  # it had ended
                os.killpg(search.pid, signal.SIGKILL)
        deadline = time.monotonic() + 20  # a fork server that was still importing torch notices when it has done so
        while orphans() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not orphans(), "a process outlived the kill of its group"
    subprocess.run(command, stderr=subprocess.DEVNULL, timeout=300, check=True)
    resumed = open_run(tmp_path / "run")
    assert told(resumed) == told(view)
    assert {(f.program, type(f.outcome)) for f in resumed.finals} == {(f.program, type(f.outcome)) for f in view.finals}
    assert not orphans()


def test_an_interrupt_leaves_a_run_that_resumes(
    tmp_path: Path, undisturbed: tuple[RunView, str, float], deltanas: Command
) -> None:
    view, _, _ = undisturbed
    command = [str(Path(sys.executable).with_name("deltanas")), *ARGUMENTS, str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as search:
        assert search.stderr is not None
        for line in search.stderr:
            if "training the baselines" in line:
                break
        search.send_signal(signal.SIGINT)
        said = search.stderr.read()
        assert search.wait(timeout=30) == 1
    assert "interrupted" in said
    assert f"deltanas search --run {tmp_path / 'run'}" in said
    assert "Traceback" not in said
    assert deltanas("search", "--run", tmp_path / "run").returncode == 0
    assert told(open_run(tmp_path / "run")) == told(view)


def test_a_run_with_repeats_can_be_lengthened(deltanas: Command, tmp_path: Path) -> None:
    short = ("search", *SMALL[:2], "--candidates", "2", "--train-size", "100", "--baseline", "mlp", "--run", "run")
    repeats = ("--seeds", "2", "--proposals", "2", "--epochs", "auto", "--rungs", "off")
    first = deltanas(*short, *repeats, "--cycles", "1")
    assert first.returncode == 0, first.stderr
    assert "+- " in first.stdout + first.stderr
    deltanas("search", "--run", "run", "--cycles", "2")
    rows = json.loads(deltanas("programs", "list", "--run", "run", "--json").stdout)
    assert [(row["cycle"], row["index"]) for row in rows] == [(1, 0), (1, 1), (2, 0), (2, 1)]
    for row in rows:
        assert len(row["accuracies"]) == 2
        assert row["accuracy"] == sum(row["accuracies"]) / 2
        assert row["standard_error"] == pytest.approx(abs(row["accuracies"][0] - row["accuracies"][1]) / 2)
    (counts,) = json.loads(deltanas("runs", "show", "run", "--json").stdout)["counts"]
    proposed = counts["proposals"][0]["of"]
    assert proposed >= 8, "two a slot"
    assert next(step for step in counts["slots"] if step["name"] == "filled") | {"low": 0, "high": 0} == {
        "name": "filled", "count": 4, "of": 4, "low": 0, "high": 0,
    }  # fmt: skip
    assert "valid" in deltanas("runs", "show", "run").stdout
    shorter = deltanas("search", "--run", "run", "--cycles", "1")
    assert shorter.returncode == 2
    assert "begun with `cycles` = 2" in shorter.stderr
    view = open_run(tmp_path / "run")
    assert view.finished
    assert len({final.program for final in view.finals}) == len(view.finals)


TRIPWIRE = "import os as _os; open({trap!r} + str(_os.getpid()), 'w').close()"


def test_no_candidate_runs_in_this_process(tmp_path: Path, deltanas: Command) -> None:
    """Every function of the contract, and the module itself, tells which process it runs in, if it can write at all."""
    trap = tmp_path / "traps"
    trap.mkdir(mode=0o777)
    trap.chmod(0o777)
    marker = TRIPWIRE.format(trap=f"{trap}/ran-in-")
    lines = []
    for line in nets.baseline("mlp").splitlines():
        lines.append(line)
        if line.rstrip().endswith(":") and line.lstrip().startswith("def "):
            lines.append(" " * (len(line) - len(line.lstrip()) + 4) + f"print('sprung'); {marker}")
    planted = tmp_path / "planted.py"
    planted.write_text(marker.replace("open(", "print('sprung'); open(") + "\n" + "\n".join(lines) + "\n")
    for command in (
        ("check", "planted.py", "--shape", "1x8x8", "--json"),
        ("evaluate", "planted.py", "--dataset", "digits", "--train-size", "50", "--json"),
        ("search", *SMALL, "--baseline", "planted.py", "--run", "run", "--json"),
    ):
        tool = deltanas(*command)
        assert "sprung" not in tool.stdout
        assert "sprung" not in tool.stderr.replace("print('sprung')", "")
        assert not (trap / f"ran-in-{os.getpid()}").exists()
    reached = "nothing can be written here" in tool.stdout + tool.stderr or list(trap.iterdir())
    assert reached, "the tripwire was never reached"
