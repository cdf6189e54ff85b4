"""A table of trainings makes edits to better recipes likelier; without one all are as likely."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from deltanas import nets
from deltanas.errors import DataError, UsageError
from deltanas.program import Program, edits_of
from deltanas.program.recipes import OPTIMIZERS, recipe_of, with_recipe
from deltanas.propose.prior import KINDS, RecipePrior, read_prior
from deltanas.propose.space import Space
from deltanas.seams import Ask

MLP = Program.of(nets.baseline("mlp"))


def row(loss: str, optimizer: str, score: float | None, **other: object) -> str:
    known: dict[str, object] = {
        "network": "mlp",
        "dataset": "digits",
        "loss": loss,
        "optimizer": optimizer,
        "scale": 1.0,
        "arm": "fixed",
    }
    return (
        json.dumps({**known, "phase": "score", "rate": 0.01, "seed": 1, "score": score, "chance": 0.1, **other}) + "\n"
    )


def table(path: Path, *rows: str) -> Path:
    path.write_text("".join(rows))
    return path


def test_a_recipe_is_worth_its_mean_less_that_of_its_network(tmp_path: Path) -> None:
    path = table(
        tmp_path / "table.jsonl",
        row("ce", "sgd", 0.8),
        row("ce", "sgd", 0.6, seed=2),
        row("ce", "adam", 0.5, network="vit"),
        row("ngl", "sgd", None),
        row("ngl", "sgd", 0.9, scale=12.3),
        row("ngl", "adam", 0.9, arm="tuned", phase="tune"),
        row("nll", "sgd", None, failure="inject: line 3: two losses"),
        row("ce", "sgd", 0.0, dataset="other"),
        row("ngl", "sgd", 1.0)[:-9],
    )
    worth = read_prior(path).worth
    assert worth["mlp"] == pytest.approx({("ce", "sgd"): 0.15, ("ngl", "sgd"): -0.3})
    assert worth["vit"] == {("ce", "adam"): 0.0}
    tuned = table(tmp_path / "tuned.jsonl", row("ce", "sgd", 0.8), row("ngl", "adadelta", 0.7, arm="tuned"))
    assert read_prior(tuned).worth == {"mlp": {("ngl", "adadelta"): 0.0}}
    begun = table(tmp_path / "begun.jsonl", tuned.read_text(), row("ce", "sgd", 0.5, network="vit"))
    assert read_prior(begun).worth["vit"] == {("ce", "sgd"): 0.0}


def test_a_file_that_is_no_table_is_refused_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file .*none\.jsonl"):
        read_prior(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="line 2 is no JSON object"):
        read_prior(table(tmp_path / "odd.jsonl", row("ce", "sgd", 0.5), "[]\n"))
    with pytest.raises(DataError, match="holds no score"):
        read_prior(table(tmp_path / "empty.jsonl", row("ce", "sgd", 0.5, arm="tuned", phase="tune")))


def drawn(prior: RecipePrior | None, parent: Program, slots: int = 150) -> Counter[tuple[str, str] | None]:
    """Recipes of the optimizer edits that so many slots draw, each alone."""
    found: Counter[tuple[str, str] | None] = Counter()
    space = Space(None, lambda _: lambda kinds: "optimizer" if "optimizer" in kinds else kinds[0], prior)
    for slot in range(slots):
        (edit,) = space.draw([Ask(0, slot, 0, f"7:{slot}:0", parent, parts=("recipe",))])
        assert edit is not None
        found[recipe_of(edit.apply(parent).net)] += 1
    return found


def test_better_recipes_are_drawn_more_often_and_none_is_out_of_reach() -> None:
    scores = {("ce", name): {"adagrad": 0.05, "adadelta": -0.3}.get(name, 0.0) for name in OPTIMIZERS}
    prior = RecipePrior({"vit": {("ce", "adadelta"): 0.9, ("ce", "adagrad"): 0.0}, "mlp": scores})
    with_prior, without = drawn(prior, MLP), drawn(None, MLP)
    # Of 7 edits one is to Adagrad: weight 1 against .08 for NAdam, Adam, RMSprop, SGD twice, and .02 for Adadelta.
    assert with_prior["ce", "adagrad"] / 150 == pytest.approx(0.70, abs=0.12)
    assert without["ce", "adagrad"] / 150 == pytest.approx(1 / 7, abs=0.09)
    edits = [edit for edit in edits_of(MLP.net) if edit.kind in KINDS]
    assert min(prior.weights(MLP, edits)) >= 0.02


def test_the_network_that_is_most_like_the_parent_tells() -> None:
    worth = {("ce", "sgd"): 0.0}
    other = Program.of(with_recipe(nets.baseline("vit"), loss="ngl").replace("dropout = 0.1", "dropout = 0.2"))
    prior = RecipePrior({"mlp": worth | {("ce", "adagrad"): 1.0}, "vit": worth | {("ngl", "adadelta"): 1.0}})
    assert drawn(prior, other, 40).most_common(1)[0][0] == ("ngl", "adadelta")
