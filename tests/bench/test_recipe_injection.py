"""Injected recipes are what was asked for, read off what the sandbox builds of them; wrong ones are told."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from benchmarks.recipe_audit import Found, audited, differs_elsewhere, fault, found_in
from benchmarks.recipe_injection import check_injections
from deltanas.config import TrainConfig
from deltanas.errors import UsageError
from deltanas.program import Program
from deltanas.program.recipes import LOSSES, OPTIMIZERS, with_recipe
from deltanas.sandbox import Pool
from deltanas.wiring import open_shape_pool, program_of
from recipe_forms import LOSS, OPTIMIZER, RIGHT, Form

SHAPE = (1, 6, 6)
RATE = 0.25


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with open_shape_pool(SHAPE, 10, TrainConfig(workers=2)) as opened:
        yield opened


def read(programs: dict[object, str], pool: Pool, *, log_softmax: bool = False) -> dict[object, Found]:
    made = [audited(program_of(text), SHAPE, log_softmax=log_softmax) for text in programs.values()]
    found = {key: found_in(answer) for key, answer in zip(programs, pool.build(made), strict=True)}
    assert not {key: one for key, one in found.items() if isinstance(one, str)}
    return {key: one for key, one in found.items() if isinstance(one, Found)}


def faults(name: str, recipes: list[tuple[str, str]], pool: Pool) -> dict[object, str]:
    """What is wrong with the variants of a form."""
    text = RIGHT[name].text
    made: dict[object, str] = {
        (loss, optimizer): with_recipe(text, loss=loss, optimizer=optimizer, rate=RATE) for loss, optimizer in recipes
    }
    assert (
        not any(differs_elsewhere(text, one) for one in made.values())
        or "function" in name
        or name in ("groups", "aliased")
    )
    found = read({"base": text, **made}, pool, log_softmax="log_softmax" in RIGHT[name].out)
    base = found.pop("base")
    wrong = {key: fault(base, found[key], loss=key[0], optimizer=key[1], rate=RATE) for key in recipes}
    return {key: why for key, why in wrong.items() if why}


@pytest.mark.parametrize(("name", "recipe"), [("tuple", ("ngl", "adam")), ("function", ("nll", "rmsprop"))])
def test_a_variant_is_as_it_was_asked_for(name: str, recipe: tuple[str, str], pool: Pool) -> None:
    assert faults(name, [recipe], pool) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_all_18_variants_of_each_form_are_as_they_were_asked_for(name: str, pool: Pool) -> None:
    assert faults(name, list(product(LOSSES, OPTIMIZERS)), pool) == {}


def test_each_thing_that_can_be_wrong_is_told(pool: Pool) -> None:
    base = RIGHT["groups"].text
    text = with_recipe(base, loss="ngl", optimizer="adam", rate=RATE)
    weights = "[{'params': [self.head.weight], 'lr': 0.25}, bias]"
    wrong: dict[object, str] = {
        "the optimizer is AdamW": text.replace("optim.Adam(", "optim.AdamW("),
        "lr is 0.2, not 0.25": text.replace("lr=0.25", "lr=0.2").replace("'lr': 0.25}", "'lr': 0.2}"),
        "weight_decay is 0.1, not 0": text.replace("lr=0.25", "lr=0.25, weight_decay=0.1"),
        "not each trainable": text.replace(weights, weights.replace(", bias", "")),
        "the groups' rates are": text.replace("0.25 * 10", "0.25"),
        "the loss is": with_recipe(base, optimizer="adam", rate=RATE).replace("nn.CrossEntropyLoss()", "nn.NLLLoss()"),
        "the gradient differs": text.replace("y = p.new", "p = 2 * p - p.detach()\n        y = p.new"),
        "another optimizer steps": text.replace("self.optimizer.step()", "pass"),
    }
    assert text not in wrong.values()
    found = read({"base": base, **wrong}, pool)
    for why in wrong:
        told = fault(found["base"], found[why], loss="ngl", optimizer="adam", rate=RATE)
        assert str(why).split(" is ")[0] in told, (why, told)
    moved = text.replace("self.train()", "self.eval()")
    assert differs_elsewhere(base, moved)


def test_a_program_that_tells_nothing_is_no_finding(pool: Pool) -> None:
    plain = program_of(Form().text)
    two = Form(setup=(LOSS, OPTIMIZER, "self.more = torch.optim.SGD(self.parameters(), lr=1.0)")).text
    cut = Program({**plain.parts, "net": plain.net + "\nraise Exception('RecipeFound: abc')\n"})
    answers = pool.build([plain, audited(program_of(two), SHAPE), cut])
    told = [found_in(answer) for answer in answers]
    assert told == ["the audit did not run", "2 optimizers and 1 backward passes", "the audit's answer is cut short"]


def test_the_table_goes_on_from_where_it_was_cut(tmp_path: Path) -> None:
    out = tmp_path / "table.jsonl"
    result = check_injections(None, out, only=("mlp",), seconds=1e9, say=lambda _: None)
    assert (result["variants"], result["right"], result["wrong_and_accepted"]) == (18, 18, 0)
    whole = out.read_text()
    again = check_injections(None, out, only=("mlp",), seconds=1e9, say=lambda _: None)
    assert (again["variants"], out.read_text()) == (18, whole)
    later = check_injections(None, out, only=("mlp", "nin"), seconds=-1.0, say=lambda _: None)
    assert later["variants"] == 18
    with pytest.raises(UsageError, match="no network magic"):
        check_injections(None, out, only=("magic",), seconds=1.0, say=lambda _: None)
