"""A search with a server that thinks aloud, answers in several blocks or offers alternatives: what is trained of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deltanas.narrate import Narrator
from deltanas.nets import baseline
from deltanas.program import Refused
from deltanas.wiring import open_search
from faulty_server import Say, Server, completion, says
from support import block

DRAFT = block("        dropout = 0.1", "        dropout = 0.9")


def width(value: int) -> str:
    return block("        hidden = 128", f"        hidden = {value}")


def reasoned(thought: str, text: str | None, end: str = "stop") -> Say:
    said = completion(text, end=end)
    said["choices"][0]["message"]["reasoning_content"] = thought
    return lambda handler, _: handler.send(200, json.dumps(said))


TRAINED = [
    says(f"<think>\n{DRAFT}Far too much.\n</think>\n\n{width(64)}"),
    says(f"{DRAFT}Far too much.\n</think>\n\n{width(72)}"),
    reasoned(f"{DRAFT}Far too much.", width(80)),
    says(f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{width(88)}"),
    says(f"Both belong together.\n\n{block('        dropout = 0.1', '        dropout = 0.05')}\n{width(96)}"),
]
REFUSED = {
    "ends within its thought": says(f"<think>\n{DRAFT}", end="length"),
    "after 3 tokens": reasoned(DRAFT, None, "length"),
    "offers alternatives": says(f"Option 1:\n{DRAFT}\nOption 2:\n{width(104)}"),
    "overlap at line": says(f"{width(112)}\n{width(120)}"),
    "was cut off": says(f"{width(136)}\nAnd then", end="length"),
}


def test_the_answer_alone_is_trained_and_all_of_it(server: Server, tmp_path: Path) -> None:
    server.plan = [says("yes"), *TRAINED, *REFUSED.values()]
    model = {"spec": server.spec, "decoding": "free", "timeout": 5.0, "retries": 0, "batch": 1}
    count = len(TRAINED) + len(REFUSED)
    wanted: dict[str, Any] = {
        "dataset": "digits",
        "strategy": "delta",
        "cycles": 1,
        "retries": 0,
        "proposals": 1,
        "finals": 0,
        "baselines": ["mlp"],
        "train": {"size": 100, "epochs": 1, "workers": 1},
        "candidates": count,
        "model": model,
    }
    with Narrator(quiet=True) as narrator, open_search(wanted, tmp_path / "run", narrator) as opened:
        assert opened.search is not None
        opened.search.run()
        made = [one for one in opened.run.view().candidates if one.cycle == 1]
    source = baseline("mlp")
    nets = [one.program.net for one in made if one.program]
    widths = [source.replace("hidden = 128", f"hidden = {64 + 8 * n}") for n in range(5)]
    assert nets == [*widths[:4], widths[4].replace("dropout = 0.1", "dropout = 0.05")]
    assert all(one.score is not None for one in made[: len(TRAINED)])
    for one, words in zip(made[len(TRAINED) :], REFUSED, strict=True):
        assert isinstance(one.outcome, Refused)
        assert words in one.outcome.reason
    replies = [one.attempts[0].calls[0].reply for one in made]
    assert sum("dropout = 0.9" in reply for reply in replies) == 7, "thoughts and drafts are kept, every one"
