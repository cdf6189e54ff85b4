"""A network that is ready to denoise photographs of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError, UsageError
from deltanas.imagery import in_levels
from deltanas.prediction.network import AGAIN
from deltanas.tiling import Sight, tiled
from deltanas.train.data.picture import DEEP, Picture, UnreadableError, pillow, read_picture
from deltanas.whole import write_whole

TILE = 512
"""Height and width of what is kept of a tile."""
_UNTOLD = 32
"""A side is made a multiple of this where the graph does not tell what the strides divide."""
Ticked = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of one photograph.

    Attributes:
        file: as it was given. out: where the denoised one is, None if `error` says why there is none.
        width, height: in pixels. tiles: number of pieces in which it went through the network.
        notes: what was done to it before.
    """

    file: str
    out: str | None = None
    width: int = 0
    height: int = 0
    tiles: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Denoiser:
    """Made by `open_network`.

    Attributes:
        file: its ONNX file. channels: of the images, 1 for grey ones. beside: as of `Network`.
        session: of ONNX Runtime: `pixels`, float32 [n, c, h, w] from 0 to 255, to images from 0 to 1.
        sight: how far it sees; a text says why it can't be tiled.
    """

    file: Path
    channels: int
    beside: int
    session: Any
    sight: Sight | str

    def restore(
        self,
        files: Iterable[Path],
        folder: Path,
        ticked: Ticked | None = None,
        below: Sequence[Path] = (),
    ) -> Iterator[Restored]:
        """Denoise photographs into a folder, one by one, under their names as PNG. Nothing there is overwritten.

        below: folders; photographs in the folders of one of these are written into folders of the same names. One
        that can't be used has its reason in `error`. Raises DataError where Pillow is missing, or the network's
        outputs make no sense; UsageError where the folder is a file.
        """
        pillow()
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file, not a folder to write to", "name another --out")
        folder.mkdir(parents=True, exist_ok=True)
        claimed: dict[Path, Path] = {}
        for file in files:
            root = next((one for one in below if one in file.parents), file.parent)
            out = (folder / file.relative_to(root)).with_suffix(".png")
            start = perf_counter()
            other = claimed.setdefault(out, file)
            picture = self._read(file, out, other)
            if isinstance(picture, str):
                yield Restored(str(file), error=picture)
                continue
            count = _Count(ticked)
            clean = self.denoised(picture.pixels, count)
            out.parent.mkdir(parents=True, exist_ok=True)
            write_whole(out, _png(clean, picture.profile))
            notes = tuple(f"{done}, read as 8 bits" if done == DEEP else done for done in picture.done)
            known = (clean.shape[2], clean.shape[1], count.tiles, perf_counter() - start, notes)
            yield Restored(str(file), str(out), *known)

    def _read(self, file: Path, out: Path, other: Path) -> Picture | str:
        """The photograph; or why it is not denoised. other: the first of those that go to `out`."""
        if file.is_dir():
            return f"{file}: no picture in this folder"
        if other != file:
            return f"{file} would be written to {out}, as {other} is: denoise it by itself with another --out"
        if out.exists():
            return f"{file}: {out} is there already: name another --out, or move it"
        try:
            picture = read_picture(file, colour=True if self.channels == 3 else None)
        except UnreadableError as error:
            return error.message
        if len(picture.pixels) > self.channels:
            return f"{file} has colours, and the network was trained on grey photographs: save it as a grey one"
        return picture

    def denoised(self, pixels: NDArray[np.uint8], ticked: Ticked | None = None, tile: int = TILE) -> NDArray[np.uint8]:
        """An image of any size, uint8 [c, h, w]. Raises DataError where the outputs make no sense."""
        return in_levels(self.computed(pixels, ticked, tile))

    def computed(
        self, pixels: NDArray[np.uint8], ticked: Ticked | None = None, tile: int = TILE
    ) -> NDArray[np.float32]:
        """What the network gives for an image, from 0 to 1 or beyond, float32 [c, h, w].

        Sides that the strides don't divide are lengthened by repeating the edge, and cut again.
        """
        steps = [_UNTOLD] * 2 if isinstance(self.sight, str) else [self.sight.rows.step, self.sight.columns.step]
        _, height, width = pixels.shape
        more = [(0, -size % step) for size, step in zip((height, width), steps, strict=True)]
        image = np.pad(pixels, [(0, 0), *more], mode="edge").astype(np.float32)
        if isinstance(self.sight, str):
            whole = self._run(image)
            if ticked:
                ticked(1, 1)
        else:
            whole = tiled(image, self.sight, self._run, tile, ticked)
        return whole[:, :height, :width]

    def _run(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        try:
            (found,) = self.session.run(None, {"pixels": image[None]})
        except Exception as error:  # noqa: BLE001  the errors of ONNX Runtime have nothing in common
            raise DataError(f"ONNX Runtime can't compute {self.file}: {' '.join(str(error).split())}", AGAIN) from None
        if found.shape != (1, *image.shape):
            raise DataError(f"{self.file} computes outputs {found.shape}, not {(1, *image.shape)}", AGAIN)
        if not np.isfinite(found).all():
            raise DataError(f"{self.file} computes values that are not finite", AGAIN)
        whole: NDArray[np.float32] = found[0]
        return whole


@dataclass
class _Count:
    """Counts tiles, and passes on how many are done."""

    ticked: Ticked | None
    tiles: int = 0

    def __call__(self, done: int, total: int) -> None:
        self.tiles = total
        if self.ticked:
            self.ticked(done, total)


def _png(image: NDArray[np.uint8], profile: bytes) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    pillow().fromarray(image.transpose(1, 2, 0) if len(image) == 3 else image[0]).save(
        buffer, "PNG", icc_profile=profile or None
    )
    return buffer.getvalue()
