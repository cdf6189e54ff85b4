from __future__ import annotations

from math import log

import pytest

from deltanas import nets
from deltanas.program import Program, edits_in
from deltanas.program.features import SIZES, edit_features, network_features, skeleton


def test_tokens_that_come_and_go_are_counted_with_their_sign() -> None:
    found = edit_features("nn.ReLU(), x + x + x + x + x", "nn.GELU(0.5), x", "activation")
    assert found == {"token:ReLU": -1, "token:GELU": 1, "token:0.5": 1, "token:x": -3, "part:net": 1} | {
        "kind:activation": 1
    }
    assert edit_features("a = 1  # b", "a  =  1 # b") == {"part:net": 1}, "layout is no token"


def test_a_composite_edit_is_of_all_its_kinds() -> None:
    found = edit_features("a", "b", "width+activation", "recipe")
    assert {"kind:width", "kind:activation", "part:recipe"} < set(found)


@pytest.mark.parametrize("part", ["net", "recipe", "transform"])
def test_changed_lines_say_what_whole_texts_say(part: str) -> None:
    parent = Program.of(nets.baselines()["mlp"])
    edits = edits_in(parent, [part])
    assert len(edits) > 10
    for edit in edits[::5]:
        before, after = parent.editable(edit.of), edit.apply(parent).editable(edit.of)
        assert edit_features(edit.old, edit.new, edit.kind) == edit_features(before, after, edit.kind)


def test_a_network_is_told_by_what_it_calls_and_by_its_sizes() -> None:
    found = network_features("from torch import nn\nnet = nn.Sequential(nn.Conv2d(3, 64, 3, stride=2), nn.ReLU())\n")
    assert {"call:Sequential", "call:Conv2d", "call:ReLU", "keyword:stride", "node:Assign"} <= set(found)
    assert found["call:Conv2d"] == pytest.approx(log(2))
    assert found["number:3"] == pytest.approx(log(3))
    assert found["largest width"] == pytest.approx(log(65))
    assert set(SIZES) <= set(network_features(nets.baselines()["vgg"]))


@pytest.mark.parametrize("source", ["def (", "x = " + "(" * 5000 + ")" * 5000, "\0", ""])
def test_what_is_no_python_has_its_lines_alone_and_a_skeleton(source: str) -> None:
    assert set(network_features(source)) >= {"lines"}
    assert skeleton(source) == skeleton(source)


def test_a_skeleton_is_the_text_without_its_numbers() -> None:
    assert skeleton("x = 3  # three\n") == skeleton("x   =   64.5")
    assert skeleton("x = 3") != skeleton("y = 3")
    assert len({skeleton(source) for source in nets.baselines().values()}) == len(nets.baselines())
