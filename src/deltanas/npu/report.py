"""Which operators of a network run where, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deltanas.npu.catalog import Kind

Where = Literal["npu", "delegate", "cpu", "folded"]


@dataclass(frozen=True, slots=True)
class Placed:
    """An operator of the ONNX graph, or of ExecuTorch's.

    where: `folded` if it is computed beforehand, or became a part of others; `delegate` if a library takes it that
    computes on the processor too.
    """

    name: str
    op: str
    where: Where


@dataclass(frozen=True, slots=True)
class Report:
    """What a compiler, or a list, says of a network.

    Attributes:
        version: of the compiler, or of the list with its source.
        size: (height, width) of the image; None where none goes in.
        fallbacks: number of operators that run on the processor, but for those that convert inputs and outputs.
        traffic_bytes: read from and written to memory outside of the NPU, for one image; None where it is not known.
        partitions: number of parts that a delegate takes; between two of them tensors change hands. None where it is
            not known.
    """

    target: str
    kind: Kind
    nodes: tuple[Placed, ...]
    fallbacks: int
    traffic_bytes: int | None
    version: str
    size: tuple[int, int] | None
    partitions: int | None = None
