"""Raw proposals: each step counts what it says, a file that was cut off is taken up, evolution has its own parents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.propose import STEPS, bench_propose, cell_name
from deltanas.config import SearchConfig, read_config
from deltanas.errors import DataError, UsageError
from deltanas.llm import Message, Reply, Request
from deltanas.nets import baseline


class Scripted:
    """Says one reply after the other."""

    name = "scripted"
    context = 100_000

    def __init__(self, replies: Sequence[str]) -> None:
        self.replies = list(replies)

    def count(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content) for message in messages)

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        return [Reply("prompt", self.replies.pop(0), True, 10, 20, 0.1) for _ in requests]


def block(old: str, new: str) -> str:
    return f"<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE"


HEAD = "        self.head = nn.Linear(hidden, classes)"
REPLIES = [
    "I would rather not.",
    block("        self.head = nn.Quadratic()", "        pass"),
    block(HEAD, f"{HEAD}  # the head"),
    block(HEAD, "        self.head = nn.Quadratic(hidden)"),
    block(HEAD, f"{HEAD}\n        self.unused = 1"),
    block(HEAD, "        self.head = nn.Sequential(nn.GELU(), nn.Linear(hidden, classes))"),
    block(HEAD, "        self.head = nn.Sequential(nn.GELU(), nn.Linear(hidden, classes, bias=True))"),
]


def config(**given: Any) -> SearchConfig:
    model = {"decoding": "free", "batch": 4}
    settings = {
        "strategy": "delta",
        "dataset": "digits",
        "baselines": ["mlp"],
        "model": model,
        "train": {"size": 200, "epochs": 1},
    }
    return read_config({**settings, **given})


def ran(folder: Path, n: int, replies: Sequence[str] = (), **given: Any) -> dict[str, Any]:
    return bench_propose(config(**given), n=n, folder=folder, say=lambda text: None, model=Scripted(replies))


def totals(result: dict[str, Any]) -> dict[str, int]:
    return {step["step"]: step["n"] for step in result["steps"]}


def test_each_step_counts_what_it_says(tmp_path: Path) -> None:
    assert HEAD in baseline("mlp")
    result = ran(tmp_path, len(REPLIES), REPLIES)
    assert totals(result) == dict(zip(STEPS, (7, 6, 5, 4, 3, 3, 2, 1), strict=True))
    for step in result["steps"]:
        assert step["low"] <= step["share"] == step["n"] / 7 <= step["high"]
    assert result["refused"] == {"parse": 1, "apply": 1}
    assert result["rungs"] == {"exact": 5}
    assert (result["prompt_tokens"], result["reply_tokens"]) == (10, 20)
    assert 0 < result["tokens_of_code"] < 20 / 1000
    assert result["commit"] is None or len(result["commit"]) == 40


@pytest.mark.slow
def test_what_is_there_is_taken_up_and_not_asked_again(tmp_path: Path) -> None:
    whole = ran(tmp_path / "whole", 7, REPLIES)
    ran(tmp_path / "part", 4, REPLIES[:4])
    (file,) = (tmp_path / "part").iterdir()
    with file.open("a") as out:
        out.write('{"index": 4, "net": "cut off')
    part = ran(tmp_path / "part", 7, REPLIES[4:])
    assert part["steps"] == whole["steps"]
    again = ran(tmp_path / "part", 7)
    assert again["steps"] == whole["steps"]
    assert [json.loads(line)["index"] for line in file.read_text().splitlines()[1:]] == list(range(7))


@pytest.mark.slow
def test_a_file_of_another_cell_is_refused(tmp_path: Path) -> None:
    ran(tmp_path, 4, REPLIES)
    with pytest.raises(DataError, match="other settings"):
        ran(tmp_path, 4, REPLIES, seed=1)


def test_baselines_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no baselines"):
        ran(tmp_path, 4, REPLIES, baselines=[])


def test_cells_have_names() -> None:
    assert cell_name(config(strategy="random")) == "random"
    assert cell_name(config()) == "smollm2 free"
    assert cell_name(config(strategy="full", model={"spec": "gguf:/a/qwen.gguf"})) == "qwen.gguf full"


@pytest.mark.slow
def test_evolution_edits_what_it_made(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "strategy": "evolution",
        "evolution": {"population": 2, "share": 1},
        "train": {"size": 200, "epochs": 1},
    }
    result = ran(tmp_path / "whole", 12, **given)
    assert totals(result)["valid"] == 12
    (file,) = (tmp_path / "whole").iterdir()
    rows = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    assert {row["origin"] for row in rows[:8]} == {baseline("mlp")}
    # Of the last two that were made, the better one; the baseline has died of age.
    best = max(rows[6:8], key=lambda row: row["accuracy"])
    assert {row["origin"] for row in rows[8:]} == {best["source"]}
    ran(tmp_path / "part", 8, **given)
    ran(tmp_path / "part", 12, **given)
    kept = [json.loads(line) for line in (tmp_path / "part" / file.name).read_text().splitlines()[1:]]
    assert [row["source"] for row in kept] == [row["source"] for row in rows]


OP = "        transforms.{},"
EMPTY_LIST = "    return transforms.Compose([])"


def one(call: str) -> str:
    return block(EMPTY_LIST, f"    return transforms.Compose([\n{OP.format(call)}\n    ])")


def test_proposals_for_a_transform_are_counted_as_those_for_a_network(tmp_path: Path) -> None:
    """The first four parents have no transform; digits are grey."""
    replies = [
        "Reason: Digits lean to both sides.\n" + one("RandomRotation(degrees=(-15, 15))"),
        one("Grayscale()"),
        one("Mixup(alpha=0.2)"),
        block("    return None", "    return transforms.Compose([])"),
    ]
    model = {"decoding": "free", "batch": 4, "reason": True}
    result = ran(tmp_path, 4, replies, edits="transform", model=model)
    assert totals(result) == dict(zip(STEPS, (4, 4, 3, 3, 2, 2, 1, 1), strict=True))
    assert result["cell"] == "smollm2 free reason transform"
    again = ran(tmp_path, 4, edits="transform", model=model)
    assert again["steps"] == result["steps"]


@pytest.mark.slow
def test_typed_proposals_for_transforms_are_all_valid(tmp_path: Path) -> None:
    """Here the control draws; each turn has parents of its own, so that none of them runs out of edits."""
    result = bench_propose(config(strategy="random", edits="transform"), n=24, folder=tmp_path, say=lambda text: None)
    assert totals(result)["effective"] == 24
