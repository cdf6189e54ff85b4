"""Speed of decoding: that every level and batch is measured in each turn, and that tokens are counted fairly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.decode import BATCHES, bench_decode
from deltanas.errors import DeltanasError

pytest_plugins = ["tiny_model"]


def measured(folder: Path, **changes: Any) -> dict[str, Any]:
    settings = {"dtype": None, "net": "mlp", "repeats": 1, "max_tokens": 120, "say": lambda text: None}
    return bench_decode(f"path:{folder}", **{**settings, **changes})


def test_levels_and_batches_are_measured_in_turns(tiny_folder: Path) -> None:
    result = measured(tiny_folder)
    turns = result["turns"]
    keys = [(level, batch) for level in ("free", "typed") for batch in BATCHES]
    assert [(turn["level"], turn["batch"]) for turn in turns] == keys
    for turn in turns:
        assert 0 < turn["grammar"] < turn["decode"] < turn["whole"] or turn["level"] == "free"
        # The first token of each reply comes with the prompt; the mark that ends a reply is no token of it.
        assert turn["drawn"] <= turn["tokens"] - turn["forced"]
        assert (turn["forced"] > 0) == (turn["level"] == "typed")
    for rate in result["rates"]:
        same = [t["drawn"] / t["decode"] for t in turns if (t["level"], t["batch"]) == (rate["level"], rate["batch"])]
        assert (rate["low"], rate["high"]) == (min(same), max(same))
    assert {(ratio["batch"], ratio["kept"] is None) for ratio in result["ratios"]} == {(8, False), (16, True)}


def test_an_unknown_baseline_is_a_message(tiny_folder: Path) -> None:
    with pytest.raises(DeltanasError, match="no baseline"):
        measured(tiny_folder, net="alexnet")
