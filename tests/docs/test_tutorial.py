"""The tutorial's own lines, in their order and in an empty folder, lead from pictures to the classes of new ones."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial-own-images.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(python|console)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def ran(kind: str, text: str, folder: Path) -> list[tuple[str, str, str]]:
    """Each command with the lines that the page shows for it, and what it printed."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    commands = [(f"{shlex.quote(sys.executable)} -c {shlex.quote(text)}", "")]
    if kind == "console":
        parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
        commands = [(command, shown) for command, _, shown in (part.partition("\n") for part in parts)]
    found = []
    for command, shown in commands:
        done = subprocess.run(
            ["/bin/bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        found.append((command, shown, done.stdout + done.stderr))
    return found


def columns(line: str) -> str:
    """A line with each figure as one sign: they depend on the machine, in the last place or by a picture."""
    return re.sub(r"\d[\d,.e-]*", "#", " ".join(line.split()))


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_its_lines_lead_from_a_folder_of_pictures_to_the_classes_of_new_ones(tmp_path: Path) -> None:
    printed = {command: (shown, out) for kind, text in BLOCKS for command, shown, out in ran(kind, text, tmp_path)}
    assert len(printed) == 12
    said = {command.split()[1] if "deltanas" in command else command: out for command, (_, out) in printed.items()}
    assert "1,700 images of 1 x 8 x 8: 1,020 to train, 340 to validate, 340 to test; 10 classes" in said["search"]
    for command in ("deltanas predict best new", "ls best/01-*"):
        shown, out = printed[command]
        lines = {columns(line) for line in out.splitlines()}
        assert {columns(line) for line in shown.splitlines() if line != "..."} <= lines, out
    rows = [line.split() for line in printed["deltanas predict best new"][1].splitlines()[1:]]
    truth = load_digits().target
    right = sum(NAMES[truth[int(Path(file).stem)]] == label for file, label, _ in rows)
    assert len(rows) == 97
    assert right / len(rows) > 0.8
    (entry,) = json.loads((tmp_path / "named.json").read_text("utf-8"))
    assert [entry["file"], entry["label"]] == rows[0][:2]
    assert sorted(entry["probabilities"]) == sorted(NAMES)


def test_every_command_of_the_page_is_one_that_is_run() -> None:
    told = re.findall(r"^\$? *(deltanas \w+)", PAGE, re.MULTILINE)
    run = [line for kind, text in BLOCKS if kind == "console" for line in re.findall(r"^\$ (deltanas \w+)", text, re.M)]
    assert told == run
    assert {"deltanas search", "deltanas runs", "deltanas predict"} <= set(run)
