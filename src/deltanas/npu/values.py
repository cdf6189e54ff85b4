"""Operators that compute values one by one, or over axes, in TensorFlow Lite's form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from deltanas.npu.drafting import LAST, SCALE, Array, Draft, Node, NoFormError

_ONE = {
    "Abs": "ABS", "Ceil": "CEIL", "Cos": "COS", "Elu": "ELU", "Exp": "EXP", "Floor": "FLOOR", "HardSwish": "HARD_SWISH",
    "Log": "LOG", "Neg": "NEG", "Relu": "RELU", "Round": "ROUND", "Sigmoid": "LOGISTIC", "Sin": "SIN", "Sqrt": "SQRT",
    "Tanh": "TANH",
}  # fmt: skip
_TWO = {"Add": "ADD", "Div": "DIV", "Max": "MAXIMUM", "Min": "MINIMUM", "Mul": "MUL", "Pow": "POW", "Sub": "SUB"}
_OVER = {"ReduceMean": "MEAN", "ReduceSum": "SUM", "ReduceMax": "REDUCE_MAX", "ReduceMin": "REDUCE_MIN"}


def one(draft: Draft, node: Node) -> None:
    if node.op == "Elu" and node.get("alpha", 1.0) != 1.0:
        raise NoFormError("ELU of another slope than 1")
    draft.give(node.outputs[0], _ONE[node.op], [draft.place(node.inputs[0])])


def two(draft: Draft, node: Node) -> None:
    if len(node.inputs) != 2:
        raise NoFormError("of other than two tensors")
    compared = node.op in ("Max", "Min")
    inputs = [_beside(draft, name, node.outputs[0], compared=compared) for name in node.inputs]
    draft.give(node.outputs[0], _TWO[node.op], inputs)


def _beside(draft: Draft, name: str, output: str, *, compared: bool) -> int:
    """A tensor that is to be broadcast to the output's shape."""
    rank, shape = len(draft.shape(output)), draft.shape(name)
    if name in draft.constants:
        values = draft.constants[name]
        values = values.reshape((1,) * (4 - len(shape)) + shape) if rank == 4 and shape else values
        return draft.bound(values) if compared else draft.number(values, f"{name}/wide")
    if rank != 4 or len(shape) in (0, 4):
        return draft.place(name)
    wide = (1,) * (4 - len(shape)) + shape
    laid = tuple(wide[axis] for axis in LAST)
    if np.prod(shape) != max((1, *shape)):
        raise NoFormError("tensors of unlike rank")
    return draft.step("RESHAPE", [draft.place(name), draft.integers(laid)], laid)


def leaky(draft: Draft, node: Node) -> None:
    draft.give(node.outputs[0], "LEAKY_RELU", [draft.place(node.inputs[0])], (node.get("alpha", 0.01),))


def sloped(draft: Draft, node: Node) -> None:
    slope, rank = draft.constant(node.inputs[1]), len(draft.shape(node.inputs[0]))
    if rank == 4:
        slope = slope.reshape((1,) * (4 - slope.ndim) + slope.shape).transpose(LAST)[0]
    held = draft.number(slope, f"{node.inputs[1]}/slope")
    draft.give(node.outputs[0], "PRELU", [draft.place(node.inputs[0]), held])


def gelu(draft: Draft, node: Node) -> None:
    about = node.get("approximate", b"none") == b"tanh"
    draft.give(node.outputs[0], "GELU", [draft.place(node.inputs[0])], (about,))


def clip(draft: Draft, node: Node) -> None:
    bounds = []
    for place, usual in ((1, -np.inf), (2, np.inf)):
        given = len(node.inputs) > place and node.inputs[place]
        bounds.append(float(draft.constant(node.inputs[place]).item()) if given else usual)
    x, shape = draft.place(node.inputs[0]), draft.laid(node.outputs[0])
    known = {(0.0, 6.0): "RELU6", (0.0, 1.0): "RELU_0_TO_1", (0.0, np.inf): "RELU"}.get((bounds[0], bounds[1]))
    if known:
        draft.give(node.outputs[0], known, [x])
        return
    if np.isfinite(bounds[0]):
        x = draft.step("MAXIMUM", [x, draft.bound(np.array(bounds[0]))], shape)
    last = bounds[1] if np.isfinite(bounds[1]) else 127 * SCALE
    draft.give(node.outputs[0], "MINIMUM", [x, draft.bound(np.array(last))])


def hard_sigmoid(draft: Draft, node: Node) -> None:
    """Only as torch has it: ReLU6 of x + 3, a sixth of it."""
    if abs(node.get("alpha", 0.2) - 1 / 6) > 1e-4 or node.get("beta", 0.5) != 0.5:
        raise NoFormError("a hard sigmoid of other than a sixth")
    shape = draft.laid(node.outputs[0])
    moved = draft.step("ADD", [draft.place(node.inputs[0]), draft.number(np.array(3.0))], shape)
    cut = draft.step("RELU6", [moved], shape)
    draft.give(node.outputs[0], "MUL", [cut, draft.number(np.array(1 / 6))])


