"""A TensorFlow Lite file, written field by field as its schema numbers them (version 3).

tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPERATORS = {
    "ADD": 0, "AVERAGE_POOL_2D": 1, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 4, "DEPTH_TO_SPACE": 5,
    "FLOOR": 8, "FULLY_CONNECTED": 9, "LOGISTIC": 14, "MAX_POOL_2D": 17, "MUL": 18, "RELU": 19, "RELU6": 21,
    "RESHAPE": 22, "RESIZE_BILINEAR": 23, "SOFTMAX": 25, "SPACE_TO_DEPTH": 26, "TANH": 28, "CUSTOM": 32, "PAD": 34,
    "GATHER": 36, "TRANSPOSE": 39, "MEAN": 40, "SUB": 41, "DIV": 42, "STRIDED_SLICE": 45, "EXP": 47, "SPLIT": 49,
    "PRELU": 54, "MAXIMUM": 55, "ARG_MAX": 56, "MINIMUM": 57, "NEG": 59, "PADV2": 60, "SIN": 66, "TRANSPOSE_CONV": 67,
    "TILE": 69, "LOG": 73, "SUM": 74, "SQRT": 75, "RSQRT": 76, "POW": 78, "REDUCE_MAX": 82, "REDUCE_MIN": 89,
    "RESIZE_NEAREST_NEIGHBOR": 97, "LEAKY_RELU": 98, "SQUARED_DIFFERENCE": 99, "MIRROR_PAD": 100, "ABS": 101,
    "SPLIT_V": 102, "CEIL": 104, "COS": 108, "ELU": 111, "ROUND": 116, "HARD_SWISH": 117, "BATCH_MATMUL": 126,
    "BROADCAST_TO": 130, "GELU": 150, "RELU_0_TO_1": 152,
}  # fmt: skip
"""Numbers of the built-in operators that are written; `CUSTOM` is what runs outside of TensorFlow Lite's own."""
_OPTIONS = {
    "CONV_2D": (1, "biibii"), "DEPTHWISE_CONV_2D": (2, "biiibii"), "AVERAGE_POOL_2D": (5, "biiiib"),
    "MAX_POOL_2D": (5, "biiiib"), "FULLY_CONNECTED": (8, "bb?"), "SOFTMAX": (9, "f"), "CONCATENATION": (10, "ib"),
    "ADD": (11, "b"), "RESIZE_BILINEAR": (15, "..??"), "SPACE_TO_DEPTH": (19, "i"), "MUL": (21, "b"), "PAD": (22, ""),
    "GATHER": (23, "i"), "TRANSPOSE": (26, ""), "MEAN": (27, "?"), "SUM": (27, "?"), "REDUCE_MAX": (27, "?"),
    "REDUCE_MIN": (27, "?"), "SUB": (28, "b"), "DIV": (29, "b"), "STRIDED_SLICE": (32, "iiiii"), "EXP": (33, ""),
    "SPLIT": (35, "i"), "MAXIMUM": (39, ""), "MINIMUM": (39, ""), "ARG_MAX": (40, "b"), "NEG": (42, ""),
    "PADV2": (43, ""), "TRANSPOSE_CONV": (49, "bii"), "TILE": (51, ""), "POW": (56, ""),
    "RESIZE_NEAREST_NEIGHBOR": (74, "??"), "LEAKY_RELU": (75, "f"), "SQUARED_DIFFERENCE": (76, ""),
    "MIRROR_PAD": (77, "b"), "ABS": (78, ""), "SPLIT_V": (79, "i"), "COS": (85, ""), "HARD_SWISH": (91, ""),
    "DEPTH_TO_SPACE": (94, "i"), "BATCH_MATMUL": (101, "??"), "BROADCAST_TO": (104, ""), "GELU": (116, "?"),
    "RESHAPE": (17, ""),
}  # fmt: skip
"""Number and fields of an operator's options: b a byte, i 32 bits, f a float, ? yes or no, a point none."""
_TYPES = {"float32": 0, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int8": 9}


@dataclass(slots=True)
class Tensor:
    """shape: channels last where there are four sizes. data: of a constant. scale: one, or one for each of `axis`."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "int8"
    data: NDArray[Any] | None = None
    scale: Sequence[float] = ()
    zero: int = 0
    axis: int = 0


@dataclass(slots=True)
class Operator:
    """code: by a name of `OPERATORS`. node: the ONNX node that it stands for. custom: name where it has no form."""

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: tuple[float, ...]
    node: str
    custom: str = ""


@dataclass(slots=True)
class Net:
    """Tensors are named by their places. inputs, outputs: of the graph."""

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)


def flat(net: Net) -> bytes:
    """The file."""
    build = importlib.import_module("flatbuffers").Builder(1 << 16)
    codes = sorted({(one.code, one.custom) for one in net.operators})
    buffers = [_table(build, [])]
    tensors = []
    for tensor in net.tensors:
        place = 0
        if tensor.data is not None:
            place = len(buffers)
            build.StartVector(1, tensor.data.nbytes, 16)
            raw = tensor.data.tobytes()
            build.head -= len(raw)
            build.Bytes[build.head : build.head + len(raw)] = raw
            buffers.append(_table(build, [("o", build.EndVector())]))
        tensors.append(_tensor(build, tensor, place))
    operators = [_operator(build, one, codes.index((one.code, one.custom))) for one in net.operators]
    graph = _table(
        build,
        [
            ("o", _offsets(build, tensors)),
            ("o", build.CreateNumpyVector(np.array(net.inputs, np.int32))),
            ("o", build.CreateNumpyVector(np.array(net.outputs, np.int32))),
            ("o", _offsets(build, operators)),
            ("o", build.CreateString("main")),
        ],
    )
    kinds = [_code(build, code, custom) for code, custom in codes]
    fields = [
        ("i", 3),
        ("o", _offsets(build, kinds)),
        ("o", _offsets(build, [graph])),
        ("o", build.CreateString("deltanas")),
        ("o", _offsets(build, buffers)),
    ]
    build.Finish(_table(build, fields), b"TFL3")
    return bytes(build.Output())


def _code(build: Any, code: str, custom: str) -> int:
    number = OPERATORS[code]
    name = build.CreateString(custom) if custom else 0
    return _table(build, [("b", min(number, 127)), ("o", name), ("i", 1), ("i", number)])


def _tensor(build: Any, tensor: Tensor, buffer: int) -> int:
    quantized = 0
    if tensor.scale:
        scale = build.CreateNumpyVector(np.array(tensor.scale, np.float32))
        zero = build.CreateNumpyVector(np.full(len(tensor.scale), tensor.zero, np.int64))
        none = ("o", 0)
        fields = [none, none, ("o", scale), ("o", zero), none, none, ("i", tensor.axis)]
        quantized = _table(build, fields)
    shape = build.CreateNumpyVector(np.array(tensor.shape, np.int32))
    name = build.CreateString(tensor.name)
    return _table(build, [("o", shape), ("b", _TYPES[tensor.dtype]), ("i", buffer), ("o", name), ("o", quantized)])


def _operator(build: Any, one: Operator, code: int) -> int:
    number, kinds = _OPTIONS.get(one.code, (0, ""))
    values = iter(one.options)
    options = _table(build, [(kind, 0 if kind == "." else next(values, 0)) for kind in kinds]) if number else 0
    inputs = build.CreateNumpyVector(np.array(one.inputs, np.int32))
    outputs = build.CreateNumpyVector(np.array(one.outputs, np.int32))
    return _table(build, [("i", code), ("o", inputs), ("o", outputs), ("b", number), ("o", options)])


def _offsets(build: Any, places: Sequence[int]) -> int:
    build.StartVector(4, len(places), 4)
    for place in reversed(places):
        build.PrependUOffsetTRelative(place)
    return int(build.EndVector())


def _table(build: Any, fields: Sequence[tuple[str, float]]) -> int:
    """A table of fields in the order of their numbers; one that holds 0 is left out, as 0 is what it holds then."""
    build.StartObject(len(fields))
    for place, (kind, value) in enumerate(fields):
        if not value:
            continue
        match kind:
            case "o":
                build.PrependUOffsetTRelativeSlot(place, value, 0)
            case "b":
                build.PrependUint8Slot(place, value, 0)
            case "i":
                build.PrependInt32Slot(place, value, 0)
            case "f":
                build.PrependFloat32Slot(place, value, 0.0)
            case "?":
                build.PrependBoolSlot(place, bool(value), 0)
    return int(build.EndObject())
