"""Operators that go over an image with a window, and those that resize it, in TensorFlow Lite's form."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np

from deltanas.npu.drafting import LAST, SCALE, Array, Draft, Node, NoFormError

_SAME, _VALID = 0, 1


def convolution(draft: Draft, node: Node) -> None:
    weights = draft.constant(node.inputs[1])
    if weights.ndim != 4:
        raise NoFormError("a convolution of other than two dimensions")
    strides, dilations, groups = node.get("strides", (1, 1)), node.get("dilations", (1, 1)), node.get("group", 1)
    kernel = [1 + (size - 1) * by for size, by in zip(weights.shape[2:], dilations, strict=True)]
    x, padding = bordered(draft, node, kernel, strides, 0.0)
    outputs, channels = len(weights), draft.shape(node.inputs[0])[1]
    bias = draft.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    steps = (strides[1], strides[0])
    if groups == channels > 1:
        held = draft.weights(weights.transpose(1, 2, 3, 0), 3)
        options: Sequence[float] = (padding, *steps, outputs // channels, 0, dilations[1], dilations[0])
        draft.give(node.outputs[0], "DEPTHWISE_CONV_2D", [x, held, draft.bias(bias, outputs, held)], options)
        return
    held = draft.weights(weights.transpose(0, 2, 3, 1), 0)
    options = (padding, *steps, 0, dilations[1], dilations[0])
    draft.give(node.outputs[0], "CONV_2D", [x, held, draft.bias(bias, outputs, held)], options)


def transposed(draft: Draft, node: Node) -> None:
    weights = draft.constant(node.inputs[1])
    strides, pads = node.get("strides", (1, 1)), node.get("pads", (0, 0, 0, 0))
    if weights.ndim != 4 or node.get("group", 1) != 1 or set(node.get("dilations", (1, 1))) != {1}:
        raise NoFormError("a transposed convolution with groups, dilations or other than two dimensions")
    bias = draft.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else None
    held = draft.weights(weights.transpose(1, 2, 3, 0), 0)
    given, wanted = draft.laid(node.inputs[0])[1:3], draft.laid(node.outputs[0])
    kernel = weights.shape[2:]
    same = all(
        out == size * stride and before == max(k - stride, 0) // 2
        for out, size, stride, before, k in zip(wanted[1:3], given, strides, pads[:2], kernel, strict=True)
    )
    whole = [(size - 1) * stride + k for size, stride, k in zip(given, strides, kernel, strict=True)]
    shape = wanted if same else (wanted[0], *whole, wanted[3])
    arguments = [
        draft.integers(shape), held, draft.place(node.inputs[0]), draft.bias(bias, weights.shape[1], held)
    ]  # fmt: skip
    options = (_SAME if same else _VALID, strides[1], strides[0])
    if tuple(shape) == tuple(wanted):
        draft.give(node.outputs[0], "TRANSPOSE_CONV", arguments, options)
        return
    if any(start + size > full for start, size, full in zip(pads[:2], wanted[1:3], whole, strict=True)):
        raise NoFormError("a transposed convolution that adds a border")
    made = draft.step("TRANSPOSE_CONV", arguments, shape, options)
    begin, end = (0, *pads[:2], 0), (wanted[0], pads[0] + wanted[1], pads[1] + wanted[2], wanted[3])
    draft.give(node.outputs[0], "STRIDED_SLICE", [made, *map(draft.integers, (begin, end, (1, 1, 1, 1)))])


def pool(draft: Draft, node: Node) -> None:
    kernel = node.attributes["kernel_shape"]
    strides, mean = node.get("strides", (1,) * len(kernel)), node.op == "AveragePool"
    if len(kernel) != 2 or set(node.get("dilations", (1, 1))) != {1} or len(node.outputs) > 1:
        raise NoFormError("a pool of other than two dimensions, or with dilations or indices")
    x, padding = bordered(draft, node, kernel, strides, 0.0 if mean else -128.0)
    if mean and any(node.get("pads", ())) and bool(node.get("count_include_pad", 0)) == (padding == _SAME):
        raise NoFormError("a mean over a border that is counted otherwise")
    options = (padding, strides[1], strides[0], kernel[1], kernel[0])
    draft.give(node.outputs[0], "AVERAGE_POOL_2D" if mean else "MAX_POOL_2D", [x], options)


def bordered(draft: Draft, node: Node, kernel: Sequence[int], strides: Sequence[int], value: float) -> tuple[int, int]:
    """The input with its border, and how the operator is to be padded itself."""
    name = node.inputs[0]
    given, wanted = draft.laid(name), draft.laid(node.outputs[0])
    pads = node.get("pads", (0, 0, 0, 0))
    auto = node.get("auto_pad", b"NOTSET")
    if auto not in (b"NOTSET", b"VALID", b"SAME_UPPER"):
        raise NoFormError("a border that is wider before than behind")
    sizes = list(zip(given[1:3], kernel, strides, strict=True))
    total = [max((ceil(size / stride) - 1) * stride + k - size, 0) for size, k, stride in sizes]
    same = [(one // 2, one - one // 2) for one in total]
    asked = same if auto == b"SAME_UPPER" else list(zip(pads[:2], pads[2:], strict=True))
    fits = all(out == ceil(size / stride) for out, (size, _, stride) in zip(wanted[1:3], sizes, strict=True))
    counted = node.op == "AveragePool" and node.get("count_include_pad", 0)
    if not any(map(any, asked)):
        padding = _VALID
    elif asked == same and fits and not counted:
        return draft.place(name), _SAME
    else:
        padding = _VALID
    full = [size + sum(border) for size, border in zip(given[1:3], asked, strict=True)]
    reached = [(out - 1) * stride + k for out, (_, k, stride) in zip(wanted[1:3], sizes, strict=True)]
    if any(need > have for need, have in zip(reached, full, strict=True)):
        raise NoFormError("a window that reaches beyond the border (ceil_mode)")
    if not any(map(any, asked)):
        return draft.place(name), padding
    border = draft.integers([(0, 0), *asked, (0, 0)])
    shape = (given[0], *full, given[3])
    if value:
        return draft.step("PADV2", [draft.place(name), border, draft.bound(np.array(value * SCALE))], shape), padding
    return draft.step("PAD", [draft.place(name), border], shape), padding


def resize(draft: Draft, node: Node) -> None:
    given, wanted = draft.laid(node.inputs[0]), draft.laid(node.outputs[0])
    if len(given) != 4 or given[0] != wanted[0] or given[3] != wanted[3]:
        raise NoFormError("a resize of other than height and width")
    mode, how = node.get("mode", b"nearest"), node.get("coordinate_transformation_mode", b"half_pixel")
    if node.op == "Upsample":
        how = b"asymmetric"
    corners, half = how == b"align_corners", how in (b"half_pixel", b"pytorch_half_pixel")
    rounding = node.get("nearest_mode", b"round_prefer_floor")
    exact = (how, rounding) in ((b"asymmetric", b"floor"), (b"half_pixel", b"round_prefer_ceil"))
    exact = exact or node.op == "Upsample" or (half and _whole(given, wanted))
    sound = mode == b"linear" and (corners or half or how == b"asymmetric")
    if node.get("antialias", 0) or not (sound or (mode == b"nearest" and (exact or corners))):
        raise NoFormError("a resize in a mode of its own")
    code = "RESIZE_BILINEAR" if mode == b"linear" else "RESIZE_NEAREST_NEIGHBOR"
    x = draft.place(node.inputs[0])
    draft.give(node.outputs[0], code, [x, draft.integers(wanted[1:3])], (corners, half and mode == b"linear"))


def _whole(given: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether the image grows by whole numbers: all ways to round are one then, but for even ones halfway."""
    return all(out % size == 0 for size, out in zip(given[1:3], wanted[1:3], strict=True))


