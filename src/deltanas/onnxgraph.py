"""The graph of an ONNX file as plain data. Read field by field: no library parses what a program made."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deltanas.onnxfile import fields

_INTEGERS, _FLOATS = {6: "<i", 7: "<q"}, {1: "<f", 11: "<d"}
"""Types of tensors by their numbers in the format, as raw bytes hold them."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A constant. values: of numbers, all of them; () for one of more than `MOST` values, or of another type."""

    shape: tuple[int, ...]
    values: tuple[float, ...]


MOST = 64
"""Values that are read of a constant: those that say how an operator works are few."""


@dataclass(frozen=True, slots=True)
class Node:
    """An operator. attributes: whole numbers, lists of them, texts as bytes, or constants, by name."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, int | tuple[int, ...] | bytes | Tensor]


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which they can be computed; constants by name; the graph's own inputs and outputs."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_graph(model: bytes) -> Graph:
    """Raises ValueError where the bytes are no ONNX file."""
    nodes: list[Node] = []
    constants: dict[str, Tensor] = {}
    inputs: list[str] = []
    outputs: list[str] = []
    for field, value in _messages(memoryview(model), 7):
        assert field == 7
        for number, inside in _messages(value):
            if number == 1:
                node = _node(inside)
                nodes.append(node)
                if node.op == "Constant" and isinstance(made := node.attributes.get("value"), Tensor):
                    constants[node.outputs[0]] = made
            elif number == 5:
                name, tensor = _tensor(inside)
                constants[name] = tensor
            elif number in (11, 12):
                (inputs if number == 11 else outputs).append(_text(inside, 1))
    if not nodes:
        raise ValueError("no graph in it")
    own = tuple(name for name in inputs if name not in constants)
    return Graph(tuple(nodes), constants, own, tuple(outputs))


def _messages(message: memoryview, only: int | None = None) -> Iterator[tuple[int, memoryview]]:
    for number, value in fields(message):
        if isinstance(value, memoryview) and only in (None, number):
            yield number, value


def _node(message: memoryview) -> Node:
    texts: dict[int, list[str]] = {1: [], 2: [], 4: [""]}
    attributes = {}
    for number, value in _messages(message):
        if number in texts:
            texts[number].append(bytes(value).decode(errors="replace"))
        elif number == 5:
            name, found = _attribute(value)
            if found is not None:
                attributes[name] = found
    return Node(texts[4][-1], tuple(texts[1]), tuple(texts[2]), attributes)


def _attribute(message: memoryview) -> tuple[str, int | tuple[int, ...] | bytes | Tensor | None]:
    name = ""
    found: int | bytes | Tensor | None = None
    many: list[int] = []
    for number, value in fields(message):
        if number == 1 and isinstance(value, memoryview):
            name = bytes(value).decode(errors="replace")
        elif number == 3 and isinstance(value, int):
            found = _signed(value)
        elif number == 4 and isinstance(value, memoryview):
            found = bytes(value)
        elif number == 5 and isinstance(value, memoryview):
            found = _tensor(value)[1]
        elif number == 8:
            many += [_signed(value)] if isinstance(value, int) else _packed(value)
    return name, tuple(many) or found


def _tensor(message: memoryview) -> tuple[str, Tensor]:
    name, kind, shape, values, raw = "", 0, [], [], b""
    for number, value in fields(message):
        if number == 1:
            shape += [_signed(value)] if isinstance(value, int) else _packed(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number in (5, 7):
            values += [_signed(value)] if isinstance(value, int) else _packed(value)
        elif number == 4 and isinstance(value, memoryview) and len(value) <= 4 * MOST:
            values += [one for (one,) in struct.iter_unpack("<f", value)]
        elif number == 8 and isinstance(value, memoryview):
            name = bytes(value).decode(errors="replace")
        elif number == 9 and isinstance(value, memoryview) and len(value) <= 8 * MOST:
            raw = bytes(value)
    how = {**_INTEGERS, **_FLOATS}.get(kind)
    if raw and how and len(raw) % struct.calcsize(how) == 0:
        values = [one for (one,) in struct.iter_unpack(how, raw)]
    return name, Tensor(tuple(shape), tuple(values) if len(values) <= MOST else ())


def _packed(message: memoryview) -> list[int]:
    """Numbers back to back, seven bits a byte."""
    found, value, shift = [], 0, 0
    for byte in message:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(_signed(value))
            value = shift = 0
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _text(message: memoryview, field: int) -> str:
    return next((bytes(value).decode(errors="replace") for number, value in _messages(message, field)), "")
