"""Several edits as one: the diff makes what the steps make, and no step touches what another one brought."""

from __future__ import annotations

from random import Random

import pytest

from deltanas.errors import EditError
from deltanas.nets import baselines
from deltanas.program import Chain, Composite, Part, Program, SpaceEdit, apply_edit, edits_in, kinds_of
from deltanas.program.transforms.space import STARTS
from deltanas.wiring import program_of


def chained(parent: Program, part: Part, seed: int, most: int = 3) -> Chain:
    rng, chain = Random(seed), Chain(parent, "transform" if part == "transform" else "net")
    for _ in range(most):
        if edits := chain.apart(edits_in(chain.program, (part,))):
            chain.take(rng.choice(edits))
    return chain


@pytest.mark.parametrize("name", sorted(baselines())[::2])
def test_a_composite_makes_what_its_steps_make(name: str) -> None:
    parent = program_of(baselines()[name])
    chain = chained(parent, "net", 0)
    whole = chain.whole()
    assert isinstance(whole, Composite)
    applied = apply_edit(parent.net, whole.text)
    assert (applied.rung, applied.source) == ("exact", chain.program.net)
    assert whole.apply(parent).parents == (parent.id,)
    assert kinds_of(whole.kind) == sorted(step.kind for step in whole.steps)
    made = parent
    for step in whole.steps:
        made = step.apply(made)
    assert made.id == whole.apply(parent).id
    assert all(old in parent.net for old, _ in whole.places)


def test_steps_leave_what_the_others_brought() -> None:
    parent = program_of(baselines()["vgg"])
    for seed in range(4):
        chain = chained(parent, "net", seed, 2)
        first, second = chain.steps
        middle = first.apply(parent)
        brought = set(middle.net.split("\n")) - set(parent.net.split("\n"))
        kept = set(second.apply(middle).net.split("\n"))
        assert brought <= kept, (first.text, second.text)


def test_steps_of_a_transform_and_of_one_place() -> None:
    parent = Program({**program_of(baselines()["mlp"]).parts, "transform": STARTS["crop+flip"]})
    whole = chained(parent, "transform", 1).whole()
    assert whole
    assert whole.of == "transform"
    assert whole.apply(parent).net == parent.net
    alone = chained(parent, "transform", 1, 1)
    assert alone.whole() is alone.steps[0]
    assert alone.steps[0].steps == alone.steps


def test_steps_that_undo_one_another_are_no_edit() -> None:
    parent = Program.of("a = 1\nb = 2\n")
    chain = Chain(parent, "net")
    chain.take(SpaceEdit("number", "net", "a = 1", "a = 3"))
    chain.take(SpaceEdit("number", "net", "a = 3", "a = 1"))
    assert chain.whole() is None


def test_a_diff_that_holds_a_mark_is_none_that_a_model_can_be_offered() -> None:
    text = "--- a/net.py\n+++ b/net.py\n@@ -1,2 +1,2 @@\n ...\n-a = 1\n+a = 2\n"
    assert apply_edit("...\na = 1\n", text).source == "...\na = 2\n"
    with pytest.raises(EditError, match="like a mark"):
        Composite.read(text, "", "net", "net")
