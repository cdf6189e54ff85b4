"""What the parent asks of a child process, and the layout of the data that the child maps. Free of torch.

The answer goes back over a pipe: one line of JSON of at most `HEADER_LIMIT` bytes, then, where a training went well,
exactly `readings` x `evaluation` x `out_shape` float32 values as raw bytes: the outputs in the order of the images,
once for each pair of `Job.readings`, in their order.

Where the network is exported, more follows, and the line says how many bytes of each: `tensors`, JSON of
[name, type, shape] for each tensor of its state, types as in `DTYPES`; `weights`, their bytes back to back; `onnx`, the
network as ONNX with pixels from 0 to 255 as its input, none where `why` says what was in the way.

A `graph` is answered by the bytes of an ONNX file, a `latency` by float64 milliseconds, one for each repetition. A
`quantize` is answered by the quantised file, as bytes.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, replace
from typing import Literal

Mode = Literal["build", "train", "export", "infer", "graph", "latency", "quantize"]
Augment = Literal["flip", "crop"]
Device = Literal["cpu", "cuda"]
Noise = Literal["independent", "mosaic", "darktable"]
"""Synthetic noise: of each pixel by itself, as after a Bayer mosaic was interpolated, or of strengths that were
measured of cameras."""
PATCH = 64
"""Height and width of the patches that photographs are cut into, unless it is said."""
HEADER_LIMIT = 4096
REASON_LIMIT = 600
"""Bytes of the answer's first line, and characters of the reason in it."""
PROBE = 32
"""Figures of a build check's probe, in four parts."""
ONNX_OPSET = 20
"""The highest that the exporter writes. col2im is there from 18 on, affine_grid from 20."""
EXPORT_SECONDS = 60
"""For which torch's newer exporter may work, where the other can't write a network as ONNX."""
NEAR_LEVELS = 1e-5
"""Largest difference of a value of an image from 0 to 1 between ONNX Runtime and torch."""
WHOLE_SUMS = ("session.x64quantprecision", "1")
"""Setting of ONNX Runtime without which sums of products of eight bits are cut off on x86 processors without VNNI."""
LATENCY_RUNS = (20, 2000)
"""Fewest and most repetitions of a latency."""
DTYPES = {
    "F64": ("float64", 8), "F32": ("float32", 4), "F16": ("float16", 2), "BF16": ("bfloat16", 2), "I64": ("int64", 8),
    "I32": ("int32", 4), "I16": ("int16", 2), "I8": ("int8", 1), "U8": ("uint8", 1), "BOOL": ("bool", 1),
    "U64": ("uint64", 8), "U32": ("uint32", 4), "U16": ("uint16", 2), "C64": ("complex64", 8),
    "F8_E4M3": ("float8_e4m3fn", 1), "F8_E5M2": ("float8_e5m2", 1),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 1), "F8_E5M2FNUZ": ("float8_e5m2fnuz", 1),
}  # fmt: skip
"""The types of exported tensors by the names that safetensors gives them: torch's name, and bytes of a value."""
MOST_BYTES = 1 << 30
"""Of weights, and of weights and ONNX together."""
MOST_TENSORS, MOST_NAME, MOST_DIMENSIONS = 100_000, 500, 16
RESERVED = "__metadata__"
"""No tensor of a safetensors file may have this name."""
WIDTHS_LIMIT = 2900
"""Characters of the answer's first line that tell the widths, at most: room is left for the rest of it."""
_MOST_UNPACKED = 200_000
"""Bytes that they may unpack to."""


@dataclass(frozen=True)
class Job:
    """One program to build or to train.

    Attributes:
        net, transform, prm: the parts of the program; `prm` is JSON text.
        task: what the network is asked to do, a name of `train.tasks`.
        in_shape: (1, channels, height, width). out_shape: of one image's output, (classes,) to classify.
        seed: of the initial weights and of the order of the batches.
        threads: CPU threads of the child.
        mode: `graph` writes an untrained program as ONNX; `infer`, `latency` and `quantize` take an ONNX file in place
            of a program.
        training, evaluation: number of images of either kind in the mapped data, 0 for a build.
        file: bytes of the ONNX file that lies before the images.
        mean, std: one value a channel, on the scale 0 to 255.
        device: where it is trained; builds are on the CPU.
        augment: what is done to training images (`train/augment`) of a program without a transform of its own.
        evaluate: numbers of epochs after which the outputs are taken too; after the last epoch they always are.
        average: share of the last steps over which weights are averaged, of the steps so far; outputs are those of the
            averaged weights then. 0: of the last weights. both: of the last weights, then of the averaged ones.
        activations: bits of each value between the layers of a quantised file.
        crops: where targets are images, heights and widths that pairs are cropped to, one after another over the
            epochs; () for the pairs as they are.

    The mapped data, back to back: a file, targets [training, ...] (to classify: labels, int64), images uint8
    [training, c, h, w], then the images to evaluate uint8 [evaluation, c, h, w]. The targets of the last never come
    here.
    """

    mode: Mode
    net: str
    transform: str
    prm: str
    in_shape: tuple[int, ...]
    task: str
    out_shape: tuple[int, ...]
    seed: int
    epochs: int
    threads: int
    training: int = 0
    evaluation: int = 0
    file: int = 0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    augment: tuple[Augment, ...] = ()
    device: Device = "cpu"
    evaluate: tuple[int, ...] = ()
    average: float = 0.0
    both: bool = False
    crops: tuple[int, ...] = ()
    activations: int = 8

    @property
    def readings(self) -> list[tuple[int, bool]]:
        """What outputs are taken, in their order: after how many epochs, and whether of averaged weights."""
        kinds = [False, True] if self.both and self.average else [self.average > 0]
        return [(epochs, averaged) for epochs in self.marks for averaged in kinds]

    @property
    def marks(self) -> list[int]:
        """The numbers of epochs after which outputs are taken."""
        return sorted({number for number in self.evaluate if 0 < number < self.epochs} | {self.epochs})

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    def empty(self) -> Job:
        """The same of a program that does nothing."""
        return replace(self, net="")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Job:
        fields = json.loads(raw)
        for name in ("in_shape", "out_shape", "mean", "std", "augment", "evaluate", "crops"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


def packed_widths(widths: list[tuple[int, ...]]) -> str:
    """The widths as short text; "" where they are too many."""
    text = b64encode(zlib.compress(json.dumps(widths, separators=(",", ":")).encode(), 9)).decode()
    return text if len(text) <= WIDTHS_LIMIT else ""


def unpacked_widths(text: str) -> tuple[tuple[int, ...], ...]:
    """What `packed_widths` made text of; () for "". Raises ValueError for any other text: a program may send any."""
    if not text:
        return ()
    try:
        found = json.loads(zlib.decompressobj().decompress(b64decode(text, validate=True), _MOST_UNPACKED))
    except (zlib.error, RecursionError) as error:
        raise ValueError("no widths") from error
    if not isinstance(found, list) or not all(isinstance(one, list) and all(map(_size, one)) for one in found):
        raise ValueError("no widths")
    return tuple(map(tuple, found))


def _size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
