"""A network that came out of the sandbox: plain bytes that were checked, and what was measured of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from deltanas.program import Failed, Trained
from deltanas.sandbox.judge import Target, answered, due, printable, scored
from deltanas.sandbox.supervise import Ended, Limits
from deltanas.train.job import DTYPES, MOST_BYTES, MOST_DIMENSIONS, MOST_NAME, MOST_TENSORS, RESERVED


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor of a network's state. dtype: by a name of `train.job.DTYPES`. data: row-major, little-endian."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Exported:
    """A network after one training.

    Attributes:
        validation, test: the scores of the very weights that are here; time is that of the whole export.
        weights: in the order of the network's own state.
        onnx: the network as ONNX, pixels from 0 to 255 in, outputs out; None where `why` says what was in the way.
        outputs: float32 [n, ...], in the order of the images that the child got.
    """

    validation: Trained
    test: Trained
    weights: tuple[Weight, ...]
    onnx: bytes | None
    why: str
    outputs: NDArray[np.float32]


def most_bytes(floats: int) -> int:
    """Most bytes that the answer of an export may have; floats: number of values of all outputs."""
    return due(floats) + MOST_BYTES


def judge_export(
    ended: Ended,
    limits: Limits,
    target: Target,
    tested: NDArray[np.bool_],
    *,
    seed: int,
    tier: str,
) -> Exported | Failed:
    """Check and score an answer. tested: bool [n], which images are of the test split."""
    header, raw, failure = answered(ended, limits)
    if failure is not None:
        return Failed(*failure, ended.seconds, ended.cpu_seconds, tier)
    size = due(target.floats) - due(0)
    weights, why, graph = None, "", b""
    match header:
        case {"tensors": int(tensors), "weights": int(bytes_), "onnx": int(onnx), "why": str(text)} if min(
            tensors, bytes_, onnx
        ) >= 0 and size + tensors + bytes_ + onnx == len(raw):
            end = size + tensors
            weights, why, graph = read_weights(raw[size:end], raw[end : end + bytes_]), text, raw[end + bytes_ :]
    if weights is None:
        reason = "the export gave an answer that makes no sense"
        return Failed("output", reason, ended.seconds, ended.cpu_seconds, tier)
    outputs = np.frombuffer(raw[:size], np.float32).reshape(len(target), *target.out_shape)
    validation, test = (
        scored(ended, outputs[part], target.part(part), seed=seed, tier=tier) for part in (~tested, tested)
    )
    if isinstance(validation, Failed):
        return validation
    if isinstance(test, Failed):
        return test
    return Exported(validation, test, weights, graph or None, printable(why), outputs)


def read_weights(told: bytes, data: bytes) -> tuple[Weight, ...] | None:
    """The tensors that `told` lists, cut from `data`; None where the two don't fit together to the byte."""
    try:
        rows = json.loads(told)
    except (ValueError, RecursionError):
        return None
    if not isinstance(rows, list) or len(rows) > MOST_TENSORS:
        return None
    weights, start = [], 0
    for row in rows:
        match row:
            case [str(name), str(dtype), list(shape)] if dtype in DTYPES and name.isprintable() and _sound(name, shape):
                end = start + prod(shape) * DTYPES[dtype][1]
                weights.append(Weight(name, dtype, tuple(shape), data[start:end]))
                start = end
            case _:
                return None
    names = {weight.name for weight in weights}
    return tuple(weights) if start == len(data) and len(names) == len(weights) else None


def _sound(name: str, shape: list[object]) -> bool:
    sizes = all(type(size) is int and 0 <= size < 2**40 for size in shape)
    return 0 < len(name) <= MOST_NAME and name != RESERVED and sizes and len(shape) <= MOST_DIMENSIONS
