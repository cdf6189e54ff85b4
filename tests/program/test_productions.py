"""Dilation, stride, groups, layers taken away, squeeze and excitation: what each makes of a line."""

from __future__ import annotations

import pytest

from deltanas.program import apply_edit, edits_of

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


def program(init: str, forward: str = "return x") -> str:
    lines = [[f"        {line}" for line in text.split("\n")] for text in (init, forward)]
    top = "class Net(nn.Module):\n    def __init__(self, w, v, out_shape):\n        super().__init__()"
    return "\n".join([HEAD + top, *lines[0], "    def forward(self, x):", *lines[1], ""])


def results(source: str, kind: str) -> set[str]:
    """What the edits of a kind make of the methods' bodies, without indentation; lines that stay are left out."""
    kept = set(source.split("\n"))
    texts = [apply_edit(source, edit.text).source for edit in edits_of(source) if edit.kind == kind]
    return {"\n".join(line.strip() for line in text.split("\n") if line not in kept) for text in texts}


@pytest.mark.parametrize(
    ("conv", "wanted"),
    [
        ("nn.Conv2d(3, 8, 3, padding=1)", {f"nn.Conv2d(3, 8, 3, padding={n}, dilation={n})" for n in (2, 3)}),
        ("nn.Conv2d(3, 8, 5, 1, 4, 2)", {"nn.Conv2d(3, 8, 5, 1, 2, 1)", "nn.Conv2d(3, 8, 5, 1, 6, 3)"}),
        ("nn.Conv1d(3, 8, 3)", {f"nn.Conv1d(3, 8, 3, padding={n}, dilation={n + 1})" for n in (1, 2)}),
        ("nn.Conv2d(3, 8, 1)", set()),
        ("nn.Conv2d(3, 8, 2)", set()),
        ("nn.Conv2d(3, 8, 3, padding='same')", set()),
    ],
)  # fmt: skip
def test_a_dilation_comes_with_the_padding_that_keeps_the_size(conv: str, wanted: set[str]) -> None:
    assert results(program(f"self.c = {conv}"), "dilation") == {f"self.c = {text}" for text in wanted}


def test_strides_of_one_and_two_change_places() -> None:
    assert results(program("self.c = nn.Conv2d(3, 8, 3, stride=2)"), "stride") == {
        "self.c = nn.Conv2d(3, 8, 3, stride=1)"
    }
    assert results(program("self.c = nn.Conv2d(3, 8, 3)"), "stride") == {"self.c = nn.Conv2d(3, 8, 3, stride=2)"}
    assert not results(program("self.c = nn.Conv2d(3, 8, 3, stride=w)"), "stride")


def test_groups_up_to_one_a_channel_and_back() -> None:
    assert results(program("self.c = nn.Conv2d(w, w, 3)"), "groups") == {
        f"self.c = nn.Conv2d(w, w, 3, groups={groups})" for groups in ("2", "4", "w")
    }
    assert "self.c = nn.Conv2d(w, w, 3, groups=1)" in results(
        program("self.c = nn.Conv2d(w, w, 3, groups=w)"), "groups"
    )
    assert "self.c = nn.Conv2d(w, v, 3, groups=w)" not in results(program("self.c = nn.Conv2d(w, v, 3)"), "groups")


def test_layers_are_taken_out_of_a_chain_wherever_they_stand() -> None:
    one_line = program("self.f = nn.Sequential(nn.Conv2d(3, w, 1), nn.ReLU(), nn.Conv2d(w, w, 1))")
    assert results(one_line, "remove") == {
        "self.f = nn.Sequential(nn.Conv2d(3, w, 1), nn.Conv2d(w, w, 1))",
        "self.f = nn.Sequential(nn.Conv2d(3, w, 1), nn.ReLU())",
    }
    lines = program("self.f = nn.Sequential(\n    nn.BatchNorm2d(3),\n    nn.ReLU(),\n    nn.Dropout(0.1),\n)")
    texts = {apply_edit(lines, edit.text).source for edit in edits_of(lines) if edit.kind == "remove"}
    assert {text.count("nn.") for text in texts} == {lines.count("nn.") - 1}
    assert len(texts) == 3


def test_steps_of_the_forward_pass_that_keep_the_shape_are_taken_out() -> None:
    source = program(
        "self.a = nn.Conv2d(w, w, 3, padding=1)\nself.b = nn.Conv2d(w, v, 1)",
        "x = self.a(x)\nx = F.relu(x)\nx = self.b(x)\nreturn x",
    )
    texts = {apply_edit(source, edit.text).source for edit in edits_of(source) if edit.kind == "remove"}
    assert texts == {source.replace("        x = self.a(x)\n", ""), source.replace("        x = F.relu(x)\n", "")}


def test_squeeze_and_excitation_is_put_in_with_its_gate_and_taken_out() -> None:
    source = program("self.a = nn.Conv2d(3, w, 3)", "x = self.a(x)\nreturn x")
    found = results(source, "excite")
    assert len(found) == 2
    for text in found:
        assert "self.a_gate = nn.Sequential(" in text
        assert text.endswith("x = x * self.a_gate(x)")
        assert "nn.Conv2d(w, max(1, w // " in text
    gated = program("self.g = nn.Sigmoid()", "x = x * self.g(x)\nreturn x")
    (edit,) = [edit for edit in edits_of(gated) if edit.kind == "excite"]
    assert apply_edit(gated, edit.text).source == gated.replace("        x = x * self.g(x)\n", "")
