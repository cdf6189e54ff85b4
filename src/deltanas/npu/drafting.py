"""An ONNX graph on its way to TensorFlow Lite: tensors by name, channels last, eight bits, and the operators so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.npu.flat import Net, Operator, Tensor

Array = NDArray[Any]
SCALE = 1 / 64
"""Of activations. Where an operator runs does not depend on it, so none is measured."""
LAST = (0, 2, 3, 1)
"""From channels first to channels last."""
FIRST = (0, 3, 1, 2)


class NoFormError(Exception):
    """TensorFlow Lite has no operator for this one, or not for such arguments."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of ONNX with its attributes read."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def get(self, name: str, usual: Any) -> Any:
        return self.attributes.get(name, usual)


@dataclass
class Draft:
    """A graph that is being written.

    Attributes:
        shapes: of every tensor as ONNX has it. constants: by name. uses: number of readers of each tensor.
        places: of tensors that are computed, or used already. node: the one whose form is being written.
    """

    shapes: Mapping[str, tuple[int, ...]]
    constants: dict[str, Array]
    uses: Mapping[str, int] = field(default_factory=dict)
    net: Net = field(default_factory=Net)
    places: dict[str, int] = field(default_factory=dict)
    node: str = ""

    def shape(self, name: str) -> tuple[int, ...]:
        """As ONNX has it."""
        return self.shapes[name]

    def constant(self, name: str) -> Array:
        if name not in self.constants:
            raise NoFormError(f"{name} is not a constant")
        return self.constants[name]

    def place(self, name: str) -> int:
        """The tensor of an ONNX name, a constant too; channels last where it has four sizes."""
        if name not in self.places:
            self.places[name] = self.number(self.constant(name), name)
        return self.places[name]

    def number(self, values: Array, name: str = "") -> int:
        """A constant that is computed with, as ONNX has it."""
        values = np.asarray(values, np.float32)
        if values.ndim == 4:
            values = values.transpose(LAST)
        return self._quantized(values, name or self._free("constant"))

    def bound(self, values: Array) -> int:
        """A constant that is compared with an activation: on the scale of one."""
        data = np.clip(np.rint(np.asarray(values, float) / SCALE), -128, 127).astype(np.int8)
        data = data.transpose(LAST) if data.ndim == 4 else data
        return self._new(Tensor(self._free("bound"), data.shape, "int8", data, [SCALE]))

    def weights(self, values: Array, axis: int) -> int:
        """A constant with a scale for each of an axis, laid out as it is given."""
        others = tuple(other for other in range(values.ndim) if other != axis)
        most = np.maximum(np.abs(values).max(axis=others), 1e-8) / 127
        shape = [-1 if place == axis else 1 for place in range(values.ndim)]
        data = np.clip(np.rint(values / most.reshape(shape)), -127, 127).astype(np.int8)
        return self._new(Tensor(self._free("weights"), values.shape, "int8", data, [float(x) for x in most], 0, axis))

    def bias(self, values: Array | None, size: int, weights: int) -> int:
        scales = np.array([SCALE * scale for scale in self.net.tensors[weights].scale])
        given = np.zeros(size) if values is None else np.asarray(values, float)
        data = np.clip(np.rint(given / scales), -(2**31), 2**31 - 1).astype(np.int32)
        return self._new(Tensor(self._free("bias"), data.shape, "int32", data, [float(x) for x in scales]))

    def integers(self, values: Sequence[int] | Sequence[Sequence[int]] | Array) -> int:
        """A constant that says how: axes, sizes, borders."""
        data = np.asarray(values, np.int32)
        return self._new(Tensor(self._free("arguments"), data.shape, "int32", data))

    def activation(self, name: str, shape: Sequence[int], like: str = "") -> int:
        """A tensor that is computed; shape: as it is laid out. like: what decides its range."""
        scale, zero = {"LOGISTIC": (1 / 256, -128), "SOFTMAX": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(
            like, (SCALE, 0)
        )
        return self._new(Tensor(name, tuple(shape), "int8", None, [scale], zero))

    def laid(self, name: str) -> tuple[int, ...]:
        """The shape of an ONNX tensor as it is laid out here."""
        shape = self.shape(name)
        return tuple(shape[axis] for axis in LAST) if len(shape) == 4 else shape

    def axis(self, name: str, axis: int) -> int:
        """An axis of an ONNX tensor as it is laid out here."""
        rank = len(self.shape(name))
        axis %= max(rank, 1)
        return LAST.index(axis) if rank == 4 else axis

    def step(self, code: str, inputs: Sequence[int], shape: Sequence[int], options: Sequence[float] = ()) -> int:
        """An operator whose result has no name in ONNX."""
        out = self.activation(self._free(code.lower()), shape, code)
        self._add(code, inputs, [out], options)
        return out

    def give(self, name: str, code: str, inputs: Sequence[int], options: Sequence[float] = ()) -> None:
        """An operator whose result is an ONNX tensor, laid out as such."""
        self.places[name] = self.activation(name, self.laid(name), code)
        self._add(code, inputs, [self.places[name]], options)

    def give_all(self, names: Sequence[str], code: str, inputs: Sequence[int], options: Sequence[float]) -> None:
        for name in names:
            self.places[name] = self.activation(name, self.laid(name), code)
        self._add(code, inputs, [self.places[name] for name in names], options)

    def custom(self, node: Node) -> None:
        """The node as an operator that TensorFlow Lite has no form of."""
        given = [name for name in node.inputs if name]
        inputs = [self.place(name) for name in given if name in self.places or name in self.constants]
        names = [name for name in node.outputs if name]
        for name in names:
            self.places[name] = self.activation(name, self.laid(name))
        self.net.operators.append(
            Operator("CUSTOM", tuple(inputs), tuple(self.places[name] for name in names), (), self.node, node.op)
        )

    def first(self, name: str) -> int:
        """The tensor as ONNX lays it out: channels first."""
        shape, place = self.shape(name), self.place(name)
        if len(shape) != 4 or _flat(shape):
            return place
        return self.step("TRANSPOSE", [place, self.integers(FIRST)], shape)

    def give_first(self, name: str, code: str, inputs: Sequence[int], options: Sequence[float] = ()) -> None:
        """An operator whose result is laid out as ONNX does, and has to be turned."""
        shape = self.shape(name)
        if len(shape) != 4 or (_flat(shape) and code == "RESHAPE"):
            self.give(name, code, self._sized(code, inputs, self.laid(name)), options)
            return
        made = self.step(code, self._sized(code, inputs, shape), shape, options)
        self.give(name, "TRANSPOSE", [made, self.integers(LAST)])

    def alias(self, new: str, old: str) -> None:
        if old in self.constants:
            self.constants[new] = self.constants[old]
        else:
            self.places[new] = self.place(old)

    def _sized(self, code: str, inputs: Sequence[int], shape: Sequence[int]) -> Sequence[int]:
        return [*inputs, self.integers(shape)] if code == "RESHAPE" else inputs

    def _quantized(self, values: Array, name: str) -> int:
        most = max(float(np.abs(values).max(initial=0)), 1e-8) / 127
        data = np.clip(np.rint(values / most), -127, 127).astype(np.int8)
        return self._new(Tensor(name, values.shape, "int8", data, [most]))

    def _add(self, code: str, inputs: Sequence[int], outputs: Sequence[int], options: Sequence[float]) -> None:
        self.net.operators.append(Operator(code, tuple(inputs), tuple(outputs), tuple(options), self.node))

    def _new(self, tensor: Tensor) -> int:
        self.net.tensors.append(tensor)
        return len(self.net.tensors) - 1

    def _free(self, what: str) -> str:
        return f"{self.node or 'graph'}/{what}_{len(self.net.tensors)}"


def _flat(shape: Sequence[int]) -> bool:
    """Whether channels first and last are the same row of numbers."""
    return shape[1] == 1 or shape[2] == shape[3] == 1
