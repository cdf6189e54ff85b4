"""Small ONNX graphs, each with one operator between two convolutions, and what compilers were seen to say of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper, parser

_SHAPES = {
    "w": (8, 8, 3, 3), "w1": (8, 8, 1, 1), "w5": (8, 8, 5, 5), "wd": (8, 1, 3, 3), "wg": (8, 4, 3, 3),
    "w4": (32, 8, 3, 3), "w16": (8, 16, 3, 3), "w2": (8, 2, 3, 3), "w32": (8, 32, 3, 3), "wt2": (8, 8, 2, 2),
    "wt3": (8, 8, 3, 3), "b": (8,), "c": (8,), "slope": (8, 1, 1), "m": (16, 16), "half": (8, 4, 3, 3),
}  # fmt: skip
_CONSTANTS = {
    "zero": np.array(0.0, "f4"), "one": np.array(1.0, "f4"), "six": np.array(6.0, "f4"), "four": np.array(4.0, "f4"),
    "two": np.array(2.0, "f4"), "axes": np.array([2, 3]), "channel": np.array([1]), "up": np.array([1, 1, 2, 2], "f4"),
    "shape": np.array([1, 2, 4, 16, 16]), "back": np.array([1, 8, 16, 16]), "row": np.array([1, 8, 256]),
    "border": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "from": np.array([0]), "to": np.array([4]), "last": np.array([3]),
    "picked": np.array([7, 6, 5, 4, 3, 2, 1, 0]),
    "grid": np.zeros((1, 16, 16, 2), "f4"),
    "k": np.array([4]), "times": np.array([1, 2, 1, 1]), "far": np.array([8]), "by": np.array([2]),
}  # fmt: skip

# name: (body from x, [1, 8, 16, 16], to z of eight channels, operators on the processor of an Ethos-U85, of an HTP v79)
GRAPHS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "relu": ("z = Relu(x)", (), ()),
    "relu6": ("z = Clip(x, zero, six)", (), ()),
    "clamp": ("z = Clip(x, zero, one)", (), ()),
    "clip": ("z = Clip(x, one, four)", (), ()),
    "leaky": ("z = LeakyRelu<alpha = 0.1>(x)", (), ()),
    "prelu": ("z = PRelu(x, slope)", (), ()),
    "elu": ("z = Elu(x)", (), ()),
    "gelu": ("z = Gelu(x)", (), ()),
    "erf": ("z = Erf(x)", ("Erf",), ("Erf",)),
    "sigmoid": ("z = Sigmoid(x)", (), ()),
    "silu": ("s = Sigmoid(x) z = Mul(x, s)", (), ()),
    "tanh": ("z = Tanh(x)", (), ()),
    "hardswish": ("z = HardSwish(x)", (), ()),
    "hardsigmoid": ("z = HardSigmoid<alpha = 0.16666667>(x)", (), ()),
    "mish": ("z = Mish(x)", ("Mish",), ()),
    "softplus": ("z = Softplus(x)", ("Softplus",), ()),
    "exp": ("z = Exp(x)", (), ()),
    "sqrt": ("a = Abs(x) z = Sqrt(a)", ("Sqrt",), ()),
    "pow": ("z = Pow(x, two)", ("Pow",), ()),
    "neg": ("z = Neg(x)", (), ()),
    "add": ("z = Add(x, x)", (), ()),
    "sub": ("z = Sub(x, c1)", (), ()),
    "mul": ("z = Mul(x, slope)", (), ()),
    "div": ("z = Div(x, six)", (), ()),
    "max": ("z = Max(x, slope)", (), ()),
    "concat": ("a = Concat<axis = 1>(x, x) z = Conv<pads = [1, 1, 1, 1]>(a, w16)", (), ()),
    "split": ("a, d = Split<axis = 1, num_outputs = 2>(x) z = Concat<axis = 1>(d, a)", (), ()),
    "slice": ("a = Slice(x, from, to, channel) z = Conv<pads = [1, 1, 1, 1]>(a, half)", (), ()),
    "roll": ("a = Slice(x, from, to, last) d = Slice(x, to, far2, last) z = Concat<axis = 3>(d, a)", (), ()),
    "gather": ("z = Gather<axis = 1>(x, picked)", ("Gather",), ()),
    "tile": ("a = Tile(x, times) z = Conv<pads = [1, 1, 1, 1]>(a, w16)", (), ()),
    "transpose": ("z = Transpose<perm = [0, 1, 3, 2]>(x)", (), ()),
    "reshape": ("a = Reshape(x, row) z = Reshape(a, back)", (), ()),
    "shuffle": ("a = Reshape(x, shape) d = Transpose<perm = [0, 2, 1, 3, 4]>(a) z = Reshape(d, back)", (), ()),
    "pad": ("a = Pad(x, border) z = Conv(a, w)", (), ()),
    "reflect": ('a = Pad<mode = "reflect">(x, border) z = Conv(a, w)', (), ()),
    "edge": ('a = Pad<mode = "edge">(x, border) z = Conv(a, w)', (), ()),
    "maxpool": ("a = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x) z = Resize(a, , up)", (), ()),
    "avgpool": ("z = AveragePool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x)", (), ()),
    "globalpool": ("a = GlobalAveragePool(x) z = Mul(x, a)", (), ()),
    "reducemax": ("a = ReduceMax(x, channel) z = Mul(x, a)", (), ()),
    "softmax": ("z = Softmax<axis = 1>(x)", (), ()),
    "nearest": (
        'a = Resize<coordinate_transformation_mode = "asymmetric", nearest_mode = "floor">(x, , up)'
        " z = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(a, w)", (), ()),
    "bilinear": (
        'a = Resize<mode = "linear", coordinate_transformation_mode = "half_pixel">(x, , up)'
        " z = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(a, w)", (), ()),
    "bicubic": (
        'a = Resize<mode = "cubic", coordinate_transformation_mode = "half_pixel">(x, , up)'
        " z = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(a, w)", ("Resize",), ()),
    "depthtospace": (
        'a = Conv<pads = [1, 1, 1, 1]>(x, w4) d = DepthToSpace<blocksize = 2, mode = "CRD">(a)'
        " z = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(d, w)", ("DepthToSpace",), ()),
    "spacetodepth": (
        "a = SpaceToDepth<blocksize = 2>(x) d = Conv<pads = [1, 1, 1, 1]>(a, w32)"
        " z = Resize(d, , up)", ("SpaceToDepth",), ()),
    "depthwise": ("z = Conv<pads = [1, 1, 1, 1], group = 8>(x, wd)", (), ()),
    "grouped": ("z = Conv<pads = [1, 1, 1, 1], group = 2>(x, wg)", (), ()),
    "dilated": ("z = Conv<pads = [2, 2, 2, 2], dilations = [2, 2]>(x, w, b)", (), ()),
    "wide": ("z = Conv<pads = [2, 2, 2, 2]>(x, w5, b)", (), ()),
    "transposed": (
        "a = ConvTranspose<strides = [2, 2]>(x, wt2) z = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(a, w)", (), ()),
    "transposed3": (
        "a = ConvTranspose<strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]>(x, wt3)"
        " z = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(a, w)", (), ()),
    "matmul": ("z = MatMul(x, m)", (), ()),
    "attention": (
        "t = Transpose<perm = [0, 1, 3, 2]>(x) a = MatMul(x, t) s = Softmax<axis = 3>(a) z = MatMul(s, x)", (), ()),
    "batchnorm": ("z = BatchNormalization(x, b, c, c, b)", (), ()),
    "layernorm": ("a = Transpose<perm = [0, 2, 3, 1]>(x) d = LayerNormalization(a, b, c)"
                  " z = Transpose<perm = [0, 3, 1, 2]>(d)", ("LayerNormalization",), ()),
    "instancenorm": ("z = InstanceNormalization(x, b, c)", (), ()),
    "einsum": ('z = Einsum<equation = "nchw,nchv->nchw">(x, x)', ("Einsum",), ("Einsum",)),
    "gridsample": ("z = GridSample(x, grid)", ("GridSample",), ()),
    "topk": ("a, i = TopK<axis = 1>(x, k) z = Conv<pads = [1, 1, 1, 1]>(a, half)", ("TopK",), ()),
    "cumsum": ("z = CumSum(x, one64)", ("CumSum",), ()),
}  # fmt: skip


def graph(name: str, size: int | None = 16) -> bytes:
    """The ONNX file. size: height and width, None to leave them open."""
    sides = f"{size},{size}" if size else "h,w"
    ends = "x = Conv<pads = [1, 1, 1, 1]>(given, w) ", " end = Conv<pads = [1, 1, 1, 1]>(z, w)"
    head = f'<ir_version: 9, opset_import: ["" : 20]> g (float[1,8,{sides}] given) => (float end)'
    text = f"{head} {{ {ends[0]}{GRAPHS[name][0]}{ends[1]} }}"
    model = parser.parse_model(text)
    return bytes(filled(model).SerializeToString())


def filled(model: Any) -> Any:
    """With the constants that its nodes name."""
    generator = np.random.default_rng(0)
    values: dict[str, Any] = {one: generator.normal(size=shape).astype("f4") for one, shape in _SHAPES.items()}
    values |= _CONSTANTS | {"c1": generator.normal(size=(1, 8, 1, 1)).astype("f4"), "far2": np.array([16])}
    values |= {"one64": np.array(1)}
    values["b"] = np.abs(values["b"]) + 1
    made = {name for node in model.graph.node for name in node.output}
    for name in dict.fromkeys(name for node in model.graph.node for name in node.input):
        if name in values and name not in made:
            model.graph.initializer.append(numpy_helper.from_array(values[name], name))
    onnx.checker.check_model(model)
    return model
