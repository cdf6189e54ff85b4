"""What the parent asks of a child process, and the layout of the data that the child maps. Free of torch.

The answer goes back over a pipe: one line of JSON of at most `HEADER_LIMIT` bytes, then, where a training went well,
exactly `evaluation` x `classes` float32 values as raw bytes, the logits in the order of the images.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

Augment = Literal["flip", "crop"]
Device = Literal["cpu", "cuda"]
HEADER_LIMIT = 4096
REASON_LIMIT = 600
"""Bytes of the answer's first line, and characters of the reason in it."""
PROBE = 32
"""Figures of a build check's probe, in four parts."""


@dataclass(frozen=True)
class Job:
    """One program to build or to train.

    Attributes:
        net, transform, prm: the parts of the program; `prm` is JSON text.
        in_shape: (1, channels, height, width). classes: number of classes.
        seed: of the initial weights and of the order of the batches.
        threads: CPU threads of the child.
        training, evaluation: number of images of either kind in the mapped data, 0 for a build.
        mean, std: one value a channel, on the scale 0 to 255.
        device: where it is trained; builds are on the CPU.
        augment: what is done to training images (`train/augment.py`).

    The mapped data, back to back: labels int64 [training], images uint8 [training, c, h, w], then the images to
    evaluate uint8 [evaluation, c, h, w]. The labels of the last never come here.
    """

    mode: Literal["build", "train"]
    net: str
    transform: str
    prm: str
    in_shape: tuple[int, ...]
    classes: int
    seed: int
    epochs: int
    threads: int
    training: int = 0
    evaluation: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    augment: tuple[Augment, ...] = ()
    device: Device = "cpu"

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Job:
        fields = json.loads(raw)
        for name in ("in_shape", "mean", "std", "augment"):
            fields[name] = tuple(fields[name])
        return cls(**fields)
