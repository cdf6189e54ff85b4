"""ONNX files as bytes: texts are put into one, and what lies outside of it is found, without a library that parses it.

An ONNX file is a protobuf message: a row of fields, each with a number and a kind. Fields that are appended are read as
if they had stood there before, so little that is there needs to be understood to add to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

_METADATA = 14
"""Of a model: pairs of texts."""
_BYTES = 2
"""The kind of a field that holds a text, bytes or another message; it says how long it is."""
_SIZES = {1: 8, 5: 4}
"""Kinds of fixed length."""
# Where tensors can be, by the kind of message: number of a field to the kind of message that it holds.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_TENSOR_NAME, _TENSOR_OUTSIDE, _TENSOR_PLACE = 8, 13, 14
_DEEPEST = 50


def with_metadata(model: bytes, texts: Mapping[str, str]) -> bytes:
    """The model with texts in its metadata, each name once. Bytes that are no such message get them at their end."""
    message = memoryview(model)
    try:
        kept = [message[start:end] for number, value, start, end in _spans(message) if number != _METADATA
                or not isinstance(value, memoryview) or _name(value) not in texts]  # fmt: skip
    except ValueError:
        kept = [message]
    added = (_field(_METADATA, _field(1, name.encode()) + _field(2, text.encode())) for name, text in texts.items())
    return b"".join((*kept, *added))


def _name(pair: memoryview) -> str:
    """Of two texts the first one. Raises ValueError where it is no pair."""
    return next((bytes(one).decode() for number, one in fields(pair) if number == 1 and not isinstance(one, int)), "")


def lies_outside(model: bytes) -> str | None:
    """The name of a tensor whose values are in another file or elsewhere in memory; None if there is no such tensor.

    Raises ValueError where the bytes are no such message.
    """
    return next(_outside(memoryview(model), "model", 0), None)


def _outside(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError("graphs within graphs without end")
    name, elsewhere = "", False
    for number, value in fields(message):
        if isinstance(value, memoryview) and number in _INSIDE[kind]:
            yield from _outside(value, _INSIDE[kind][number], depth + 1)
        elif kind == "tensor":
            if number == _TENSOR_NAME and isinstance(value, memoryview):
                name = bytes(value).decode(errors="replace")
            elsewhere = elsewhere or number == _TENSOR_OUTSIDE or (number == _TENSOR_PLACE and value != 0)
    if elsewhere:
        yield name or "a tensor without a name"


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message, but those of fixed length, by their numbers. Raises ValueError where it is none."""
    for number, value, _, _ in _spans(message):
        if value is not None:
            yield number, value


def _spans(message: memoryview) -> Iterator[tuple[int, int | memoryview | None, int, int]]:
    """The number of each field, its value (None: of fixed length), and where it begins and ends."""
    place = 0
    while place < len(message):
        start = place
        tag, place = _number(message, place)
        if tag >= 1 << 32:
            raise ValueError(f"no field has the number {tag >> 3} at byte {start}")
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, place = _number(message, place)
            yield number, value, start, place
            continue
        size, place = _number(message, place) if kind == _BYTES else (_SIZES.get(kind, -1), place)
        if size < 0 or place + size > len(message):
            raise ValueError(f"field {number} at byte {place} is cut short or of an unknown kind")
        end = place + size
        yield number, message[place:end] if kind == _BYTES else None, start, end
        place = end


def _number(message: memoryview, place: int) -> tuple[int, int]:
    """The number that begins there, seven bits a byte, the lowest first; and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            break
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError(f"no number ends at byte {place}")


def _field(number: int, content: bytes) -> bytes:
    return _encoded(number << 3 | _BYTES) + _encoded(len(content)) + content


def _encoded(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))
