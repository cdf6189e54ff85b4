"""What the numbers of a network mean: what a picture goes through before it gets it, and what its outputs stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.picture import Span, read_picture

_AGAIN = "export it again with `deltanas runs export RUN --out FOLDER`, which writes it"
_BILINEAR = 2
"""The filter's number in Pillow."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Of a network that names classes.

    Attributes:
        names: of the classes, by output. shape: (channels, height, width) of the images.
        mean, std: by which images are normalised, a value a channel, on the scale 0 to 255.
        resize: height and width that every image was squeezed to; None for images as they are.
        grey: pictures with colours are turned into grey ones; where the images are RGB, every picture becomes RGB.
        span: values of pictures of more than 8 bits that become 0 and 255; None for 0 and 65,535.
    """

    names: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resize: int | None = None
    grey: bool = False
    span: Span | None = None

    def read(self, file: Path) -> NDArray[np.uint8]:
        """A picture as the training pictures were read, [c, h, w]; of another kind or size if it does not fit.

        Raises UnreadableError.
        """
        channels, height, width = self.shape
        colour = True if channels == 3 else False if self.grey else None
        size = None if self.resize is None else (width, height)
        return read_picture(file, size=size, colour=colour, span=self.span).pixels

    def config(self) -> dict[str, object]:
        """As `config.json` keeps it, by the names that image models of Hugging Face have for it."""
        channels, height, width = self.shape
        return {
            "num_labels": len(self.names),
            "id2label": {str(output): name for output, name in enumerate(self.names)},
            "label2id": {name: output for output, name in enumerate(self.names)},
            "num_channels": channels,
            "image_size": [height, width],
            "do_exif_transpose": True,
            "do_convert_rgb": channels == 3,
            "do_convert_grey": self.grey,
            "deep_span": self.span and [self.span.low, self.span.high],
            "deep_floats": self.span and self.span.floats,
            "do_resize": self.resize is not None,
            "size": {"height": height, "width": width},
            "resample": _BILINEAR,
            "do_rescale": False,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> Self:
        """What `config` made. where: the file, for messages. Raises DataError where something is missing or wrong."""
        try:
            labels, (height, width) = config["id2label"], config["image_size"]
            names = tuple(str(labels[str(output)]) for output in range(len(labels)))
            shape = (int(config["num_channels"]), int(height), int(width))
            mean, std = (tuple(map(float, config[name])) for name in ("image_mean", "image_std"))
            resize = height if config["do_resize"] else None
            low_high, floats = config.get("deep_span"), config.get("deep_floats")
            span = None if low_high is None else Span(float(low_high[0]), float(low_high[1]), floats)
            found = cls(names, shape, mean, std, resize, bool(config["do_convert_grey"]), span)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{where} does not say what the network's pixels and outputs mean ({type(error).__name__}: {error})",
                _AGAIN,
            ) from None
        wrong = len(set(names)) < len(names) or len(names) < 1 or len(mean) != shape[0] or min(shape) < 1
        if wrong or (span and not (span.low < span.high and span.floats in (None, True, False))):
            raise DataError(f"{where}: the classes or the sizes in it contradict each other", _AGAIN)
        return found


def meaning_of(record: Mapping[str, Any], train: object) -> Meaning | None:
    """Of the networks of a run that name classes; None where a run of 0.2.0 or before does not know its own.

    Args:
        record: what the run keeps of its data (`Dataset.record`). train: the run's section of settings of that name.
    """
    if not {"names", "classes", "shape", "mean", "std"} <= record.keys():
        return None
    channels, height, width = record["shape"]
    span = record.get("span")
    return Meaning(
        class_names(record["names"], record["classes"]),
        (channels, height, width),
        tuple(record["mean"]),
        tuple(record["std"]),
        record.get("resize"),
        isinstance(train, Mapping) and train.get("colour") is False,
        None if span is None else Span(*span),
    )


def class_names(names: Sequence[str], classes: int) -> tuple[str, ...]:
    """A name for each class: its number, where the data has no names that tell them apart.

    What can't be written as UTF-8 in the name of a folder becomes "?".
    """
    found = [name.encode(errors="replace").decode() for name in names]
    return tuple(found) if len(set(found)) == len(found) == classes else tuple(map(str, range(classes)))


def order_told(names: Sequence[str]) -> str:
    """What to know of numbers in the names: "" where the order of the outputs is the one that people count in."""
    counted = sorted(names, key=_as_counted)
    if list(names) == counted or list(names) != sorted(names):
        return ""
    output, name = next((n, one) for n, (one, other) in enumerate(zip(names, counted, strict=True)) if one != other)
    return f"the classes are numbered in the order of their names as text: output {output} is {name!r}"


def _as_counted(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
