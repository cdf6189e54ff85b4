"""Edits of widths: producers and consumers move together, wherever they stand and however they are written."""

from __future__ import annotations

import pytest

from deltanas.program import apply_edit, edits_of

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


def program(init: str, forward: str, blocks: str = "") -> str:
    lines = [[f"        {line}" for line in text.split("\n")] for text in (init, forward)]
    top = "class Net(nn.Module):\n    def __init__(self, in_shape, out_shape, prm, device):\n        super().__init__()"
    return "\n".join([HEAD + blocks + top, *lines[0], "    def forward(self, x):", *lines[1], ""])


def widened(source: str) -> list[list[str]]:
    """The new lines of each width edit, without indentation."""
    texts = [apply_edit(source, edit.text).source.split("\n") for edit in edits_of(source) if edit.kind == "width"]
    lines = source.split("\n")
    return [[new.strip() for old, new in zip(lines, text, strict=True) if old != new] for text in texts]


def test_numbers_of_a_chain_move_together() -> None:
    init = "self.a = nn.Conv2d(3, 32, 3)\nself.n = nn.BatchNorm2d(32)\nself.b = nn.Conv2d(32, 64, 3)"
    init += "\nself.c = nn.Linear(64, classes)"
    source = program(init, "x = F.relu(self.n(self.a(x)))\nx = self.b(x).mean((2, 3))\nreturn self.c(x)")
    assert ["self.a = nn.Conv2d(3, 48, 3)", "self.n = nn.BatchNorm2d(48)", "self.b = nn.Conv2d(48, 64, 3)"] in widened(
        source
    )
    assert ["self.b = nn.Conv2d(32, 128, 3)", "self.c = nn.Linear(128, classes)"] in widened(source)


@pytest.mark.parametrize(
    ("size", "wanted"), [("8 * 7 * 7", "16 * 7 * 7"), ("392", "784"), ("8 * grid", "2 * (8 * grid)")]
)
def test_a_flattened_map_takes_its_width_along(size: str, wanted: str) -> None:
    init = f"self.a = nn.Conv2d(3, 8, 3)\nself.b = nn.Linear({size}, classes)"
    source = program(init, "x = torch.flatten(self.a(x), 1)\nreturn self.b(x)")
    assert ["self.a = nn.Conv2d(3, 16, 3)", f"self.b = nn.Linear({wanted}, classes)"] in widened(source)


def test_the_size_of_a_view_follows_too() -> None:
    source = program(
        "self.a = nn.Conv2d(3, 8, 3)\nself.b = nn.Linear(8 * 49, classes)", "return self.b(self.a(x).view(-1, 8 * 49))"
    )
    wanted = [
        "self.a = nn.Conv2d(3, 4, 3)",
        "self.b = nn.Linear(4 * 49, classes)",
        "return self.b(self.a(x).view(-1, 4 * 49))",
    ]
    assert wanted in widened(source)


def test_what_is_added_has_one_width() -> None:
    init = "self.a = nn.Conv2d(3, 16, 1)\nself.b = nn.Conv2d(3, 16, 3)\nself.c = nn.Conv2d(16, classes, 1)"
    source = program(init, "return self.c(self.a(x) + self.b(x))")
    wanted = ["self.a = nn.Conv2d(3, 24, 1)", "self.b = nn.Conv2d(3, 24, 3)", "self.c = nn.Conv2d(24, classes, 1)"]
    assert wanted in widened(source)
    assert all(len(lines) in (1, 3) for lines in widened(source))


def test_a_part_of_a_concatenation_moves_the_sum() -> None:
    init = "self.a = nn.Conv2d(3, 16, 1)\nself.b = nn.Conv2d(3, 24, 3)"
    init += "\nself.n = nn.BatchNorm2d(40)\nself.c = nn.Conv2d(40, classes, 1)"
    source = program(init, "x = torch.cat([self.a(x), self.b(x)], 1)\nreturn self.c(self.n(x))")
    wanted = ["self.a = nn.Conv2d(3, 32, 1)", "self.n = nn.BatchNorm2d(56)", "self.c = nn.Conv2d(56, classes, 1)"]
    assert wanted in widened(source)


def test_a_width_that_enters_a_concatenation_twice_moves_the_sum_twice() -> None:
    init = "self.a = nn.Conv2d(3, 16, 1)\nself.b = nn.Conv2d(32, classes, 1)"
    source = program(init, "x = self.a(x)\nreturn self.b(torch.cat([x, x.flip(3)], 1)) + self.b(torch.cat([x, x], 1))")
    assert ["self.a = nn.Conv2d(3, 24, 1)", "self.b = nn.Conv2d(48, classes, 1)"] in widened(source)


def test_a_depthwise_convolution_keeps_a_group_a_channel() -> None:
    init = "w = prm['w']\nself.a = nn.Conv2d(3, w, 1)\nself.d = nn.Conv2d(w, w, 3, groups=w)"
    init += "\nself.c = nn.Conv2d(w, classes, 1)"
    source = program(init, "return self.c(self.d(self.a(x)))")
    wanted = [
        "self.a = nn.Conv2d(3, 2 * w, 1)",
        "self.d = nn.Conv2d(2 * w, 2 * w, 3, groups=2 * w)",
        "self.c = nn.Conv2d(2 * w, classes, 1)",
    ]
    assert wanted in widened(source)


