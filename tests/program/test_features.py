from __future__ import annotations

import pytest

from deltanas import nets
from deltanas.program import Program, edits_in
from deltanas.program.features import edit_features


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
