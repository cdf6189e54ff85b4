"""The corpus of widths: every line is checked, none comes twice, a file that was cut off is gone on from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.mutants import _resumed, write_mutants
from deltanas.errors import UsageError
from deltanas.nets import baselines
from deltanas.program import apply_edit

NETS = ("mlp", "vgg")


def write(out: Path, mutants: int) -> dict[str, object]:
    return write_mutants(None, out, mutants=mutants, seed=3, nets_only=NETS, say=lambda _: None)


def test_a_corpus_is_checked_and_resumed(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    result = write(whole, 12)
    assert (result["mutants"], result["verified"], result["bar_kept"]) == (12, 12, True)
    lines = [json.loads(line) for line in whole.read_text().splitlines()]
    assert {line["base"] for line in lines} == set(NETS)
    assert len({(line["base"], *line["asked"].values(), len(line["asked"])) for line in lines}) == 12
    for line in lines:
        assert line["found"] == line["asked"] != line["had"]
        assert line["params"] > 0
        assert apply_edit(baselines()[line["base"]], line["edit"]).rung == "exact"
    cut.write_text("".join(f"{line}\n" for line in whole.read_text().splitlines()[:5]) + '{"base": "v')
    write(cut, 12)
    assert cut.read_text() == whole.read_text()
    with pytest.raises(UsageError, match="line 1 is another mutant"):
        _resumed(cut, iter(()))
    cut.write_text("[]\n")
    with pytest.raises(UsageError, match="line 1 is no mutant"):
        _resumed(cut, iter(()))
    with pytest.raises(UsageError, match="no network magic"):
        write_mutants(None, cut, mutants=1, seed=0, nets_only=("magic",), say=lambda _: None)
