"""A forecast that grows with a run is the one that all rows at once give."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from deltanas.forecast import Forecaster, Row, builtin, fitted, rows_of
from deltanas.forecast.ridge import FEWEST, PENALTY, UNEXPLAINED, Floats, Sums, centred
from deltanas.foretold import Foretelling, foretold
from deltanas.journal import Journal
from deltanas.learn.sources import OwnEdits
from deltanas.records import Candidate
from forecast.test_forecaster import journal, trained


def directly(rows: list[Row]) -> tuple[list[str], Floats, Floats, float]:
    """Features, weights and their spread, and the edits' own variance, from the whole table of features."""
    held = Counter(name for row in rows for name in row.features)
    names = sorted(name for name, count in held.items() if count >= FEWEST)
    table = np.array([[row.features.get(name, 0) for name in names] for row in rows], float)
    moved, gains = table - table.mean(axis=0), centred(rows)
    inverse = np.linalg.inv(moved.T @ moved + PENALTY * np.eye(len(names)))
    weights = inverse @ moved.T @ gains
    left = float(np.mean((gains - moved @ weights) ** 2))
    noises = [row.noise**2 for row in rows if row.noise is not None]
    return names, weights, inverse * left, max(UNEXPLAINED * left, left - float(np.mean(noises)))


def test_sums_that_grow_fit_as_the_table_itself_does() -> None:
    rows = list(builtin().rows)
    Random(0).shuffle(rows)
    sums, held = Sums(), 0
    for size in (0, 5, 40, 41, 300, len(rows)):  # with a few rows no feature is told, later ones bring new features
        sums.add(rows[held:size])
        held = size
        sums.fitted(0.0)
    noises = [row.noise**2 for row in rows if row.noise is not None]
    grown, whole = sums.fitted(float(np.mean(noises))), fitted(rows)
    names, weights, spread, own = directly(rows)
    assert list(grown.places) == list(whole.places) == names
    for model in (grown, whole):
        assert model.weights == pytest.approx(weights, abs=1e-9)
        assert model.spread == pytest.approx(spread, abs=1e-9)
        assert model.own == pytest.approx(own, abs=1e-9)
    assert grown.weights.tobytes() == whole.weights.tobytes(), "a resumed run reads all rows at once"


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_noise_of_a_run_is_that_of_its_measured_edits(seeds: int) -> None:
    """With repeated trainings it is theirs, and moves with each cycle; else it is that of scoring."""
    base, *rows = journal({"activation": 0.02, "width": -0.02})
    again = [trained(0.5 + 0.01 * (row.index % 3)) for row in rows]
    repeated = [replace(row, trainings=(*row.trainings, one)) for row, one in zip(rows, again, strict=True)]
    whole = Journal([base, *(rows if seeds == 1 else repeated)])
    forecast = Forecaster(builtin())
    for cycle in range(1, 5):
        forecast.told(whole.before(cycle))
    own = rows_of(OwnEdits().edits(whole))
    assert len(own) == len(rows)
    model = fitted([*builtin().rows, *own])
    features = [row.features for row in own]
    found, expected = (
        [value for one in each.expected(features) for value in (one.mean, one.deviation)]
        for each in (forecast._model, model)
    )
    assert found == pytest.approx(expected, abs=1e-9)
    assert forecast.known["net"] == len(own) + sum(row.part == "net" for row in builtin().rows)


def test_what_is_said_of_the_ranking_does_not_depend_on_how_often_it_was_read() -> None:
    rows = list(journal({"activation": 0.02, "width": -0.02}, 1))
    turned = [_turned(row) if row.cycle > 1 else row for row in rows]
    through = Foretelling()
    for start in range(0, len(turned), 7):
        through.read(turned[start : start + 7])
    assert through.cycles() == foretold(Journal(turned))
    assert len(through.cycles()) == 3
    assert through.on is through.cycles()[-1].on


def _turned(row: Candidate) -> Candidate:
    (kept,) = row.attempts
    assert kept.predicted is not None
    return replace(row, attempts=(replace(kept, predicted=-3 * kept.predicted),))
