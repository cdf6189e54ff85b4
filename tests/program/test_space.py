from __future__ import annotations

import ast

import pytest

from deltanas.nets import baselines
from deltanas.program import AppliedEdit, SpaceEdit, apply_edit, canonical_source, edits_of

HEAD = """import torch
import torch.nn as nn
import torch.nn.functional as F

def supported_hyperparameters():
    return {'lr', 'momentum'}

"""

NET = (
    HEAD
    + """class Net(nn.Module):
    def __init__(self, in_shape, out_shape, prm, device):
        super().__init__()
        width = 32
        self.conv1 = nn.Conv2d(in_shape[1], width, 3, 1, 1)
        self.conv2 = nn.Conv2d(width, width * 2, kernel_size=3, padding=1)
        self.same = nn.Conv2d(width * 2, width * 2, 5, padding=2)
        self.body = nn.Sequential(
            nn.Conv2d(width * 2, width * 2, 3, stride=2, padding=1),
            nn.BatchNorm2d(width * 2),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.MaxPool2d(2, 2)
        self.fc = nn.Linear(width * 2, out_shape[0])

    def forward(self, x):
        x = F.relu(self.conv1(x), inplace=True)
        x = torch.relu(self.conv2(x))
        x = self.same(x)
        x = self.pool(self.body(x))
        x = x.mean(dim=(2, 3))
        return self.fc(x)

    def train_setup(self, prm):
        self.to(self.device)
        self.criteria = (nn.CrossEntropyLoss(),)
        self.optimizer = torch.optim.SGD(self.parameters(), lr=prm['lr'], momentum=prm['momentum'])

    def learn(self, train_data):
        pass
"""
)


def news(source: str, kind: str, old: str = "") -> set[str]:
    """What edits of one kind make of the first line that holds `old`, without indentation."""
    edits = [edit for edit in edits_of(source) if edit.kind == kind and old in edit.old]
    return {"\n".join(line.strip() for line in edit.new.split("\n")) for edit in edits}


def net(init: str, forward: str = "return x") -> str:
    """A program with these statements."""
    indented = ["\n".join(f"        {line}" for line in text.split("\n")) for text in (init, forward)]
    methods = f"    def __init__(self):\n{indented[0]}\n    def forward(self, x):\n{indented[1]}\n"
    return f"{HEAD}class Net(nn.Module):\n{methods}"


def test_activations_are_swapped_as_layers_and_as_functions() -> None:
    assert "nn.GELU()," in news(NET, "activation", "nn.ReLU")
    assert {"x = F.gelu(self.conv1(x))", "x = F.mish(self.conv1(x))"} <= news(NET, "activation", "conv1(x)")
    assert "x = F.silu(self.conv2(x))" in news(NET, "activation", "conv2(x)")


def test_kernels_change_with_their_padding_by_position_and_by_keyword() -> None:
    assert news(NET, "kernel", "self.conv1 =") == {
        f"self.conv1 = nn.Conv2d(in_shape[1], width, {k}, 1, {k // 2})" for k in (1, 5, 7)
    }
    assert news(NET, "kernel", "self.conv2 =") == {
        f"self.conv2 = nn.Conv2d(width, width * 2, kernel_size={k}, padding={k // 2})" for k in (1, 5, 7)
    }
    assert "nn.Conv2d(width * 2, width * 2, 5, stride=2, padding=2)," in news(NET, "kernel", "stride=2")


@pytest.mark.parametrize(
    ("conv", "wanted"),
    [
        ("nn.Conv2d(3, 8, 1)", {f"nn.Conv2d(3, 8, {k}, padding={k // 2})" for k in (3, 5, 7)}),
        ("nn.Conv2d(3, 8, 3)", {"nn.Conv2d(3, 8, 5, padding=1)", "nn.Conv2d(3, 8, 7, padding=2)"}),
        ("nn.Conv2d(3, 8, 3, padding=2, dilation=2)", {
            "nn.Conv2d(3, 8, 1, padding=0, dilation=2)",
            "nn.Conv2d(3, 8, 5, padding=4, dilation=2)",
            "nn.Conv2d(3, 8, 7, padding=6, dilation=2)",
        }),
        ("nn.Conv2d(3, 8, 3, padding='same')", {f"nn.Conv2d(3, 8, {k}, padding='same')" for k in (1, 5, 7)}),
        ("nn.Conv2d(3, 8, 4, 4)", {"nn.Conv2d(3, 8, 6, 4, padding=1)"}),
        ("nn.Conv2d(3, 8, k, padding=1)", set()),
        ("nn.Conv2d(3, 8, 3, padding=p)", set()),
        ("nn.Conv2d(*sizes, 3)", set()),
        ("nn.Conv2d(3, 8, 3, **more)", set()),
    ],
)  # fmt: skip
def test_a_kernel_keeps_the_size_of_the_output_or_is_left_alone(conv: str, wanted: set[str]) -> None:
    assert news(net(f"self.conv = {conv}"), "kernel") == {f"self.conv = {text}" for text in wanted}


