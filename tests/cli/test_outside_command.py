"""A run that anyone fills, from the command line: the shapes of its JSON, and what it says of mistakes."""

from __future__ import annotations

import json
from pathlib import Path

from support import Command

EDIT = """<<<<<<< SEARCH
        width = 256
=======
        width = 250
>>>>>>> REPLACE
"""


def test_ask_tell_and_tell_again(deltanas: Command, tmp_path: Path) -> None:
    begun = "search --strategy outside --dataset digits --baseline mlp --cycles 1 --candidates 2 --run run --quiet"
    found = deltanas(*begun.split(), "--set", "outside.control=0")
    assert found.returncode == 0, found.stderr
    assert "open to askers: deltanas ask run --json (2 slots)" in found.stdout

    asked = json.loads(deltanas("ask", "run", "--json", "--as", "ann").stdout)
    assert {"slot", "parent", "source", "known", "limits"} <= asked.keys()
    assert "class Net" in asked["source"]
    (tmp_path / "edit.txt").write_text(EDIT)
    told = deltanas("tell", "run", asked["slot"], "--edit", "edit.txt", "--note", "narrower", "--json")
    assert told.returncode == 0, told.stderr
    verdict = json.loads(told.stdout)
    shape = ("slot", "status", "accuracy", "gain", "low", "high", "better", "verdict", "reason")
    assert tuple(verdict)[: len(shape)] == shape
    assert (verdict["slot"], verdict["status"], verdict["verdict"]) == (asked["slot"], "trained", "not shown")
    assert verdict["low"] <= verdict["gain"] <= verdict["high"]
    assert 0 < verdict["better"] < 1
    again = deltanas("tell", "run", asked["slot"], "--json")
    assert json.loads(again.stdout) == verdict
    assert json.loads(deltanas("verdict", "run", "1.0", "--json").stdout)["gain"] == verdict["gain"]

    other = deltanas("tell", "run", asked["slot"], "--edit", "edit.txt", "--json")
    assert (json.loads(other.stdout), "was told before" in other.stderr) == (verdict, True)

    for name, text, said in (("empty.txt", " \n", "is empty"), ("plain.py", "class Small: ...\n", "deltanas adapt")):
        (tmp_path / name).write_text(text)
        for command in (("try", "run", name), ("tell", "run", "1.1", "--edit", name))[
            : 2 if name == "empty.txt" else 1
        ]:
            nothing = deltanas(*command)
            assert (nothing.returncode, said in nothing.stderr) == (2, True)
    unknown = deltanas("try", "run", "edit.txt", "--kind", "luck")
    assert unknown.returncode == 2
    assert "is no kind of edit" in unknown.stderr, "and the one slot that is left is given to nobody for it"
    same = deltanas("try", "run", "edit.txt")
    assert same.returncode == 0
    assert "verdict: same" in same.stdout
    assert "or end it" in deltanas("ask", "run").stdout
    foreign = deltanas("tell", "run", "1.0.0000000000000000", "--edit", "edit.txt")
    assert foreign.returncode == 2
    assert "is nobody's" in foreign.stderr

    ended = deltanas("search", "--run", "run", "--quiet", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["trained"] == 1
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "Who proposed what" in page
    assert "narrower" in page
    answered = deltanas("ask", "run").stdout
    assert "no slot: all slots are told" in answered
    assert "or end it" not in answered
    untried = deltanas("try", "run", "edit.txt")
    assert untried.returncode == 1
    assert "no slot: all slots are told" in untried.stdout


def test_where_a_transform_is_edited_one_is_asked_for_and_tried(deltanas: Command, tmp_path: Path) -> None:
    begun = "search --strategy outside --edits transform --dataset digits --baseline mlp --cycles 1 --candidates 2"
    sets = "--epochs 1 --set outside.control=0 --set transforms=none --set train.size=200 --run run --quiet"
    found = deltanas(*begun.split(), *sets.split())
    assert found.returncode == 0, found.stderr
    asked = json.loads(deltanas("ask", "run", "--json").stdout)
    program = asked["limits"]["answer"]["program"]
    assert "transforms.RandomInvert(p=0.5)" in program
    assert "class Net" not in program
    (tmp_path / "net.py").write_text("class Net: ...\ndef supported_hyperparameters(): ...\n")
    wrong = deltanas("try", "run", "net.py")
    assert (wrong.returncode, "neither an edit nor a transform" in wrong.stderr) == (2, True)
    text = (
        "import torchvision.transforms as transforms\n\n\ndef transform(norm):\n    return transforms.Compose([{}])\n"
    )
    (tmp_path / "long.py").write_text(text.format(f"transforms.RandomSolarize(threshold=0x{'f' * 3600})"))
    told = deltanas("tell", "run", asked["slot"], "--program", "long.py")
    assert "verdict: refused" in told.stdout, told.stderr
    assert "line 5: syntax error: a whole number of more than 4,300 digits" in told.stdout
    (tmp_path / "invert.py").write_text(text.format("transforms.RandomInvert(p=0.5)"))
    tried = deltanas("try", "run", "invert.py")
    assert "status: trained" in tried.stdout, tried.stderr


def test_a_run_of_another_strategy_is_not_open(deltanas: Command) -> None:
    begun = "search --strategy random --dataset digits --baseline mlp --cycles 1 --candidates 1 --run run --quiet"
    assert deltanas(*begun.split(), "--set", "finals=0").returncode == 0
    found = deltanas("ask", "run")
    assert found.returncode == 2
    assert "filled by strategy random" in found.stderr
    assert "--strategy outside" in found.stderr
    waits = deltanas("search", "--strategy", "outside", "--seeds", "auto", "--run", "other")
    assert waits.returncode == 2
    assert "deltanas tell --settle" in waits.stderr
