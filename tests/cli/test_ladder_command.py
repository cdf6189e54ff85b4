"""A search with rungs, as a user gives it: lengths, final training, and baselines that are trained once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deltanas.archive import read_folder
from support import Command

SEARCH = ("search", "--strategy", "random", "--baseline", "mlp", "--train-size", "300", "--rungs", "1,2")
SETTINGS = ("--cycles", "1", "--candidates", "4", "--final-epochs", "3", "--set", "finals=1")


def test_a_laddered_search_and_another_one_beside_it(
    deltanas: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELTANAS_CACHE", str(tmp_path / "cache"))
    done = deltanas(*SEARCH, *SETTINGS, "--run", "run")
    assert done.returncode == 0, done.stderr
    assert "training the baselines, 2 epochs each (1)" in done.stderr
    assert "training on the most promising, 2 epochs each (1)" in done.stderr
    rows = json.loads(deltanas("programs", "list", "--run", "run", "--baselines", "--json").stdout)
    trained = [row for row in rows if row["score"] is not None]
    assert [row["rung"] for row in trained if not row["cycle"]] == [2]
    assert sorted(row["rung"] for row in trained if row["cycle"])[-1] == 2
    assert {row["applied"] for row in trained if row["cycle"]} == {"exact"}
    again = deltanas(*SEARCH, *SETTINGS, "--run", "other")
    assert "from the cache" in again.stderr
    anew = deltanas(*SEARCH, *SETTINGS, "--run", "anew", "--set", "train.cache=false")
    assert "from the cache" not in anew.stderr
    found = {}
    for name in ("run", "other", "anew"):
        with read_folder(tmp_path / name).open() as run:
            view = run.view()
        found[name] = [(each.epochs, getattr(each, "score", None)) for c in view.candidates for each in c.trainings]
        base = view.candidates[0].trainings
        assert [getattr(each, "cached", None) for each in base] == [name == "other"] * 2
        assert {final.outcome.epochs for final in view.finals} <= {3}
        assert not any(getattr(final.outcome, "cached", False) for final in view.finals)
    assert found["run"] == found["other"] == found["anew"], "what is read is what would have been trained"
    shown = deltanas("runs", "show", "run")
    assert shown.returncode == 0, shown.stderr
    assert ("scores are after 2 epochs" in shown.stdout) == any(row["rung"] == 1 for row in trained)
