"""Every edit of the space of a transform applies exactly, parses, changes the operations, and none comes twice."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from deltanas.program import SPACES, Program, apply_edit, edits_in
from deltanas.program.transforms import MENU, Step, read_transform, transform_text
from deltanas.program.transforms.space import (
    INSERT,
    MOST_OPERATIONS,
    REMOVE,
    REPLACE,
    STARTS,
    STEP,
    SWAP,
    TransformSpace,
)

SPACE = SPACES["transform"]


def program(transform: str) -> Program:
    return Program({"net": "x = 1\n", "transform": transform})


def drawn(seed: int) -> str:
    """A policy of up to five operations, its values on or off the grids, in one of four spellings."""
    chance = Random(seed)
    steps = [
        Step(name, tuple(chance.choice([one.default, *one.grid]) for one in MENU[name].parameters))
        for name in chance.sample(sorted(MENU), chance.randrange(6))
    ]
    text = transform_text(steps)
    calls = ", ".join(step.call for step in steps)
    tail = "transforms.ToTensor(), transforms.Normalize(*norm)"
    return [
        text,
        f"from torchvision import transforms\n\ndef transform(norm):\n    return transforms.Compose([{calls}])\n",
        text.replace("]", f"    # the end\n    {tail}]") if steps else text,
        text.replace("transforms.", "T.")
        .replace("torchvision.T.", "torchvision.transforms.")
        .replace("as transforms", "as T"),
    ][seed % 4]


@pytest.mark.parametrize("block", range(4))
def test_every_edit_applies_parses_differs_and_stays_within_bounds(block: int) -> None:
    for seed in range(block * 50, block * 50 + 50):
        parent = program(drawn(seed))
        before = read_transform(parent.transform)
        made = {before}
        edits = SPACE.edits(parent)
        assert edits
        for edit in edits:
            assert (edit.part, edit.of) == ("transform", "transform")
            applied = apply_edit(parent.editable("transform"), edit.text)
            after = read_transform(applied.source)
            assert applied.rung == "exact"
            assert after not in made, edit.text
            made.add(after)
            assert len(after) <= max(MOST_OPERATIONS, len(before))
            changed = Counter(after) - Counter(before), Counter(before) - Counter(after)
            sizes = {INSERT: (1, 0), REMOVE: (0, 1), SWAP: (0, 0), REPLACE: (1, 1), STEP: (1, 1)}
            assert tuple(part.total() for part in changed) == sizes[edit.kind]
            if edit.kind == STEP:
                assert [step.name for step in after] == [step.name for step in before]
        child = edits[-1].apply(parent)
        assert child.id != parent.id == child.parent


@pytest.mark.parametrize(
    "text",
    [
        "from torchvision.transforms import Compose as C, RandomInvert as R\n\n"
        "def transform(norm):\n    return C([R(0.3)])\n",
        "def transform(norm):\n    return transforms.Compose([(transforms.RandomInvert(0.3)), transforms.Pad(0.1)])\n",
        "def transform(norm):\n    return transforms.Compose((transforms.RandomInvert(0.3), transforms.Pad(0.1)))\n",
    ],
    ids=["Compose by another name", "parentheses", "a tuple"],
)
def test_no_edit_of_an_unusual_spelling_is_refused_afterwards(text: str) -> None:
    parent = program(text)
    edits = SPACE.edits(parent)
    made = {read_transform(edit.apply(parent).transform) for edit in edits}
    assert {INSERT, REPLACE, STEP} <= {edit.kind for edit in edits}
    assert len(made) == len(edits)


def test_a_program_without_a_transform_begins_with_an_empty_list_and_keeps_its_identity() -> None:
    none = program("")
    assert none.transform == ""
    assert none.parts.keys() == {"net"}
    first, *_ = edits = SPACE.edits(none)
    assert {edit.kind for edit in edits} == {INSERT}
    assert len(edits) == len(MENU)
    child = first.apply(none)
    assert len(read_transform(child.transform)) == 1
    (back,) = [edit.apply(child) for edit in SPACE.edits(child) if edit.kind == REMOVE]
    assert back.transform == ""
    assert back.id == none.id
    assert none.edited("transform", STARTS["flip"]).edited("transform", transform_text(())).id == none.id


def test_any_policy_of_the_menu_is_reached_up_to_the_bound() -> None:
    """Ordered triples too: each is three insertions from none."""
    wanted = [Random(seed).sample(sorted(MENU), MOST_OPERATIONS) for seed in range(3)]
    for names in wanted:
        policy = program("")
        for size in range(1, len(names) + 1):
            policy = next(
                made
                for edit in SPACE.edits(policy)
                if edit.kind == INSERT
                for made in [edit.apply(policy)]
                if [step.name for step in read_transform(made.transform)] == names[:size]
            )
        assert not any(edit.kind == INSERT for edit in SPACE.edits(policy))


def test_each_value_of_a_grid_is_reached_by_steps() -> None:
    for name, operation in MENU.items():
        reached, waiting = set(), {Step(name, operation.at(1))}
        while waiting:
            step = waiting.pop()
            reached.add(step)
            made = [
                edit.apply(program(transform_text([step])))
                for edit in SPACE.edits(program(transform_text([step])))
                if edit.kind == STEP
            ]
            waiting |= {read_transform(one.transform)[0] for one in made} - reached
        for place, parameter in enumerate(operation.parameters):
            assert {step.values[place] for step in reached} >= set(parameter.grid)


def test_steps_go_to_the_neighbours_or_onto_the_grid() -> None:
    def probabilities(p: float) -> set[object]:
        parent = program(transform_text([Step("RandomHorizontalFlip", (p,))]))
        made = [edit.apply(parent) for edit in SPACE.edits(parent) if edit.kind == STEP]
        return {read_transform(one.transform)[0].values[0] for one in made}

    assert probabilities(0.1) == {0.5}
    assert probabilities(0.5) == {0.1, 0.9}
    assert probabilities(0.85) == {0.9}


def test_what_is_not_of_the_menu_has_no_edit_and_line_ends_are_kept() -> None:
    assert SPACE.edits(program("def transform(norm):\n    return norm\n")) == ()
    for odd in ("\ufeff" + STARTS["flip"], STARTS["flip"].replace("\n", "\r")):
        assert SPACE.edits(program("").edited("transform", odd)) == SPACE.edits(program(STARTS["flip"]))
    windows = program(STARTS["crop+flip"].replace("\n", "\r\n"))
    assert len(SPACE.edits(windows)) == len(SPACE.edits(program(STARTS["crop+flip"])))
    assert all("\r\n" in edit.apply(windows).transform for edit in SPACE.edits(windows))


def test_edits_of_network_and_transform_stand_side_by_side_for_one_without_a_transform() -> None:
    both = edits_in(Program.of("import torch.nn as nn\nx = nn.ReLU()\n"), ("net", "transform"))
    assert {edit.of for edit in both} == {"net", "transform"}


def test_the_bound_may_be_another() -> None:
    parent = program(STARTS["crop+flip"])
    assert not [edit for edit in TransformSpace(most=2).edits(parent) if edit.kind == INSERT]
    assert [edit for edit in TransformSpace(most=3).edits(parent) if edit.kind == INSERT]
