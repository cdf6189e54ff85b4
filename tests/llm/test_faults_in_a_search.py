"""A search with a server that does everything wrong in turn: a fault costs one candidate, and the archive says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from deltanas.errors import ModelError
from deltanas.llm.server import KEY
from deltanas.narrate import Narrator
from deltanas.nets import baseline
from deltanas.program import Refused, diff
from deltanas.wiring import open_search
from faulty_server import FAULTS, Server, answers, says

EDIT = diff(baseline("mlp"), baseline("mlp").replace("nn.GELU", "nn.SiLU").replace("nn.ReLU", "nn.SiLU"))
SETTINGS = {
    "dataset": "digits",
    "strategy": "delta",
    "cycles": 1,
    "retries": 0,
    "proposals": 1,
    "finals": 0,
    "baselines": ["mlp"],
    "train": {"size": 100, "epochs": 1, "workers": 1},
}


def settings(server: Server, candidates: int) -> dict[str, object]:
    model = {"spec": server.spec, "decoding": "free", "timeout": 2.0, "retries": 0, "batch": 4}
    return {**SETTINGS, "candidates": candidates, "model": model}


def test_each_fault_costs_one_candidate(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-very-secret")
    server.plan = [
        says("yes"),
        *(fault for fault, _ in FAULTS.values()),
        answers(401, "bad key sk-very-secret"),
        says(EDIT),
    ]
    wanted = settings(server, len(FAULTS) + 2)
    with Narrator(quiet=True) as narrator, open_search(wanted, tmp_path / "run", narrator) as opened:
        assert opened.search is not None
        opened.search.run()
        view = opened.run.view()
    made = [one for one in view.candidates if one.cycle == 1]
    reasons = [one.outcome.reason for one in made if isinstance(one.outcome, Refused)]
    assert len(made) == len(FAULTS) + 2
    assert len(reasons) == len(FAULTS) + 1
    expected = [words for _, words in FAULTS.values()]
    for words in expected:
        assert sum(words in reason for reason in reasons) >= expected.count(words), words
    assert sum(one.score is not None for one in made) == 1
    assert all(one.attempts[0].calls[0].prompt for one in made)
    for file in (tmp_path / "run").rglob("*"):
        assert file.is_dir() or b"sk-very-secret" not in file.read_bytes()


def test_a_server_that_goes_ends_the_search_which_can_be_resumed(server: Server, tmp_path: Path) -> None:
    server.plan = [says("yes")]
    with Narrator(quiet=True) as narrator, open_search(settings(server, 2), tmp_path / "run", narrator) as opened:
        assert opened.search is not None
        server.shutdown()
        server.server_close()
        with pytest.raises(ModelError, match="is gone"):
            opened.search.run()
        assert [one.cycle for one in opened.run.view().candidates] == [0]
