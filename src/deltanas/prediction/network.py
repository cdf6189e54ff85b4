"""A network that is ready to predict, and what it says of a picture."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.meaning import Meaning
from deltanas.train.data.picture import UnreadableError, pillow
from deltanas.train.data.tree import LeftOuts, scan

AGAIN = "export it again: deltanas runs export RUN --out FOLDER"
_TOGETHER = 64
"""Pictures that are read and computed at a time."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a network says of one picture.

    Attributes:
        label: name of the class with the largest probability. probabilities: by the names of all classes; they add up
            to 1. error: why there are none; `label` and `probability` are None then.
    """

    file: str
    label: str | None = None
    probability: float | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """Made by `open_network`.

    Attributes:
        file: its ONNX file. beside: number of networks of the same export that rank behind it or have no ONNX file.
        session: of ONNX Runtime: `pixels`, float32 [n, c, h, w] from 0 to 255, to logits [n, classes].
    """

    file: Path
    meaning: Meaning
    beside: int
    session: Any

    def predict(self, files: Iterable[Path]) -> Iterator[Prediction]:
        """One for each file, in their order; one that can't be used has its reason in `error`.

        Raises DataError where Pillow is missing, or the network's outputs make no sense.
        """
        pillow()
        waiting = iter(files)
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            while some := list(islice(waiting, _TOGETHER)):
                with warnings.catch_warnings():
                    # What Pillow says of a file's metadata changes no pixel.
                    warnings.filterwarnings("ignore", module=r"PIL\.")
                    pictures = list(pool.map(self._read, some))
                yield from self._predicted(some, pictures)

    def _predicted(self, files: Sequence[Path], pictures: Sequence[NDArray[np.uint8] | str]) -> Iterator[Prediction]:
        read = [picture for picture in pictures if not isinstance(picture, str)]
        rows = iter(self._probabilities(np.stack(read))) if read else iter(())
        for file, picture in zip(files, pictures, strict=True):
            name = os.fsencode(file).decode(errors="replace")
            if isinstance(picture, str):
                yield Prediction(name, error=picture)
                continue
            shares = next(rows)
            best = int(shares.argmax())
            named = dict(zip(self.meaning.names, shares.tolist(), strict=True))
            yield Prediction(name, self.meaning.names[best], float(shares[best]), named)

    def _read(self, file: Path) -> NDArray[np.uint8] | str:
        """The picture as the training pictures were read, [c, h, w]; or why there is none."""
        if file.is_dir():
            return f"{file}: no picture in this folder"
        if not os.path.lexists(file):
            return f"{file}: no such file or folder"
        try:
            picture = self.meaning.read(file)
        except UnreadableError as error:
            return error.message  # its hint is for a data set, out of which files can be taken
        channels, height, width = self.meaning.shape
        if len(picture) != channels:
            return (
                f"{file} has colours, and the network was trained on grey pictures: save it as a grey one, or train "
                "with `train.colour = true`, or with false, which turns every picture into a grey one"
            )
        if picture.shape[1:] != (height, width):
            return (
                f"{file} has {picture.shape[2]} x {picture.shape[1]} pixels, and the network takes {width} x {height}: "
                "it was trained on pictures as they were, all of that size; bring this one to it as those were "
                "made, or train on pictures of any size (--resize N)"
            )
        return picture

    def _probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """pixels: [n, c, h, w]."""
        try:
            (logits,) = self.session.run(None, {"pixels": pixels.astype(np.float32)})
        except Exception as error:  # noqa: BLE001  the errors of ONNX Runtime have nothing in common
            raise DataError(f"ONNX Runtime can't compute {self.file}: {' '.join(str(error).split())}", AGAIN) from None
        wanted = (len(pixels), len(self.meaning.names))
        if logits.shape != wanted or not np.isfinite(logits).all():
            fault = "values that are not finite" if logits.shape == wanted else f"outputs {logits.shape}, not {wanted}"
            raise DataError(f"{self.file} computes {fault}", AGAIN)
        exact = logits.astype(np.float64)
        powers = np.exp(exact - exact.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return shares


def pictures_in(paths: Iterable[Path], left: LeftOuts | None = None) -> Iterator[Path]:
    """The files themselves, and the pictures that training would find in folders, at any depth.

    A folder without a picture stands for itself, so that it is not passed over in silence. left: counts what is left
    out of folders. Raises DataError where a folder can't be read.
    """
    for path in paths:
        if path.is_dir():
            yield from list(scan(path, left or LeftOuts()).below()) or [path]
        else:
            yield path
