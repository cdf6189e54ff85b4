"""The forecast of a run: it learns what the run measured, and stops where its ranking is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltanas import nets
from deltanas.forecast import LEAST, Forecaster, Row, Table, builtin
from deltanas.journal import Journal
from deltanas.program import Program, SpaceEdit, Trained, edits_in, prm_text
from deltanas.records import Attempt, Candidate, Draft
from deltanas.task import DENOISE

BASE = Program.of(nets.baselines()["vgg"], prm=prm_text(nets.DEFAULT_PRM))
EDITS = [edit for edit in edits_in(BASE, ["net"]) if edit.kind in ("activation", "width")]


def trained(score: float) -> Trained:
    return Trained(score, 1000, 1, 1.0, 1.0, "A")


def measured(edit: SpaceEdit, cycle: int, index: int, score: float, predicted: float | None) -> Candidate:
    kept = Attempt(edit.text, "exact", "", None, kind=edit.kind, predicted=predicted)
    outcome = trained(score)
    return Candidate(cycle, index, "random", BASE.id, Draft(edit.apply(BASE)), (kept,), outcome, (outcome,))


def journal(gains: dict[str, float], sign: int | None = None, cycles: int = 3) -> Journal:
    """Cycles of 16 edits of the baseline, whose gain is their kind's. sign: of what was foretold of them."""
    base = Candidate(0, 0, "baseline", None, Draft(BASE), (), trained(0.5), (trained(0.5),), name="vgg")
    rows = [base]
    for cycle in range(1, cycles + 1):
        for index, edit in enumerate(EDITS[16 * cycle - 16 : 16 * cycle]):
            gain = gains[edit.kind] + 0.0001 * index
            rows.append(measured(edit, cycle, index, 0.5 + gain, None if sign is None else sign * gain))
    return Journal(rows)


def test_what_the_run_measured_moves_what_is_foretold() -> None:
    forecast = Forecaster(builtin())
    edits = [next(edit for edit in EDITS if edit.kind == kind) for kind in ("activation", "width")]
    before = forecast.gains(BASE, edits)
    forecast.told(journal({"activation": -0.05, "width": 0.05}))
    after = forecast.gains(BASE, edits)
    assert after[0].mean < before[0].mean
    assert after[1].mean > before[1].mean
    child = edits[0].apply(BASE)
    assert forecast.of(BASE, child, "net", "activation") == after[0], "by whole texts as by the lines of the edit"


def test_a_run_whose_scores_do_not_tell_their_noise_is_learned_from() -> None:
    """As one of denoisers: the scatter of decibels does not follow from a score and a number of images."""
    rows = journal({"activation": 0.5, "width": -0.5})
    decibels = Journal(rows, metric=DENOISE.metric)
    forecast = Forecaster(Table((), {}))
    forecast.told(decibels)
    assert forecast.known["net"] == len(rows) - 1
    edits = [next(edit for edit in EDITS if edit.kind == kind) for kind in ("activation", "width")]
    gains = [expected.mean for expected in forecast.gains(BASE, edits)]
    assert gains[0] > gains[1]


def test_it_foretells_alike_however_often_it_was_told() -> None:
    whole = journal({"activation": 0.02, "width": -0.02})
    resumed, through = Forecaster(builtin()), Forecaster(builtin())
    resumed.told(whole)
    for cycle in range(1, 5):
        through.told(whole.before(cycle))
    assert through.gains(BASE, EDITS) == resumed.gains(BASE, EDITS)


@pytest.mark.parametrize(("sign", "on"), [(1, True), (None, True), (-1, False)])
def test_it_stops_for_good_where_it_ranks_the_wrong_way(sign: int | None, on: bool) -> None:
    forecast = Forecaster(builtin())
    assert forecast.knows("net")
    forecast.told(journal({"activation": 0.02, "width": -0.02}, sign))
    assert forecast.knows("net") is on
    if not on:
        rows = list(journal({"activation": 0.02, "width": -0.02}, sign))
        again = [replace(row, cycle=row.cycle + 3) for row in journal({"activation": 0.02, "width": -0.02}, 1)[1:]]
        forecast = Forecaster(builtin())
        forecast.told(Journal([*rows, *again]))
        assert not forecast.knows("net"), "later cycles that rank well don't bring it back"


def test_a_space_with_few_measured_edits_is_not_known() -> None:
    row = Row("f", "p", "recipe", {"part:recipe": 1}, 0.01)
    rows = tuple(replace(row, parent=str(n)) for n in range(LEAST))
    assert Forecaster(Table(rows)).knows("recipe")
    assert not Forecaster(Table(rows[1:])).knows("recipe")
    assert not Forecaster(builtin()).knows("transform")