def shuffle(draft: Draft, node: Node) -> None:
    """Depth to space. ONNX's mode CRD groups channels as torch does, TensorFlow Lite as DCR: it takes a gather more."""
    block, x = int(node.attributes["blocksize"]), draft.place(node.inputs[0])
    if node.get("mode", b"DCR") == b"CRD":
        shape = draft.laid(node.inputs[0])
        x = _reordered(draft, node.inputs[0], _interleaved(shape[3], block))
    draft.give(node.outputs[0], "DEPTH_TO_SPACE", [x], (block,))


def _reordered(draft: Draft, name: str, order: Array) -> int:
    """The tensor with its channels in another order: that of a convolution's weights, where it is read once."""
    x = draft.place(name)
    makers = [one for one in draft.net.operators if x in one.outputs]
    if len(makers) == 1 and makers[0].code == "CONV_2D" and draft.uses.get(name, 0) == 1:
        for place in makers[0].inputs[1:]:
            tensor = draft.net.tensors[place]
            assert tensor.data is not None
            tensor.data = np.ascontiguousarray(tensor.data[order])
            tensor.scale = [tensor.scale[one] for one in order]
        return x
    return draft.step("GATHER", [x, draft.integers(order)], draft.laid(name), (3,))


def _interleaved(channels: int, block: int) -> Array:
    return np.arange(channels).reshape(channels // block**2, block**2).T.ravel()


def unshuffle(draft: Draft, node: Node) -> None:
    block = int(node.attributes["blocksize"])
    draft.give(node.outputs[0], "SPACE_TO_DEPTH", [draft.place(node.inputs[0])], (block,))


def pad(draft: Draft, node: Node) -> None:
    mode = node.get("mode", b"constant")
    given = draft.shape(node.inputs[0])
    counts = draft.constant(node.inputs[1]).astype(int) if len(node.inputs) > 1 else np.array(node.attributes["pads"])
    axes = _axes(draft, node, len(given))
    borders = np.zeros((len(given), 2), int)
    borders[axes] = counts.reshape(2, -1).T
    if mode not in (b"constant", b"reflect") + ((b"edge",) if borders.max() <= 1 else ()) or (borders < 0).any():
        raise NoFormError("a border that repeats the edge or wraps around, or that is cut off")
    border = draft.integers(borders[list(LAST)] if len(given) == 4 else borders)
    x = draft.place(node.inputs[0])
    if mode != b"constant":  # a border of one pixel that repeats the edge is one that mirrors it with the edge
        draft.give(node.outputs[0], "MIRROR_PAD", [x, border], (mode == b"edge",))
        return
    value: Any = draft.constant(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] else 0.0
    if np.any(value):
        draft.give(node.outputs[0], "PADV2", [x, border, draft.bound(np.asarray(value).reshape(()))])
        return
    draft.give(node.outputs[0], "PAD", [x, border])


def _axes(draft: Draft, node: Node, rank: int) -> list[int]:
    if len(node.inputs) > 3 and node.inputs[3]:
        return [int(axis) % rank for axis in draft.constant(node.inputs[3])]
    return list(range(rank))
