from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.space import bench_space
from deltanas.nets import baselines


@pytest.mark.slow
def test_a_round_of_draws_is_valid_counted_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELTANAS_CACHE", str(tmp_path / "cache"))
    said: list[str] = []
    result = bench_space(None, draws=1, seed=0, out=tmp_path / "out.json", say=said.append)
    written = json.loads((tmp_path / "out.json").read_text())
    n = len(baselines())
    assert written == json.loads(json.dumps(result))
    assert (written["draws"], written["bases"], written["space_found_for"]) == (n, n, f"{n} of {n}")
    shares = {share["share"]: share for share in written["shares"]}
    assert shares["valid"]["value"] == shares["effective"]["value"] == 1.0
    assert shares["judged alike by a second check"] == shares["judged alike by a second check"] | {"n": n, "value": 1.0}
    assert shares["edits looked at: valid"]["n"] >= n
    assert sum(kind["draws"] for kind in written["kinds"]) == n
    assert said[0].startswith(f"round 1 of 1: {n} draws")
