"""Which trainings a grid has, in which order, and which rate wins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deltanas.grid import FIXED_RATE, MOST_RATES, Batch, Grid, clipping_of, keys_of, rates_of, winner
from deltanas.nets import baselines
from deltanas.program.recipes import USUAL_RATES
from deltanas.trainings import Recipe
from grid_parts import GRID


def test_every_optimizer_gets_as_many_rates_around_its_own_default() -> None:
    for optimizer, centre in USUAL_RATES.items():
        rates = rates_of(optimizer, 5)
        assert len(rates) == 5
        assert rates[2] == centre
        assert rates[4] / rates[2] == pytest.approx(10)
        assert rates == sorted(rates)
    assert rates_of("adadelta", 5) == [0.1, 0.316, 1.0, 3.16, 10.0]
    assert rates_of("adam", 1) == [0.001]
    assert rates_of("adam", 2) == [0.000562, 0.00178]
    assert rates_of("adadelta", MOST_RATES)[:: MOST_RATES - 1] == [1e-5, 1e5]


def test_the_best_score_wins_and_of_equal_ones_the_rate_nearest_to_the_default() -> None:
    assert winner("sgd", [(0.001, 0.5), (0.01, 0.6), (0.1, 0.7)]) == 0.1
    assert winner("sgd", [(0.001, 0.7), (0.01, 0.6), (0.1, 0.7)]) == 0.001, "both are as near: the lower one"
    assert winner("sgd", [(0.001, 0.7), (0.00316, 0.7), (0.1, 0.6)]) == 0.00316
    assert winner("sgd", [(0.001, None), (0.01, 0.0), (0.1, None)]) == 0.01, "a failure is worse than any score"
    assert winner("sgd", [(0.001, None), (0.01, None), (0.1, None)]) == 0.01


def test_recipes_share_the_seeds_networks_do_not_and_none_of_these_chose_a_rate() -> None:
    found: dict[tuple[str, str], dict[str, set[tuple[str, int]]]] = {}
    for network, _, loss, _, _, arm, phase, _, seed in keys_of(GRID):
        found.setdefault((network, arm), {}).setdefault(loss, set()).add((phase, seed))
    for network in GRID.networks:
        fixed, tuned = found[network, "fixed"], found[network, "tuned"]
        assert fixed["ce"] == fixed["ngl"] < tuned["ce"] == tuned["ngl"]
        scored, tried = ({seed for phase, seed in tuned["ce"] if phase == one} for one in ("score", "tune"))
        assert (len(scored), len(tried), scored & tried) == (2, 1, set())
        assert replace(GRID, seeds=3).score_seeds(network)[:2] == GRID.score_seeds(network), "the grid may grow"
    one, two = (set().union(*found[network, "tuned"].values()) for network in GRID.networks)
    assert {seed for _, seed in one}.isdisjoint(seed for _, seed in two)


def test_a_part_of_the_work_is_a_fair_sample() -> None:
    """Seed by seed, and network by network within a seed, each with all recipes."""
    batches = list(GRID.batches())
    arms = [
        (batch.network, batch.arm, batch.phase, seeds.index(batch.seed) if batch.seed in seeds else None)
        for batch in batches
        for seeds in [GRID.score_seeds(batch.network)]
    ]
    order = [("fixed", "score", 0), ("tuned", "tune", None), ("tuned", "score", 0), ("fixed", "score", 1)]
    assert arms == [(name, *part) for part in [*order, ("tuned", "score", 1)] for name in ("one", "two")]
    cells = GRID.cells(batches[0], {})
    assert [(cell.network, str(cell.recipe)) for cell in cells] == [("one", "ce + sgd"), ("one", "ngl + adam")]
    assert {cell.rate for cell in cells} == {FIXED_RATE}


def test_counts_are_those_of_the_cells() -> None:
    for grid in (GRID, replace(GRID, arms=("fixed",)), replace(GRID, arms=("tuned",), datasets=("digits", "mnist"))):
        keys = keys_of(grid)
        assert sum(grid.counts().values()) == len(keys) == len(set(keys))


def test_the_study_has_so_many_trainings() -> None:
    """12 recipes, 17 networks, 5 seeds in both arms and 5 rates of one seed."""
    recipes = tuple(Recipe(loss, optimizer) for loss in ("ce", "ngl") for optimizer in USUAL_RATES)
    counts = Grid(tuple(baselines()), recipes, ("digits",)).counts()
    assert list(counts.values()) == [12 * 5 * 17, 12 * 5 * 17, 12 * 5 * 17]


def test_a_tuned_score_needs_the_rate_that_won() -> None:
    batch = Batch("one", "digits", "tuned", "score", GRID.score_seeds("one")[0])
    won = dict.fromkeys(GRID.recipes, 0.5)
    assert {cell.rate for cell in GRID.cells(batch, won)} == {0.5}
    with pytest.raises(KeyError):
        GRID.cells(batch, {})


def test_clipping_is_read_off_the_text() -> None:
    assert {clipping_of(source) for source in baselines().values()} == {"clip_grad_norm_ 1.0"}
    assert clipping_of("x = 1") == "none"
    told = clipping_of("clip_grad_value_(p, 3)\nnn.utils.clip_grad_norm_(p, max_norm=prm['c'])\nclip_grad_norm_(*a)")
    assert told == "clip_grad_value_ 3, clip_grad_norm_ prm['c'], clip_grad_norm_"


@pytest.mark.parametrize("source", ["def f(:\n", f"x = {'+'.join(['1'] * 5000)}", f"x = y{'.a()' * 400}"])
def test_text_that_can_not_be_read_clips_nothing(source: str) -> None:
    assert clipping_of(source) == "none"