def test_pools_and_norms() -> None:
    assert news(NET, "pooling", "MaxPool2d") == {
        "self.pool = nn.AvgPool2d(2, 2)",
        "self.pool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)",
    }
    assert news(NET.replace("inplace=True", ""), "pooling", "mean") == {"x = x.amax(dim=(2, 3))"}
    assert news(NET, "normalisation") == {
        "nn.GroupNorm(1, width * 2),",
        "nn.InstanceNorm2d(width * 2, affine=True),",
        "nn.Identity(),",
    }


def test_layers_go_in_behind_a_convolution() -> None:
    source = net("self.body = nn.Sequential(nn.Conv2d(3, c, 3), nn.ReLU())")
    assert "self.body = nn.Sequential(nn.Conv2d(3, c, 3), nn.BatchNorm2d(c), nn.ReLU())" in news(source, "insert")
    assert "self.conv1 = nn.Sequential(nn.Conv2d(in_shape[1], width, 3, 1, 1), nn.GroupNorm(1, width))" in news(
        NET, "insert", "self.conv1 ="
    )
    assert "x = self.same(x)\nx = F.dropout(x, 0.1, self.training)" in news(NET, "insert", "self.same(x)")


def test_a_layer_that_the_program_looks_into_is_not_wrapped() -> None:
    init = "self.conv = nn.Conv2d(3, 8, 3)\nnn.init.zeros_(self.conv.weight)"
    assert not news(net(init), "insert")
    assert news(net(init.split("\n")[0]), "insert")


def test_depth_reuses_the_width_and_the_activation() -> None:
    assert "nn.ReLU(inplace=True),\nnn.Conv2d(width * 2, width * 2, kernel_size=1),\nnn.ReLU(inplace=True)," in news(
        NET, "depth", "nn.ReLU"
    )
    source = net("self.blocks = nn.Sequential(*[nn.Linear(8, 8) for _ in range(2)])")
    assert {text for text in news(source, "depth") if "range(3)" in text or "range(1)" in text}


def test_a_chain_that_ends_without_an_activation_goes_on_to_do_so() -> None:
    source = net("self.body = nn.Sequential(nn.Conv2d(3, 8, 1))")
    start = "self.body = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, "
    assert all(text.startswith(start) and "ReLU())" not in text for text in news(source, "depth"))


@pytest.mark.parametrize("forward", ["y = self.norm(x)\nx += y\nreturn x", "return F.relu(x, inplace=True)"])
def test_a_network_that_overwrites_tensors_gets_no_activation_that_it_could_overwrite(forward: str) -> None:
    init = "self.body = nn.Sequential(nn.Conv2d(3, 8, 1))"
    assert any("nn.ReLU())" in text for text in news(net(init), "insert"))
    assert not any("nn.ReLU())" in text for text in news(net(init, forward), "insert"))


def test_a_block_of_the_program_is_repeated_from_the_width_it_leaves() -> None:
    block = "class Block(nn.Module):\n    def __init__(self, in_c, out_c, stride=1):\n        super().__init__()\n\n"
    source = net("self.body = nn.Sequential(Block(8, 16, stride=2))").replace("class Net", f"{block}class Net")
    assert news(source, "depth", "Block(8") == {
        "self.body = nn.Sequential(Block(8, 16, stride=2), Block(16, 16, stride=1))"
    }


def test_residuals() -> None:
    assert news(NET, "residual") == {"x = x + self.same(x)"}
    block = net("self.f = nn.Linear(8, 16)", "return x + self.f(x)")
    assert news(block, "residual") == {"return x + 0.5 * self.f(x)", "return self.f(x)"}
    assert not news(net("self.f = nn.Linear(8, 16)", "return self.f(x)"), "residual")


def test_head() -> None:
    assert {
        "self.fc = nn.Sequential(nn.Dropout(0.3), nn.Linear(width * 2, out_shape[0]))",
        "self.fc = nn.Sequential(nn.Linear(width * 2, 64), nn.ReLU(), nn.Linear(64, out_shape[0]))",
    } <= news(NET, "head")


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("width = 32", {"16", "24", "48", "64"}),
        ("hidden = 8", {"16"}),
        ("channels = (16, 32)", {"(8, 16)", "(16, 24)", "(24, 48)", "(32, 64)"}),
        ("heads = 4", set()),
        ("num_classes = 10", set()),
        ("kernel = 32", set()),
        ("width = prm['width']", set()),
        ("width = True", set()),
    ],
)
def test_named_widths_are_scaled_to_multiples_of_eight(line: str, wanted: set[str]) -> None:
    name = line.split(" =")[0]
    assert news(net(line), "width") == {f"{name} = {value}" for value in wanted}


def test_named_counts_move_by_one() -> None:
    assert news(net("depth = 2"), "depth") == {"depth = 1", "depth = 3"}
    assert news(net("depth = 1"), "depth") == {"depth = 2"}
    assert news(net("blocks = [1, 2]"), "depth") == {"blocks = [2, 2]", "blocks = [1, 1]", "blocks = [1, 3]"}
    assert news(net("expansion = 4"), "width") == {"expansion = 3", "expansion = 5"}


