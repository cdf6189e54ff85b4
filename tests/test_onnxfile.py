"""Texts are put into ONNX files, and values outside of them are found, as ONNX's own library writes and reads them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deltanas.onnxfile import lies_outside, with_metadata

FLOAT = TensorProto.FLOAT
TEXTS = {"label": "猫 with blanks ", "empty": "", "long": "x" * 70_000, "json": '{"a": [1, null]}', "é": "\n"}


def tensor(outside: bool, name: str = "w") -> TensorProto:
    made = numpy_helper.from_array(np.ones(4, np.float32), name)
    if outside:
        made.ClearField("raw_data")
        made.data_location = TensorProto.EXTERNAL
        made.external_data.add(key="location", value="/etc/passwd")
    return made


def graph(*nodes: onnx.NodeProto, weights: tuple[TensorProto, ...] = ()) -> onnx.GraphProto:
    ends = [helper.make_tensor_value_info(name, FLOAT, ["n", 4]) for name in ("pixels", "logits")]
    return helper.make_graph(list(nodes), "g", ends[:1], ends[1:], list(weights))


def add() -> onnx.NodeProto:
    return helper.make_node("Add", ["pixels", "w"], ["logits"])


def model(inner: onnx.GraphProto) -> onnx.ModelProto:
    return helper.make_model(inner, opset_imports=[helper.make_opsetid("", 17)])


def plain() -> bytes:
    return bytes(model(graph(add(), weights=(tensor(False),))).SerializeToString())


def in_a_constant() -> onnx.ModelProto:
    return model(graph(helper.make_node("Constant", [], ["w"], value=tensor(True)), add()))


def in_a_branch() -> onnx.ModelProto:
    inner = graph(weights=(tensor(True),))
    return model(graph(helper.make_node("If", ["pixels"], ["w"], then_branch=inner, else_branch=graph())))


def in_branches_of_a_list() -> onnx.ModelProto:
    node = helper.make_node("Custom", ["pixels"], ["logits"])
    node.attribute.append(onnx.AttributeProto(name="graphs", graphs=[graph(), graph(weights=(tensor(True),))]))
    return model(graph(node))


def in_a_list_of_tensors() -> onnx.ModelProto:
    node = helper.make_node("Custom", ["pixels"], ["logits"])
    node.attribute.append(onnx.AttributeProto(name="tensors", tensors=[tensor(False), tensor(True)]))
    return model(graph(node))


def in_a_sparse_one() -> onnx.ModelProto:
    made = model(graph(add()))
    made.graph.sparse_initializer.add(values=tensor(True), indices=tensor(False, "i"), dims=[4])
    return made


def in_a_function() -> onnx.ModelProto:
    made = model(graph(add(), weights=(tensor(False),)))
    node = helper.make_node("Constant", [], ["w"], value=tensor(True))
    made.functions.append(helper.make_function("own", "f", [], ["w"], [node], [helper.make_opsetid("", 17)]))
    return made


def in_a_training_graph() -> onnx.ModelProto:
    made = model(graph(add(), weights=(tensor(False),)))
    made.training_info.add(initialization=graph(weights=(tensor(True),)))
    return made


def by_its_place_alone() -> onnx.ModelProto:
    made = tensor(True)
    made.ClearField("external_data")
    return model(graph(add(), weights=(made,)))


def by_its_name_alone() -> onnx.ModelProto:
    made = tensor(True)
    made.data_location = TensorProto.DEFAULT
    return model(graph(add(), weights=(made,)))


@pytest.mark.parametrize(
    "made",
    [
        lambda: model(graph(add(), weights=(tensor(True),))),
        in_a_constant,
        in_a_branch,
        in_branches_of_a_list,
        in_a_list_of_tensors,
        in_a_sparse_one,
        in_a_function,
        in_a_training_graph,
        by_its_place_alone,
        by_its_name_alone,
    ],
)
def test_a_tensor_outside_is_found_wherever_it_stands(made: object) -> None:
    assert callable(made)
    assert lies_outside(made().SerializeToString()) == "w"


def test_what_lies_inside_is_let_through() -> None:
    assert lies_outside(plain()) is None
    assert lies_outside(with_metadata(plain(), TEXTS)) is None
    assert lies_outside(b"") is None


def test_texts_are_read_back_by_the_library() -> None:
    whole = with_metadata(plain(), TEXTS)
    read = onnx.load_model_from_string(whole)
    assert {entry.key: entry.value for entry in read.metadata_props} == TEXTS
    onnx.checker.check_model(read)
    read.ClearField("metadata_props")
    assert read.SerializeToString() == plain(), "nothing else is changed"


def test_the_text_that_was_put_in_last_holds() -> None:
    runtime = pytest.importorskip("onnxruntime")
    whole = with_metadata(with_metadata(plain(), {"a": "theirs", "b": "kept"}), {"a": "ours"})
    session = runtime.InferenceSession(whole, providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {"a": "ours", "b": "kept"}
    onnx.checker.check_model(onnx.load_model_from_string(whole))  # it refuses a name that stands there twice


@pytest.mark.parametrize("bad", [b"\x3a", b"\x3a\x05abc", b"\x0b", b"\xff" * 11, b"junk", plain()[:-1], b"\x39abc"])
def test_bytes_that_are_no_such_message_are_told(bad: bytes) -> None:
    with pytest.raises(ValueError, match=r"byte|kind"):
        lies_outside(bad)
    assert with_metadata(bad, {"a": "ours"}).startswith(bad), "they may be what a sandbox gave"


def test_a_graph_is_not_hidden_by_a_number_that_readers_cut_to_32_bits() -> None:
    """ONNX Runtime does so; the library of this test refuses such a file."""
    made = model(graph(add(), weights=(tensor(True),)))
    inner = made.graph.SerializeToString()
    hidden = _size(7 << 3 | 2 | 1 << 32) + _size(len(inner)) + inner
    with pytest.raises(ValueError, match="number"):
        lies_outside(hidden)


def test_a_name_that_is_a_number_takes_no_memory() -> None:
    inner = _size(8 << 3) + _size(1 << 45)
    for number in (5, 7):
        inner = _size(number << 3 | 2) + _size(len(inner)) + inner
    assert lies_outside(inner) is None


def test_graphs_in_graphs_without_end_are_told() -> None:
    inner = b""
    for _ in range(40):
        for number in (6, 5, 1):  # a graph in an attribute in a node
            inner = bytes([number << 3 | 2]) + _size(len(inner)) + inner
    with pytest.raises(ValueError, match="without end"):
        lies_outside(bytes([7 << 3 | 2]) + _size(len(inner)) + inner)


def _size(n: int) -> bytes:
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + _size(n >> 7)
