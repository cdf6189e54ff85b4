"""Two commands on one run within seconds, and a run whose begin failed: clear messages, nothing lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deltanas import nets, open_run
from deltanas.config import read_config
from deltanas.records import RunView
from deltanas.settings import given_settings, setting
from deltanas.wiring import _new_path
from support import ARGUMENTS, SMALL, Command

pytestmark = pytest.mark.timeout(300)
DELTANAS = str(Path(sys.executable).with_name("deltanas"))


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [DELTANAS, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def settled(view: RunView) -> list[object]:
    return [(c.cycle, c.index, c.program and c.program.id, c.score) for c in view.candidates]


def test_of_two_searches_that_begin_one_run_one_goes_on_and_the_other_says_why_not(
    tmp_path: Path, deltanas: Command, undisturbed: tuple[RunView, str, float]
) -> None:
    both = [started(tmp_path, *ARGUMENTS, "run", "--quiet") for _ in range(2)]
    said = [each.communicate()[1] for each in both]
    ended = sorted(zip([each.returncode for each in both], said, [each.pid for each in both], strict=True))
    assert ended[0][0] == 0, said
    reason = (
        rf"run 'run' is being written by process {ended[0][2]}|another command has just begun and ended a run in run"
    )
    assert ended[1][0] in (1, 2)
    assert re.search(reason, ended[1][1])
    assert settled(open_run(tmp_path / "run")) == settled(undisturbed[0])
    assert deltanas(*ARGUMENTS, "run").returncode == 0, "the hint: run it again"


@pytest.mark.slow
def test_who_reads_disturbs_no_search_and_a_killed_one_is_taken_up_at_once(
    tmp_path: Path, deltanas: Command, undisturbed: tuple[RunView, str, float]
) -> None:
    search = started(tmp_path, *ARGUMENTS, "run", "--quiet")
    while not (tmp_path / "run" / "run.json").exists():
        assert search.poll() is None
        time.sleep(0.02)
    search.send_signal(signal.SIGSTOP)  # wherever it is: in the middle of a write too
    for line in (
        ("runs", "show", "run"),
        ("programs", "list", "run"),
        ("report", "run", "--out", "page.html"),
        ("runs", "export", "run", "--out", "best", "--epochs", "0"),
        ("runs", "list", "--runs", "."),
    ):
        done = deltanas(*line)
        assert done.returncode == 0, (line, done.stderr)
    done = deltanas("search", "--run", "run")
    assert done.returncode == 1
    assert f"run 'run' is being written by process {search.pid}" in done.stderr
    search.kill()
    done = deltanas("search", "--run", "run", "--quiet")
    search.communicate()
    assert done.returncode == 0, done.stderr
    assert settled(open_run(tmp_path / "run")) == settled(undisturbed[0])


@pytest.mark.parametrize(
    "wrong",
    [
        ("--prm", "lr=-1"),
        pytest.param(("--max-params", "1"), marks=pytest.mark.slow),
        pytest.param(("--max-flops", "1"), marks=pytest.mark.slow),
        pytest.param(("--baseline", "broken.py"), marks=pytest.mark.slow),
        pytest.param(("--set", "prm.momentum=-3"), marks=pytest.mark.slow),
    ],
)
def test_a_begin_that_failed_takes_other_settings(tmp_path: Path, deltanas: Command, wrong: tuple[str, str]) -> None:
    (tmp_path / "broken.py").write_text(nets.baseline("mlp").replace("def forward", "def backward"))
    usual = () if wrong[0] == "--baseline" else ("--baseline", "mlp")
    small = ("search", *SMALL, "--cycles", "1", "--candidates", "1", "--run", "run")
    failed = deltanas(*small, *usual, *wrong)
    assert failed.returncode == 1
    assert "no baseline could be trained" in failed.stderr
    done = deltanas(*small, "--baseline", "mlp")
    assert done.returncode == 0, done.stderr
    assert open_run(tmp_path / "run").finished
    if wrong[0] == "--prm":
        done = deltanas(*small, "--baseline", "mlp", *wrong)
        assert done.returncode == 2, "what holds candidates keeps its settings"


def test_searches_that_begin_in_one_second_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = read_config({"strategy": "random"})
    assert len({_new_path(config) for _ in range(20)}) == 20
    assert len(list((tmp_path / "runs").iterdir())) == 20


def test_an_option_that_is_a_setting_is_told_how_to_be_given(deltanas: Command) -> None:
    for option, value in (
        ("finals", "2"),
        ("retries", "1"),
        ("top-k", "50"),
        ("threshold", "0.9"),
        ("lemur-programs", "3"),
    ):
        done = deltanas("search", "--strategy", "random", f"--{option}={value}", "--dry-run")
        assert (done.returncode, done.stdout) == (2, "")
        assert f"no option --{option}" in done.stderr
        hint = re.search(r"--set (\S+)", done.stderr)
        assert hint is not None
        read_config(given_settings(options=dict([setting(hint[1])])))
    assert "No such option: --final" in deltanas("search", "--final", "2").stderr
    spaced = deltanas("search", "--strategy", "random", "--set", "cycles = 3", "--dry-run")
    assert "3 cycles of" in spaced.stdout


def test_a_run_is_named_in_its_place_or_as_an_option(
    deltanas: Command, undisturbed: tuple[RunView, str, float]
) -> None:

    run = json.loads(undisturbed[1].splitlines()[-1])["run"]
    first, second = deltanas("programs", "list", run), deltanas("programs", "list", "--run", run)
    assert first.stdout == second.stdout != ""
    for none in ((), (run, "--run", run)):
        done = deltanas("programs", "list", *none)
        assert done.returncode == 2
        assert "name one run" in done.stderr


def test_a_broken_run_hides_no_other(
    tmp_path: Path, deltanas: Command, undisturbed: tuple[RunView, str, float]
) -> None:
    (tmp_path / "whole").symlink_to(json.loads(undisturbed[1].splitlines()[-1])["run"])
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    done = deltanas("runs", "list", "--runs", ".", "--json")
    assert (done.returncode, [row["run"] for row in json.loads(done.stdout)]) == (0, ["whole"])
    assert "broken is broken: broken/run.json is damaged" in done.stderr


def test_a_report_that_cannot_be_written_names_the_report(tmp_path: Path) -> None:
    from deltanas.whole import write_whole

    with pytest.raises(OSError, match="No such file") as missing:
        write_whole(tmp_path / "nowhere" / "report.html", "x")
    assert missing.value.filename == str(tmp_path / "nowhere" / "report.html")
    if os.getuid():
        tmp_path.chmod(0o500)
        with pytest.raises(PermissionError) as refused:
            write_whole(tmp_path / "report.html", "x")
        assert refused.value.filename == str(tmp_path / "report.html")