def reciprocal(draft: Draft, node: Node) -> None:
    draft.give(node.outputs[0], "DIV", [draft.number(np.array(1.0)), draft.place(node.inputs[0])])


def softmax(draft: Draft, node: Node) -> None:
    name, out = node.inputs[0], node.outputs[0]
    rank = len(draft.shape(name))
    axis = node.get("axis", -1) % rank
    if rank == 4 and axis == 1:
        draft.give(out, "SOFTMAX", [draft.place(name)], (1.0,))
    elif axis == rank - 1:
        draft.give_first(out, "SOFTMAX", [draft.first(name)], (1.0,))
    else:
        raise NoFormError("a softmax along an axis in the middle")


def over(draft: Draft, node: Node) -> None:
    """Means, sums and extremes over axes."""
    name, out = node.inputs[0], node.outputs[0]
    rank = len(draft.shape(name))
    axes = node.get("axes", None)
    if len(node.inputs) > 1 and node.inputs[1]:
        axes = draft.constant(node.inputs[1]).astype(int).tolist()
    axes = sorted(axis % rank for axis in axes) if axes is not None else list(range(rank))
    code, kept = _OVER[node.op], bool(node.get("keepdims", 1))
    if not kept and rank == 4 and 0 < len(axes) < 3 and axes not in ([1], [2, 3]):
        draft.give(out, code, [draft.first(name), draft.integers(axes)], (0,))
        return
    laid = [draft.axis(name, axis) for axis in axes]
    draft.give(out, code, [draft.place(name), draft.integers(laid)], (kept,))


def whole_mean(draft: Draft, node: Node) -> None:
    draft.give(node.outputs[0], "MEAN", [draft.place(node.inputs[0]), draft.integers((1, 2))], (1,))


def whole_most(draft: Draft, node: Node) -> None:
    draft.give(node.outputs[0], "REDUCE_MAX", [draft.place(node.inputs[0]), draft.integers((1, 2))], (1,))


def batch_norm(draft: Draft, node: Node) -> None:
    scale, shift, mean, variance = (draft.constant(name) for name in node.inputs[1:5])
    by = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    shape = (1, -1) + (1,) * (len(draft.shape(node.inputs[0])) - 2)
    made = draft.step(
        "MUL", [draft.place(node.inputs[0]), draft.number(by.reshape(shape))], draft.laid(node.outputs[0])
    )
    draft.give(node.outputs[0], "ADD", [made, draft.number((shift - mean * by).reshape(shape))])


def layer_norm(draft: Draft, node: Node) -> None:
    name, rank = node.inputs[0], len(draft.shape(node.inputs[0]))
    if node.get("axis", -1) % rank != rank - 1:
        raise NoFormError("a layer norm over several axes")
    x, shape = draft.first(name), draft.shape(name)
    held = [draft.constant(one) for one in node.inputs[1:] if one]
    _normed(draft, node, x, shape, (rank - 1,), held, laid=False)


def instance_norm(draft: Draft, node: Node) -> None:
    shape = draft.laid(node.inputs[0])
    held = [draft.constant(one).reshape(1, -1, 1, 1).transpose(LAST) for one in node.inputs[1:3]]
    if len(shape) != 4:
        raise NoFormError("an instance norm of other than two dimensions")
    _normed(draft, node, draft.place(node.inputs[0]), shape, (1, 2), held, laid=True)


def _normed(
    draft: Draft, node: Node, x: int, shape: tuple[int, ...], axes: tuple[int, ...], held: list[Array], *, laid: bool
) -> None:
    few = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    over_axes = draft.integers(axes)
    mean = draft.step("MEAN", [x, over_axes], few, (1,))
    apart = draft.step("SUB", [x, mean], shape)
    square = draft.step("SQUARED_DIFFERENCE", [x, mean], shape)
    spread = draft.step("MEAN", [square, over_axes], few, (1,))
    safe = draft.step("ADD", [spread, draft.number(np.array(node.get("epsilon", 1e-5)))], few)
    last = draft.step("MUL", [apart, draft.step("RSQRT", [safe], few)], shape)
    for place, values in enumerate(held):
        number = draft.number(values if values.ndim < 4 else values.transpose(0, 3, 1, 2))
        if place == len(held) - 1:
            (draft.give if laid else draft.give_first)(node.outputs[0], "ADD" if place else "MUL", [last, number])
            return
        last = draft.step("MUL", [last, number], shape)
    raise NoFormError("a norm without a scale")


VALUES: dict[str, Callable[[Draft, Node], None]] = {
    **dict.fromkeys(_ONE, one),
    **dict.fromkeys(_TWO, two),
    **dict.fromkeys(_OVER, over),
    "BatchNormalization": batch_norm,
    "Clip": clip,
    "Gelu": gelu,
    "GlobalAveragePool": whole_mean,
    "GlobalMaxPool": whole_most,
    "HardSigmoid": hard_sigmoid,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    "LeakyRelu": leaky,
    "PRelu": sloped,
    "Reciprocal": reciprocal,
    "Softmax": softmax,
}
