"""An ONNX file as a TensorFlow Lite graph of eight bits, for compilers that take no other.

What has no form there becomes a custom operator, which no compiler takes: it runs on the processor, as it would on a
phone. Runs in the sandbox.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from deltanas.npu.drafting import Array, Draft, Node, NoFormError
from deltanas.npu.flat import Net
from deltanas.npu.layout import LAYOUT
from deltanas.npu.values import VALUES
from deltanas.npu.windows import convolution, pad, pool, resize, shuffle, transposed, unshuffle

_SAME_NUMBERS = ("Identity", "Dropout", "Cast", "QuantizeLinear", "DequantizeLinear")
"""Operators that are gone once the whole graph has eight bits."""
_FORMS: Mapping[str, Callable[[Draft, Node], None]] = {
    **VALUES,
    **LAYOUT,
    "AveragePool": pool,
    "Conv": convolution,
    "ConvTranspose": transposed,
    "DepthToSpace": shuffle,
    "MaxPool": pool,
    "Pad": pad,
    "Resize": resize,
    "SpaceToDepth": unshuffle,
    "Upsample": resize,
}
_MOST_FOLDED = 1 << 24
"""Values of a constant that is computed of constants, at most."""
_ROUNDS = 8


def lowered(model: Any) -> Net:
    """The graph of a model whose shapes are all known. Raises ValueError where one is not."""
    onnx = importlib.import_module("onnx")
    shapes = _shapes(model)
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    nodes = [read(node) for node in model.graph.node]
    uses = Counter(name for node in nodes for name in node.inputs)
    uses.update(one.name for one in model.graph.output)
    draft = Draft(shapes, constants, uses)
    for name, values in constants.items():
        draft.shapes[name] = values.shape  # type: ignore[index]
    for value in model.graph.input:
        if value.name not in constants:
            draft.places[value.name] = draft.activation(value.name, draft.laid(value.name))
            draft.net.inputs.append(draft.places[value.name])
    for node in nodes:
        draft.node = node.name
        _write(draft, node)
    draft.node = ""
    draft.net.outputs = [draft.place(one.name) for one in model.graph.output]
    return draft.net


def _write(draft: Draft, node: Node) -> None:
    if node.op in _SAME_NUMBERS and node.inputs[0]:
        draft.alias(node.outputs[0], node.inputs[0])
        return
    before = len(draft.net.operators)
    try:
        form = _FORMS.get(node.op)
        if form is None:
            raise NoFormError(f"no form of {node.op}")
        if max(len(draft.shape(name)) for name in (*node.inputs[:1], *node.outputs) if name) > 6:
            raise NoFormError("more than six axes")
        form(draft, node)
    except NoFormError:
        del draft.net.operators[before:]
        draft.custom(node)


def fixed(raw: bytes, size: tuple[int, int] | None) -> Any:
    """The model with one image of a size as its input, every shape known, and what follows from constants computed.

    Raises ValueError where a shape is still not known.
    """
    onnx = importlib.import_module("onnx")
    model = opened(raw)
    held = {one.name for one in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in held:
            _fix(value.type.tensor_type.shape.dim, size)
    for value in (*model.graph.output, *model.graph.value_info):
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    for _ in range(_ROUNDS):
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        if not _fold(model, onnx):
            break
    return model


def opened(raw: bytes) -> Any:
    """The model as it is in the file, every node with a name of its own."""
    model = importlib.import_module("onnx").load_model_from_string(raw)
    if not model.graph.node:
        raise ValueError("there is no operator in it")
    taken: set[str] = set()
    for place, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.name or node.op_type}_{place}"
        taken.add(node.name)
    return model


def _fix(dims: Any, size: tuple[int, int] | None) -> None:
    for axis, dim in enumerate(dims):
        if axis == 0 and len(dims) > 1:
            dim.dim_value = 1
        elif size and len(dims) == 4 and axis >= 2:
            if dim.dim_value <= 0:
                dim.dim_value = size[axis - 2]
        elif dim.dim_value <= 0:
            raise ValueError("its input has axes of any size that are not height and width")


def _fold(model: Any, onnx: Any) -> bool:
    """Take out nodes that compute constants of constants; whether there were any."""
    known = {one.name: one for one in model.graph.initializer}
    shapes = {value.name: value.type.tensor_type.shape for value in (*model.graph.value_info, *model.graph.input)}
    kept, found = [], False
    for node in model.graph.node:
        made = _folded(node, known, shapes, onnx)
        if made is None:
            kept.append(node)
            continue
        found = True
        for name, values in made.items():
            known[name] = onnx.numpy_helper.from_array(np.asarray(values), name)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.graph.initializer[:]
    model.graph.initializer.extend(known.values())
    return found


def _folded(node: Any, known: Mapping[str, Any], shapes: Mapping[str, Any], onnx: Any) -> Mapping[str, Array] | None:
    if node.op_type == "Shape" and node.input[0] in shapes and not node.attribute:
        sizes = [dim.dim_value for dim in shapes[node.input[0]].dim]
        return {node.output[0]: np.array(sizes, np.int64)} if all(sizes) else None
    subgraphs = any(attribute.HasField("g") for attribute in node.attribute)
    if subgraphs or node.domain or not all(name in known or not name for name in node.input):
        return None
    if node.op_type.startswith("Random"):
        return None
    feeds = {name: onnx.numpy_helper.to_array(known[name]) for name in node.input if name}
    try:
        made = importlib.import_module("onnx.reference").ReferenceEvaluator(node).run(None, feeds)
    except Exception:  # noqa: BLE001  it raises what it likes on what it does not know
        return None
    if any(np.size(values) > _MOST_FOLDED for values in made):
        return None
    return dict(zip(node.output, made, strict=False))


def _shapes(model: Any) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {"": ()}
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.dim_value > 0 for dim in dims):
            found[value.name] = tuple(dim.dim_value for dim in dims)
    for node in model.graph.node:
        for name in node.output:
            if not name or name in found:
                continue
            if node.domain not in ("", "ai.onnx"):
                raise ValueError(
                    f"{node.op_type} of {node.domain} is no operator of ONNX, so the size of {name} is open"
                )
            raise ValueError(f"the size of {name}, which {node.op_type} gives, is not known before it runs")
    return found


def read(node: Any) -> Node:
    """A node with its attributes as plain values: numbers, tuples, bytes."""
    onnx = importlib.import_module("onnx")
    attributes = {}
    for one in node.attribute:
        value = onnx.helper.get_attribute_value(one)
        attributes[one.name] = tuple(value) if isinstance(value, (list, tuple)) or hasattr(value, "add") else value
    return Node(node.name, node.op_type, tuple(node.input), tuple(node.output), attributes)
