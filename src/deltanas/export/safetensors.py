"""Weights as a safetensors file: a length, a header in JSON, the bytes. There is nothing in it that could run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from deltanas.sandbox import Weight

_ALIGN = 8


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