BLOCK = """class Block(nn.Module):
    def __init__(self, wide, inner, out):
        super().__init__()
        self.a = nn.Conv2d(wide, inner // 2, 1)
        self.b = nn.Conv2d(inner // 2, out, 3, padding=1)
    def forward(self, x):
        return self.b(F.relu(self.a(x)))
"""


def test_a_helper_block_reuses_its_own_expressions() -> None:
    source = program("self.f = nn.Sequential(Block(3, 8, 16), Block(16, 32, classes))", "return self.f(x)", BLOCK)
    wanted = [
        "self.a = nn.Conv2d(wide, 2 * (inner // 2), 1)",
        "self.b = nn.Conv2d(2 * (inner // 2), out, 3, padding=1)",
    ]
    assert wanted in widened(source)


def test_widths_are_followed_through_the_arguments_of_helper_blocks() -> None:
    init = (
        "self.f = nn.Sequential(\nBlock(3, 8, 16),\nnn.ReLU(),\nBlock(16, 32, 64),\n)\nself.h = nn.Linear(64, classes)"
    )
    source = program(init, "return self.h(self.f(x).mean((2, 3)))", BLOCK)
    assert ["Block(3, 8, 24),", "Block(24, 32, 64),"] in widened(source)
    assert ["Block(16, 32, 128),", "self.h = nn.Linear(128, classes)"] in widened(source)


def test_a_computed_name_moves_at_its_one_place() -> None:
    init = "hidden = int(prm['w'] * 2)\nself.a = nn.Conv2d(3, hidden, 1)\nself.b = nn.Conv2d(hidden, classes, 1)"
    source = program(init, "return self.b(self.a(x))").replace("prm['w']", "ratio")
    assert ["hidden = 2 * int(ratio * 2)"] in widened(source)


def test_numbers_of_one_value_move_wherever_they_stand() -> None:
    blocks = """def stage(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3), nn.ReLU())
"""
    init = "layers = []\nfor i, o in [(3, 16), (16, 32)]:\n    layers.append(stage(i, o))"
    init += "\nself.f = nn.Sequential(*layers)\nself.h = nn.Linear(32, classes)"
    source = program(init, "return self.h(self.f(x).mean((2, 3)))", blocks)
    assert ["for i, o in [(3, 24), (24, 32)]:"] in widened(source)
    assert ["for i, o in [(3, 16), (16, 64)]:", "self.h = nn.Linear(64, classes)"] in widened(source)
    assert ["for i, o in [(3, 8), (8, 16)]:", "self.h = nn.Linear(16, classes)"] in widened(source)


def test_numbers_of_layers_of_the_programs_own_are_found_by_their_parameters() -> None:
    own = """class Noisy(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_features, in_features))
    def forward(self, x):
        return x @ self.weight.T
"""
    source = program("self.a = Noisy(3 * 7 * 7, 100)\nself.b = Noisy(100, classes)", "return self.b(self.a(x))", own)
    assert ["self.a = Noisy(3 * 7 * 7, 200)", "self.b = Noisy(200, classes)"] in widened(source)


def test_numbers_in_records_of_a_list_are_found_through_their_fields() -> None:
    init = "settings = [Config(3, 16), Config(16, 32)]\nlayers = [nn.Conv2d(s.wide, s.out, 1) for s in settings]"
    init += "\nself.f = nn.Sequential(*layers)\nself.h = nn.Linear(32, classes)"
    source = program(init, "return self.h(self.f(x).mean((2, 3)))")
    assert ["settings = [Config(3, 24), Config(24, 32)]"] in widened(source)
    assert ["settings = [Config(3, 16), Config(16, 64)]", "self.h = nn.Linear(64, classes)"] in widened(source)


def test_distant_places_are_hunks_of_one_edit_each_found_once() -> None:
    init = "self.a = nn.Conv2d(3, 32, 3)\n\n\n\n\nself.n = nn.BatchNorm2d(32)\n\n\n\n\nself.b = nn.Linear(32, classes)"
    source = program(init, "return self.b(self.n(self.a(x)).mean((2, 3)))")
    edit = next(edit for edit in edits_of(source) if edit.kind == "width" and edit.old.count("\n...\n") == 2)
    assert edit.text.count("<<<<<<< SEARCH\n") == 3
    assert apply_edit(source, edit.text).rung == "exact"


@pytest.mark.parametrize(
    ("init", "forward"),
    [
        ("self.a = nn.Conv2d(3, out_shape[0], 1)", "return self.a(x).mean((2, 3))"),
        ("self.a = nn.Conv2d(in_shape[1], in_shape[1], 1)", "return self.a(x) + x"),
        ("self.a = nn.Conv2d(3, n, 1)\nself.b = nn.Conv2d(n, classes, 1)", "return self.b(shuffled(self.a(x)))"),
    ],
)
def test_what_the_task_fixes_or_cannot_be_followed_is_left_alone(init: str, forward: str) -> None:
    assert widened(program(init, forward)) == []


def test_a_class_that_makes_itself_ends() -> None:
    block = """class Tree(nn.Module):
    def __init__(self, w, depth):
        super().__init__()
        self.a = Tree(w, depth - 1)
    def forward(self, x):
        return self.a(x)
"""
    assert widened(program("self.f = Tree(16, 3)", "return self.f(x)", block)) == []
