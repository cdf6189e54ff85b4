"""Weights as a safetensors file: a length, a header in JSON, the bytes. There is nothing in it that could run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.sandbox import Weight

_ALIGN = 8
_LONGEST = 10_000_000
"""Bytes of a header that is read."""


def safetensors_bytes(weights: Sequence[Weight], metadata: Mapping[str, str]) -> bytes:
    """The file as its format says: https://huggingface.co/docs/safetensors (format, version 0.3 and later)."""
    header: dict[str, object] = {"__metadata__": {"format": "pt", **metadata}}
    start = 0
    for weight in weights:
        end = start + len(weight.data)
        header[weight.name] = {"dtype": weight.dtype, "shape": weight.shape, "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGN)
    return len(text).to_bytes(8, "little") + text + b"".join(weight.data for weight in weights)


def read_floats(path: Path, name: str) -> NDArray[np.float32] | None:
    """The tensor of 32-bit numbers with this name; None where the file has none, or is no such file."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > _LONGEST:
            return None
        try:
            found = json.loads(file.read(size))[name]
            begin, end = found["data_offsets"]
            file.seek(8 + size + begin)
            return np.frombuffer(file.read(end - begin), "<f4").reshape(found["shape"])
        except (ValueError, KeyError, TypeError):
            return None