def test_recipe_edits_are_marked_as_such() -> None:
    recipe = {edit.kind for edit in edits_of(NET) if edit.part == "recipe"}
    assert recipe == {"optimizer", "rate", "momentum", "decay", "smoothing"}
    assert not recipe & {edit.kind for edit in edits_of(NET) if edit.part == "net"}
    start = "self.optimizer = torch.optim."
    assert f"{start}AdamW(self.parameters(), lr=prm['lr'] * 0.1)" in news(NET, "optimizer")
    assert f"{start}SGD(self.parameters(), lr=prm['lr'] * 2, momentum=prm['momentum'])" in news(NET, "rate")
    assert f"{start}SGD(self.parameters(), lr=prm['lr'], momentum=prm['momentum'], nesterov=True)" in news(
        NET, "momentum"
    )
    assert "self.criteria = (nn.CrossEntropyLoss(label_smoothing=0.1),)" in news(NET, "smoothing")


def test_a_value_that_is_there_already_is_no_edit() -> None:
    source = NET.replace("momentum=prm['momentum']", "momentum=0.9, weight_decay=1e-4")
    assert not [edit for edit in edits_of(source) if "weight_decay=0.0001)" in edit.new and edit.kind == "decay"]
    assert len(news(source, "momentum")) == 3


@pytest.mark.parametrize(
    "imports",
    ["import torch\nfrom torch import nn\n", "import torch\n", "from torch.nn import ReLU\nfrom torch import nn\n"],
)
def test_layers_are_found_and_written_under_the_names_that_the_program_imports(imports: str) -> None:
    call = {"import torch\n": "torch.nn.ReLU()", "from torch.nn": "ReLU()"}.get(
        imports.split(" import R")[0], "nn.ReLU()"
    )
    prefix = "torch.nn." if imports == "import torch\n" else "nn."
    source = f"{imports}class A:\n    def __init__(self):\n        self.act = {call}\n"
    assert f"self.act = {prefix}GELU()" in news(source, "activation")


def test_a_class_of_the_program_that_is_named_like_a_layer_is_left_alone() -> None:
    assert not edits_of("class ReLU:\n    pass\nclass A:\n    def __init__(self):\n        self.act = ReLU()\n")


def test_a_repeated_line_is_quoted_with_its_neighbours() -> None:
    source = net("self.act = nn.Sequential(\n    nn.ReLU(),\n    nn.Tanh(),\n    nn.ReLU(),\n)")
    places = {edit.old for edit in edits_of(source) if edit.kind == "activation" and "ReLU" in edit.old}
    assert len(places) == 2
    assert all(source.count(old) == 1 for old in places)


@pytest.mark.parametrize("source", ["", "x = 1", "def f(", "class Net:\n    pass", "\x00", "a\rb"])
def test_where_nothing_can_be_edited_the_space_is_empty(source: str) -> None:
    assert edits_of(source) == ()


def test_characters_beyond_ascii_and_line_endings_move_no_edit() -> None:
    plain = {edit.new for edit in edits_of(NET)}
    wide = NET.replace("x = self.same(x)", "'größe'; x = self.same(x); 'größe'")
    assert any("'größe'; x = x + self.same(x); 'größe'" in edit.new for edit in edits_of(wide))
    assert {edit.new for edit in edits_of(NET.replace("\n", "\r\n"))} == plain


SOME = {"own": NET, **dict(list(baselines().items())[::3])}


@pytest.mark.parametrize("name", sorted(SOME))
def test_every_edit_applies_parses_and_changes_the_program_in_its_own_way(name: str) -> None:
    source = SOME[name]
    edits = edits_of(source)
    seen = {canonical_source(source)}
    for edit in edits:
        applied = apply_edit(source, edit.text)
        expected = source
        for old, new in zip(edit.old.split("\n...\n"), edit.new.split("\n...\n"), strict=True):
            assert expected.count(old) == 1
            expected = expected.replace(old, new)
        assert applied == AppliedEdit(expected, "exact")
        ast.parse(applied.source)
        canonical = canonical_source(applied.source)
        assert canonical not in seen, edit
        seen.add(canonical)


@pytest.mark.parametrize("name", ["resnet", "vgg", "mlp"])
def test_a_network_of_another_name_has_the_same_edits(name: str) -> None:
    text = baselines()[name]
    named = [(edit.kind, edit.part, edit.new) for edit in edits_of(text)]
    other = text.replace("class Net(", "class Own(") + "\n\nNet = Own\n"
    assert [(edit.kind, edit.part, edit.new.replace("class Own(", "class Net(")) for edit in edits_of(other)] == named


@pytest.mark.parametrize("name", sorted(baselines()))
def test_every_baseline_has_edits_of_many_kinds_in_a_fixed_order(name: str) -> None:
    edits = edits_of(baselines()[name])
    assert len({edit.kind for edit in edits if edit.part == "net"}) >= 6
    assert len(edits) == len(set(edits)) >= 50
    edits_of.cache_clear()
    assert edits_of(baselines()[name]) == edits


def test_an_edit_says_itself_as_a_block() -> None:
    assert SpaceEdit("width", "net", "a", "b").text == "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n"
