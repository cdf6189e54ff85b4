"""The table of suitability: what is trained on what, and what is read off a table that says what it should."""

from __future__ import annotations

from math import comb, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.suggestions import first_three
from benchmarks.suitability_table import DENSE, EPOCHS, PERMUTED, PLAIN, _changed, chosen, controls, derived
from deltanas import nets
from deltanas.errors import UsageError
from deltanas.intervals import wilson
from deltanas.train.data import Dataset, Images
from deltanas.train.data.records import Provenance
from deltanas.train.data.splits import require_sound
from deltanas.whole import append_rows


def test_edits_are_of_the_baselines_and_equal_in_every_call() -> None:
    found = chosen(12)
    assert list(found)[: len(nets.baselines())] == list(nets.baselines())
    assert len(found) == len(nets.baselines()) + 12
    assert {name.partition("-")[0] for name in found} == set(nets.baselines())
    assert {name: program.id for name, program in chosen(12).items()} == {n: p.id for n, p in found.items()}
    assert len({program.id for program in found.values()}) == len(found)


def test_sets_differ_from_the_published_one_as_they_say() -> None:
    rng = np.random.default_rng(0)
    images = Images(rng.integers(0, 256, (50, 1, 28, 28), dtype=np.uint8), np.arange(50) % 10)
    permuted = _changed(PERMUTED, images)
    assert np.array_equal(np.sort(permuted.x.reshape(50, -1)), np.sort(images.x.reshape(50, -1)))
    flat, moved = (one.x.reshape(50, -1) for one in (images, permuted))
    order = [int(np.flatnonzero((flat == moved[:, [pixel]]).all(axis=0))[0]) for pixel in range(20)]
    assert order != list(range(20)), "all images in one order, and another one"
    assert np.array_equal(permuted.y, images.y)
    small = _changed("inverted-14", images)
    assert small.x.shape == (50, 1, 14, 14)
    assert small.x[0, 0, 0, 0] == 255 - round(float(images.x[0, 0, :2, :2].mean()))
    two = _changed("two-classes", images)
    assert set(two.y.tolist()) == {0, 1}
    assert len(two.y) == 10


@pytest.mark.parametrize("name", [name for name in EPOCHS if name not in ("digits", PLAIN)])
def test_each_set_is_one_that_a_pool_takes(name: str) -> None:
    rng = np.random.default_rng(0)
    images = Images(rng.integers(0, 256, (60, 1, 28, 28), dtype=np.uint8), np.arange(60) % 10)
    names = tuple(f"class-{number}" for number in range(10))
    made = derived(name, Dataset(PLAIN, images, images, images, 10, source=Provenance(names=names)))
    require_sound(name, made)
    assert made.source.names == (("class-0", "class-6") if name == "two-classes" else names)


def rows(seeds: int = 2) -> list[dict[str, Any]]:
    """Dense networks are bad on plain pixels and good on permuted ones; other sets are luck."""
    rng = np.random.default_rng(1)
    made = []
    for name in chosen(17):
        dense = name.partition("-")[0] in DENSE
        own = {where: float(rng.random()) * 0.3 for where in EPOCHS}
        own[PLAIN], own[PERMUTED] = (
            (0.4 if dense else 0.8) + own[PLAIN] / 10,
            (0.8 if dense else 0.4) + own[PERMUTED] / 10,
        )
        for seed in range(seeds):
            for where, score in own.items():
                made.append(
                    {"program": name, "dataset": where, "seed": seed, "score": score + 1e-4 * seed, "failure": None}
                )
    return made


def test_the_positive_control_and_the_reliability_are_read_off_the_table() -> None:
    table = rows()
    table[0] |= {"score": None, "failure": "time limit"}
    found: Any = controls(table)
    assert found["failed"] == 1
    assert found["reliability"]["value"] > 0.95
    places = found["places gained on permuted pixels"]
    assert all(places["by family"][name] > 0.3 for name in DENSE)
    assert places["others"]["value"] < 0
    assert found["clear"]["n"] > 15
    scored = [row for row in table if row["score"] is not None]
    turned = [{**row, "score": 1 - row["score"]} for row in scored if row["seed"] and row["program"].startswith("mlp")]
    lucky = [*(row for row in scored if not row["seed"] or not row["program"].startswith("mlp")), *turned]
    told: Any = controls(lucky)["reliability"]
    wide = wilson(told["value"] * told["n"], told["n"])
    assert told["high"] - told["low"] > 2 * (wide.high - wide.low), (
        "one family differs, and its pairs are not independent"
    )
    with pytest.raises(UsageError, match="one seed, or none"):
        controls(rows(1))


def test_the_first_three_are_named_by_the_other_sets_and_stand_beside_the_best_and_chance(
    tmp_path: Path,
) -> None:
    names = list(nets.baselines())
    table = [
        {"program": name, "dataset": where, "epochs": 1, "seed": seed, "score": score + 0.01 * seed}
        for where, gain in (("a", 0.01), ("b", 0.02), ("odd", -0.03))
        for place, name in enumerate(names)
        for seed, score in enumerate([0.5 + gain * place] * 2)
    ]
    append_rows(tmp_path / "table.jsonl", [*table, {**table[0], "program": "mlp-7", "score": 1.0}])
    found: Any = first_three(tmp_path / "table.jsonl")
    assert found["odd"]["networks"] == len(names)
    assert found["odd"]["first"] == names[:-4:-1], "by the two other sets"
    assert found["odd"]["best"] == names[0]
    assert found["odd"]["noise"] == pytest.approx(1.96 * 0.01 / sqrt(2), abs=1e-4)
    assert found["odd"]["gap to the best"] == pytest.approx(0.03 * (len(names) - 3))
    assert not found["odd"]["within noise of the best"]
    assert found["odd"]["mean"] < found["odd"]["by chance"]["mean"]
    again = [row for row in table if row["dataset"] != "odd"]
    append_rows(tmp_path / "even.jsonl", again)
    even: Any = first_three(tmp_path / "even.jsonl")["a"]
    assert even["within noise of the best"]
    assert even["gap to the best"] == 0
    # Two lie within .0139 of the best: the best itself and its neighbour.
    assert even["by chance"]["within noise of the best"] == pytest.approx(1 - comb(15, 3) / comb(17, 3), abs=1e-3)
