"""Edits of the hyperparameters: batch and rate, together and apart; what they must be like; who draws them."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random

import pytest

from deltanas import nets
from deltanas.check.gates import ContractGate
from deltanas.forecast import LEAST, Forecaster, Row, Table
from deltanas.llm import Model
from deltanas.program import SPACES, Program, Refused, apply_edit, edits_in, prm_text
from deltanas.program.features import edit_features
from deltanas.program.hyperparameters import prm_faults
from deltanas.program.prm_space import BATCH, BOTH, MOST_BATCH, RATE
from deltanas.propose import BanditProposer, DeltaProposer, EvolutionProposer, RandomProposer, Space
from deltanas.propose.bandit import ThompsonKinds
from deltanas.propose.goals import goals
from deltanas.propose.screen import Screen
from deltanas.records import Draft
from deltanas.seams import Ask

pytest_plugins = ["tiny_model"]

PRM = {"batch": 32, "lr": 0.002, "momentum": 0.9}


def program(**prm: float) -> Program:
    return Program({"net": nets.baseline("mlp"), "prm": prm_text(prm or PRM)})


def made(parent: Program) -> list[tuple[str, dict[str, float]]]:
    return [(edit.kind, edit.apply(parent).hyperparameters) for edit in SPACES["prm"].edits(parent)]


def test_each_edit_applies_exactly_and_makes_other_hyperparameters() -> None:
    parent = program()
    edits = SPACES["prm"].edits(parent)
    results = [edit.apply(parent) for edit in edits]
    assert len({result.id for result in (parent, *results)}) == len(edits) + 1
    for edit, result in zip(edits, results, strict=True):
        assert apply_edit(parent.prm, edit.text).source == result.prm
        assert result.parent == parent.id
        assert result.net == parent.net
        assert (edit.part, edit.of) == ("prm", "prm")


def test_batch_and_rate_move_together_in_proportion_or_by_the_root() -> None:
    rates = {(values["batch"], values["lr"]) for kind, values in made(program()) if kind == BOTH}
    assert rates == {(16, 0.001), (16, 0.00141), (64, 0.004), (64, 0.00283), (128, 0.008), (128, 0.004)}
    assert {values["lr"] for kind, values in made(program()) if kind == BATCH} == {0.002}
    assert {values["batch"] for kind, values in made(program()) if kind == RATE} == {32}


def test_a_walk_stays_within_bounds_and_a_text_that_is_none_has_no_edits() -> None:
    at, chance = program(), Random(0)
    for _ in range(60):
        at = chance.choice(SPACES["prm"].edits(at)).apply(at)
        assert not prm_faults(at.prm)
        assert 4 <= at.hyperparameters["batch"] <= MOST_BATCH
    assert made(program(dropout=0.3)) == [("dropout", {"dropout": value}) for value in (0.0, 0.1, 0.2)]
    assert SPACES["prm"].edits(Program({"net": "x", "prm": "[]"})) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"batch": 0.5}', "a whole number of images"),
        ('{"lr": 1' + "0" * 400 + "}", "a finite number"),
        ('{"lr": 0}', "a rate above 0"),
        ('{"lr": NaN}', "a finite number"),
        ('{"momentum": "high"}', "a finite number"),
        ('{"batch": true}', "a finite number"),
    ],
)
def test_hyperparameters_that_are_none_are_refused_with_the_reason(text: str, said: str) -> None:
    parent = program()
    child = parent.edited("prm", text)
    (verdict,) = ContractGate().judge([Draft(child)])
    assert isinstance(verdict, Refused)
    assert said in verdict.reason


def test_another_layout_is_no_other_program() -> None:
    parent = program()
    assert parent.edited("prm", json.dumps(PRM, indent=2)).id == parent.id


def test_every_kind_has_goals_that_edits_fit() -> None:
    parent = program(**PRM, dropout=0.2)
    edits = SPACES["prm"].edits(parent)
    assert {edit.kind for edit in edits} == set(goals("prm"))
    for kind, asked in goals("prm").items():
        for goal in asked:
            assert any(goal.fits(edit) for edit in edits if edit.kind == kind), goal


def foretelling(parent: Program) -> Forecaster:
    """Of a run that measured batches, which gain, and rates, which lose; both together were never measured."""
    gains = {BATCH: 0.02, RATE: -0.02}
    edits = [edit for edit in edits_in(parent, ["prm"]) if edit.kind in gains]
    rows = [
        Row("f", f"p{n}", "prm", edit_features(edit.old, edit.new, edit.kind, "prm"), gains[edit.kind])
        for n in range(LEAST)
        for edit in edits
    ]
    return Forecaster(Table(tuple(rows)))


def test_every_strategy_draws_them_and_a_screen_ranks_what_was_never_measured(tiny: Model) -> None:
    parent = program()
    space = {edit.text for edit in edits_in(parent, ["prm"])}
    asks = [Ask(1, index, 0, f"0:1:{index}:0", parent, parts=("prm",)) for index in range(12)]
    screened = RandomProposer(Space(None, screen=Screen(foretelling(parent), 4)))
    makers = (
        RandomProposer(Space(None)),
        EvolutionProposer(Space(None)),
        BanditProposer(Space(None, ThompsonKinds())),
        screened,
    )
    for maker in (*makers, DeltaProposer(tiny, Space(None))):
        drawn = maker.propose(asks)
        assert {one.edit for one in drawn} <= space
        assert BOTH in {one.kind for one in drawn}
        assert all(one.program and set(one.program.hyperparameters) == set(PRM) for one in drawn)


def test_a_kind_that_was_never_measured_is_foretold_to_be_as_the_part_is() -> None:
    parent = program()
    forecast = foretelling(parent)
    both = [edit for edit in edits_in(parent, ["prm"]) if edit.kind == BOTH]
    unlike = [replace(edit, old="", new="", kind=kind) for edit in both[:1] for kind in (BATCH, "never", RATE)]
    low, middle, high = sorted(one.mean for one in forecast.gains(parent, unlike))
    assert forecast.gains(parent, unlike)[1].mean == middle
    assert low < 0 < high
    assert abs(middle) < high / 2
