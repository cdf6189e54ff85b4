"""Contact sheets: the same training pictures before and after each transform of a run."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from deltanas.imagery import png
from deltanas.program.transforms import Step, TransformError, read_transform
from deltanas.records import Candidate
from deltanas.report.reading import AbsentError, Reading, label
from deltanas.train.data.sample import read_pictures

DRAWS = 3
"""How often each picture is changed."""
MOST = 6
"""Sheets of baselines, and of networks of the search."""
_CELL = 60
"""Pixels that a picture is shown across, about."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A transform with its pictures.

    Attributes:
        name, score: of the network that has it. steps: its operations as text.
        image: address of a PNG that holds itself, "" if this version does not know the transform.
        width, height: in which it is shown, in pixels.
    """

    name: str
    baseline: bool
    score: str
    steps: tuple[str, ...]
    image: str = ""
    width: int = 0
    height: int = 0


def has_transforms(reading: Reading) -> bool:
    """Whether a program of the run has a transform of its own."""
    return any(each.program is not None and each.program.transform for each in reading.view.candidates)


def sheets_card(reading: Reading) -> dict[str, object]:
    """What the template `sheets` needs. Raises AbsentError where there is nothing to show."""
    if not reading.view.pictures:
        raise AbsentError(
            "This run keeps no training pictures, so what its transforms do can't be shown. How many a run keeps is"
            " the setting `pictures`."
        )
    kept = read_pictures(reading.view.pictures)
    sheets = [_sheet(reading, kept, one) for one in _shown(reading)]
    if not sheets:
        raise AbsentError("No transform of this run changes a picture.")
    return {"sheets": sheets, "draws": DRAWS, "pictures": len(kept)}


def _shown(reading: Reading) -> Iterator[Candidate]:
    """The baselines, then the best networks, one for each transform that does something."""
    seen: set[str] = set()
    for rows in (reading.baselines, reading.ranked()):
        fresh = 0
        for row in rows:
            text = row.program.transform if row.program else ""
            if text not in seen and _steps(text) != () and fresh < MOST:
                seen.add(text)
                fresh += 1
                yield row


def _steps(text: str) -> tuple[Step, ...] | None:
    """None where this version does not know the transform."""
    try:
        return read_transform(text)
    except TransformError:
        return None


def _sheet(reading: Reading, kept: Pixels, row: Candidate) -> Sheet:
    text = row.program.transform if row.program else ""
    steps = _steps(text)
    told = Sheet(
        label(row),
        row.cycle == 0,
        reading.told(row),
        tuple(step.call.removeprefix("transforms.") for step in steps or ()),
    )
    if steps is None:
        return told
    address, height, width = _drawn(kept.tobytes(), kept.shape, steps)
    scale = max(1, round(_CELL / kept.shape[3]))
    return Sheet(told.name, told.baseline, told.score, told.steps, address, width * scale, height * scale)


@lru_cache(maxsize=64)
def _drawn(raw: bytes, shape: tuple[int, ...], steps: tuple[Step, ...]) -> tuple[str, int, int]:
    """Address, height and width of a sheet; kept, as a page that follows its run is drawn again and again."""
    pixels = contact_sheet(np.frombuffer(raw, np.uint8).reshape(shape), steps)
    return f"data:image/png;base64,{b64encode(png(pixels)).decode()}", *pixels.shape[:2]


def contact_sheet(kept: Pixels, steps: Sequence[Step]) -> Pixels:
    """The pictures in a row, and below a gap a row for each draw; the last channel is 0 between pictures.

    kept: uint8 [n, channels, height, width].
    """
    import torch  # a page without transforms does without it

    from deltanas.train.augment import Augmentation

    given = torch.from_numpy(kept.copy())
    rows = [kept, *(Augmentation(steps, draw)(given).numpy() for draw in range(DRAWS))]
    colours = slice(0, 3 if kept.shape[1] >= 3 else 1)
    return _laid_out([row[:, colours] for row in rows])


def _laid_out(rows: Sequence[Pixels]) -> Pixels:
    """[height, width, channels + 1], the last of them opacity."""
    n, channels, height, width = rows[0].shape
    gap = max(1, width // 16)
    sheet = np.zeros((len(rows) * (height + gap) + gap, n * (width + gap) - gap, channels + 1), np.uint8)
    for place, row in enumerate(rows):
        top = place * (height + gap) + (2 * gap if place else 0)
        for number, picture in enumerate(row):
            left = number * (width + gap)
            sheet[top : top + height, left : left + width, :channels] = picture.transpose(1, 2, 0)
            sheet[top : top + height, left : left + width, channels] = 255
    return sheet
