"""Operators that move numbers, and products of matrices, in TensorFlow Lite's form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deltanas.npu.drafting import LAST, Draft, Node, NoFormError


def reshape(draft: Draft, node: Node) -> None:
    """Any operator that keeps the order of the numbers: Reshape, Flatten, Squeeze, Unsqueeze."""
    draft.give_first(node.outputs[0], "RESHAPE", [draft.first(node.inputs[0])])


def transpose(draft: Draft, node: Node) -> None:
    name, out = node.inputs[0], node.outputs[0]
    rank = len(draft.shape(name))
    order = node.get("perm", tuple(reversed(range(rank))))
    if rank == 4:
        order = tuple(LAST.index(order[axis]) for axis in LAST)
    draft.give(out, "TRANSPOSE", [draft.place(name), draft.integers(order)])


def concat(draft: Draft, node: Node) -> None:
    axis = draft.axis(node.outputs[0], node.attributes["axis"])
    draft.give(node.outputs[0], "CONCATENATION", [draft.place(name) for name in node.inputs], (axis,))


def split(draft: Draft, node: Node) -> None:
    axis = draft.axis(node.inputs[0], node.get("axis", 0))
    sizes = [draft.laid(name)[axis] for name in node.outputs]
    x = draft.place(node.inputs[0])
    if len(set(sizes)) == 1:
        inputs = [draft.integers(np.array(axis)), x]
        draft.give_all(node.outputs, "SPLIT", inputs, (len(sizes),))
        return
    inputs = [x, draft.integers(sizes), draft.integers(np.array(axis))]
    draft.give_all(node.outputs, "SPLIT_V", inputs, (len(sizes),))


def cut(draft: Draft, node: Node) -> None:
    """Slice."""
    name, shape = node.inputs[0], draft.shape(node.inputs[0])
    starts, ends = (draft.constant(one).astype(int).tolist() for one in node.inputs[1:3])
    more = [draft.constant(one).astype(int).tolist() for one in node.inputs[3:] if one]
    axes = [axis % len(shape) for axis in (more[0] if more else range(len(starts)))]
    steps = more[1] if len(more) > 1 else [1] * len(starts)
    begin, end, by = [0] * len(shape), list(shape), [1] * len(shape)
    mask = 0
    for axis, start, stop, step in zip(axes, starts, ends, steps, strict=True):
        first, last, by[axis] = slice(start, stop, step).indices(shape[axis])
        begin[axis], end[axis] = first, last
        if last < 0:
            mask |= 1 << (LAST.index(axis) if len(shape) == 4 else axis)
            end[axis] = 0
    rows = [[row[axis] for axis in LAST] if len(shape) == 4 else row for row in (begin, end, by)]
    draft.give(node.outputs[0], "STRIDED_SLICE", [draft.place(name), *map(draft.integers, rows)], (0, mask))


def gather(draft: Draft, node: Node) -> None:
    name, out = node.inputs[0], node.outputs[0]
    if len(draft.shape(out)) == 4 == len(draft.shape(name)) or len(draft.shape(name)) < 4 > len(draft.shape(out)):
        chosen = draft.integers(draft.constant(node.inputs[1]))
        draft.give(out, "GATHER", [draft.place(name), chosen], (draft.axis(name, node.get("axis", 0)),))
        return
    raise NoFormError("a gather that changes how the tensor is laid out")


def tile(draft: Draft, node: Node) -> None:
    times = draft.constant(node.inputs[1]).astype(int).tolist()
    if len(times) == 4:
        times = [times[axis] for axis in LAST]
    draft.give(node.outputs[0], "TILE", [draft.place(node.inputs[0]), draft.integers(times)])


def expand(draft: Draft, node: Node) -> None:
    if len(draft.shape(node.inputs[0])) != len(draft.shape(node.outputs[0])):
        raise NoFormError("an expansion to more axes")
    wanted = draft.integers(draft.laid(node.outputs[0]))
    draft.give(node.outputs[0], "BROADCAST_TO", [draft.place(node.inputs[0]), wanted])


def product(draft: Draft, node: Node) -> None:
    a, b = node.inputs
    if b in draft.constants and draft.constants[b].ndim == 2:
        held = draft.weights(np.ascontiguousarray(draft.constants[b].T), 0)
        inputs = [draft.first(a), held, draft.bias(None, draft.constants[b].shape[1], held)]
        draft.give_first(node.outputs[0], "FULLY_CONNECTED", inputs, (0, 0, 1))
        return
    if min(len(draft.shape(a)), len(draft.shape(b))) < 2:
        raise NoFormError("a product with a vector")
    draft.give_first(node.outputs[0], "BATCH_MATMUL", [draft.first(a), draft.first(b)])


def linear(draft: Draft, node: Node) -> None:
    """Gemm."""
    weights = draft.constant(node.inputs[1])
    if node.get("transA", 0) or node.get("alpha", 1.0) != 1.0 or node.get("beta", 1.0) != 1.0:
        raise NoFormError("a product that is turned or scaled")
    held = draft.weights(weights if node.get("transB", 0) else np.ascontiguousarray(weights.T), 0)
    size = draft.shape(node.outputs[0])[1]
    bias = draft.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    inputs = [draft.place(node.inputs[0]), held, draft.bias(bias, size, held)]
    draft.give(node.outputs[0], "FULLY_CONNECTED", inputs)


LAYOUT: dict[str, Callable[[Draft, Node], None]] = {
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), reshape),
    "Concat": concat,
    "Expand": expand,
    "Gather": gather,
    "Gemm": linear,
    "MatMul": product,
    "Slice": cut,
    "Split": split,
    "Tile": tile,
    "Transpose": transpose,
}
