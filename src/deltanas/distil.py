"""A teacher's outputs blended into the targets of a data set: distillation as data.

With the mean squared error the gradient of a |s - t|^2 + (1 - a) |s - y|^2 is that of |s - (a t + (1 - a) y)|^2, so
that a student that trains on blended targets does what one does that has both losses. With any other loss it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError, UsageError
from deltanas.imagery import in_levels, psnr
from deltanas.program import Failed, Program
from deltanas.sandbox import LocalPool
from deltanas.train.data import Dataset
from deltanas.whole import write_whole

_TOGETHER = 64
"""Images that go through the teacher at a time."""


def trained_graph(pool: LocalPool, program: Program, seed: int) -> bytes:
    """The program, trained in the sandbox, as an ONNX file.

    Raises DataError where it fails, or can't be written as ONNX; SandboxError.
    """
    ((_, found),) = pool.export([program], seed=seed)
    if isinstance(found, Failed):
        raise DataError(
            f"the teacher was not trained: {found.reason}",
            "give it more time with --timeout S, or fewer epochs" if found.kind == "timeout" else "mend it first",
        )
    if found.onnx is None:
        raise DataError(f"the teacher can't be written as ONNX: {found.why}", "pip install 'deltanas[export]'")
    return found.onnx


def answers(
    pool: LocalPool, graph: bytes, x: NDArray[np.uint8], ticked: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """What a teacher makes of noisy images, in the sandbox: float32 [n, c, h, w], from 0 to 1. Raises DataError."""
    found = []
    for start in range(0, len(x), _TOGETHER):
        answer = pool.infer(graph, x[start : start + _TOGETHER])
        if isinstance(answer, Failed):
            raise DataError(
                f"ONNX Runtime does not run the teacher: {answer.reason}",
                f"a teacher takes images of {x.shape[1]} channel{'s' * (x.shape[1] > 1)} here, of any size, and gives"
                " such back: export one that does, or name a program",
            )
        found.append(answer)
        if ticked:
            ticked(min(len(x), start + _TOGETHER), len(x))
    return np.concatenate(found)


def blended(teacher: NDArray[np.float32], clean: NDArray[np.uint8], alpha: float) -> NDArray[np.uint8]:
    """Targets between the clean images (alpha 0) and the teacher's (alpha 1), rounded to 8 bits."""
    return in_levels((alpha * np.clip(teacher, 0, 1) + (1 - alpha) * (clean / 255)).astype(np.float32))


def write_blended(data: Dataset, teacher: NDArray[np.float32], alpha: float, out: Path) -> float:
    """The data set with blended training targets, as a file for `npz:PATH`; the PSNR of the teacher on them, in dB.

    Validation and test images stay as they are. Raises UsageError where the file is there already.
    """
    from io import BytesIO

    if out.exists():
        raise UsageError(f"{out} is there already, and nothing is overwritten", "name another --out")
    y = blended(teacher, data.train.y, alpha)
    buffer = BytesIO()
    parts = {"_val": data.validation, "_test": data.test}
    arrays = {f"{side}{suffix}": getattr(part, side) for suffix, part in parts.items() for side in "xy"}
    np.savez_compressed(buffer, layout="nchw", x_train=data.train.x, y_train=y, **arrays)
    write_whole(out, buffer.getvalue())
    return float(psnr(in_levels(teacher), data.train.y).mean())
