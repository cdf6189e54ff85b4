"""Labels that nothing can tell, and a network that is known by its number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.suitability_leaks import leaks
from deltanas.study import Scores
from deltanas.study.predictors import PREDICTORS, TREES
from deltanas.study.standing import table_of


def test_dealt_labels_are_not_told_and_a_number_pays_by_rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TREES, "max_iter", 40)
    rng, rows = np.random.default_rng(3), []
    for family in range(20):
        level = rng.normal(0, 0.2)
        rows += [
            (f"F{family}-{number}", where, way * (level + 0.001 * number))
            for number in range(4)
            for where, way in zip("abcd", (1, -1, 1, -1), strict=True)
        ]
    table = table_of(Scores(*map(list, zip(*rows, strict=True))))
    features = {name: {"level": float(table.best[place, 0])} for place, name in enumerate(table.programs)}
    found: Any = leaks(table, features, "quantile", 2)
    assert found["dealt"].keys() == PREDICTORS.keys()
    shares = {name: one["share"]["value"] for name, one in found["dealt"].items()}
    assert all(abs(share - 0.5) < 0.15 for share in shares.values()), "on the true labels `code` is right in most"
    assert found["dealt"]["code"]["less majority"]["value"] == pytest.approx(shares["code"] - shares["majority"])
    rows_gain, families_gain = (found["identity"][f"by {what}"]["value"] for what in ("rows", "families"))
    assert rows_gain > max(0.2, families_gain + 0.1)
