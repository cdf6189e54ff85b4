"""Arrays of numbers to images of 8 bits: on which scale the numbers are, and which axis is what."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.mending import Mender
from deltanas.train.data.picture import FULL, Span, white_of

_LAYOUTS = {"nhw": None, "nchw": 1, "nhwc": 3}


@dataclass(frozen=True, slots=True)
class Scale:
    """The values that become 0 and 255."""

    low: float
    high: float

    def __call__(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        if x.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return x
        levels = np.rint((x.astype(np.float64) - self.low) * (255 / (self.high - self.low)))
        return np.asarray(levels.clip(0, 255), np.uint8)


@dataclass(frozen=True, slots=True)
class _Values:
    """What was found in an array. whole: no value has a fraction."""

    low: float
    high: float
    whole: bool


@dataclass(frozen=True, slots=True)
class Scaled:
    """Images by split.

    Attributes:
        x: uint8 [n, c, h, w]. notes: what was done. span: values of more than 8 bits that became 0 and 255, or None.
    """

    x: dict[str, NDArray[np.uint8]]
    notes: tuple[str, ...]
    span: Span | None


def in_order(mender: Mender, arrays: Mapping[str, NDArray[Any]], layout: str | None) -> list[NDArray[np.uint8]]:
    """Arrays of uint8 by role as they are, all in one order of axes: [n, c, h, w]. Raises DataError as `scaled` does.

    layout: as of `scaled`.
    """
    axis = _channels(mender, {role[1:]: x for role, x in arrays.items()}, layout)
    return [_converted(x, Scale(0, 255), axis) for x in arrays.values()]


def scaled(mender: Mender, arrays: Mapping[str, NDArray[Any]], layout: str | None) -> Scaled:
    """Arrays of images by split ("", "_train", ...), all read by one scale and one order of axes.

    layout: nhw, nchw or nhwc where the user said so, else None.

    Raises:
        DataError: no numbers, NaN, values on no known scale, splits on several, or axes that may be several things.
    """
    for suffix, x in arrays.items():
        if x.dtype.kind not in "buif":
            raise _no_numbers(mender, suffix, x)
    axis = _channels(mender, arrays, layout)
    values = {suffix: _values(mender, suffix, x) for suffix, x in arrays.items()}
    scale = _scale_of_all(mender, values)
    notes = list(_told(next(iter(arrays.values())), scale, max(one.high for one in values.values())))
    if axis == 3:
        notes.append("channels moved from the last axis to the first")
    images = {suffix: _converted(x, scale, axis) for suffix, x in arrays.items()}
    if all(x.shape[1] == 4 and (x[:, 3] == 255).all() for x in images.values()):
        images = {suffix: np.ascontiguousarray(x[:, :3]) for suffix, x in images.items()}
        notes.append("the fourth channel left out, as it is full everywhere (an alpha channel of opaque images)")
    span = Span(scale.low, scale.high, floats=False) if scale.high > 255 else None
    return Scaled(images, tuple(notes), span)


def _converted(x: NDArray[Any], scale: Scale, axis: int | None) -> NDArray[np.uint8]:
    if axis is None:
        x = x[:, None]
    elif axis == 3:
        x = x.transpose(0, 3, 1, 2)
    made = np.empty(x.shape, np.uint8)
    for start, chunk in _chunks(x):
        made[start : start + len(chunk)] = scale(chunk)
    return made


def _chunks(x: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    step = max(1, 2**22 // max(1, x[0].size))
    for start in range(0, len(x), step):
        yield start, x[start : start + step]


def _values(mender: Mender, suffix: str, x: NDArray[Any]) -> _Values:
    lows, highs, whole = [], [], True
    for start, chunk in _chunks(x):
        if x.dtype.kind == "f":
            finite = np.isfinite(chunk)
            if not finite.all():
                place = np.argwhere(~finite)[0]
                place[0] += start
                raise _not_finite(mender, suffix, x, tuple(place.tolist()))
            whole = whole and bool((chunk == np.rint(chunk)).all())
        lows.append(float(chunk.min()))
        highs.append(float(chunk.max()))
    return _Values(min(lows), max(highs), whole)


def _scale(values: _Values) -> Scale | None:
    """None where the values are on no known scale.

    Whole numbers of more than 8 bits are scaled as pictures are (`white_of`).
    """
    low, high = values.low, values.high
    slack = 1 / 512
    if values.whole and low >= 0 and high > 1:
        return Scale(0, white_of(high)) if high <= FULL else None
    if low >= -slack and high <= 1 + slack:
        return Scale(0, 1) if high > 1 / 16 or high == 0 else None
    if -1 - slack <= low <= -0.9 and 0.9 <= high <= 1 + slack:
        return Scale(-1, 1)
    return Scale(0, 255) if low >= -0.5 and 64 < high < 255.5 else None


def _scale_of_all(mender: Mender, values: Mapping[str, _Values]) -> Scale:
    low, high = min(one.low for one in values.values()), max(one.high for one in values.values())
    common = _scale(_Values(low, high, all(one.whole for one in values.values())))
    own = {suffix: scale for suffix, one in values.items() if one.high and (scale := _scale(one))}
    seen = [*own.values(), *([common] if common else [])]
    if any(_other(one, other) for one in seen for other in seen):
        said = ", ".join(f"{mender.names['x' + s]} from {v.low:g} to {v.high:g}" for s, v in values.items())
        levels = {f"x{s}": _interpolated(mender, s, own.get(s) or Scale(v.low, v.high)) for s, v in values.items()}
        raise DataError(
            f"{mender.where}: the splits are on several scales: {said}",
            f"bring them to one, by the values that are black and white in each: {mender.hint(levels)}",
        )
    if common is None:
        kind = " (whole numbers)" if all(one.whole for one in values.values()) else ""
        levels = {f"x{suffix}": _interpolated(mender, suffix, Scale(low, high)) for suffix in values}
        raise DataError(
            f"{mender.where}: {mender.names[_x(values)]} has values from {low:g} to {high:g}{kind}, which may mean"
            " several scales; read are 0 to 1, -1 to 1, 0 to 255, and whole numbers of up to 16 bits",
            f"say which value is black and which is white, as here {low:g} and {high:g}: {mender.hint(levels)}",
        )
    return common


def _other(one: Scale, other: Scale) -> bool:
    """Whether scales differ. Of more than 8 bits, 10 are no other scale than 12: the images are darker."""
    return one != other and not (one.high > 255 and other.high > 255)


def _interpolated(mender: Mender, suffix: str, scale: Scale) -> str:
    array = mender[f"x{suffix}"]
    return f"numpy.interp({array}, ({scale.low!r}, {scale.high!r}), (0, 255)).round().astype('uint8')"


def _told(x: NDArray[Any], scale: Scale, high: float) -> Iterator[str]:
    if scale.high > 255:
        yield f"{x.dtype} images of {int(scale.high).bit_length()} bits: 0 to {scale.high:g} read as 0 to 255"
    elif scale.high <= 1:
        yield f"{x.dtype} images: {scale.low:g} to {scale.high:g} read as 0 to 255"
    elif x.dtype != np.uint8:
        yield f"{x.dtype} images: values are read as levels from 0 to 255"
    if scale.high == 255 and high < 64:
        yield f"no pixel is brighter than {high:g} of 255"


def _channels(mender: Mender, arrays: Mapping[str, NDArray[Any]], layout: str | None) -> int | None:
    """The axis of the channels, None where there is none."""
    suffix, x = next(iter(arrays.items()))
    name = mender.names[f"x{suffix}"]
    for other, array in arrays.items():
        if 0 in array.shape:
            raise DataError(f"{mender.where}: {mender.names['x' + other]} has the shape {array.shape}: no image", _AXES)
        if array.shape[1:] != x.shape[1:]:
            raise DataError(
                f"{mender.where}: images of {mender.names['x' + other]} are {array.shape[1:]}, of {name} {x.shape[1:]}",
                "bring them to one size and one order of axes, " + _AXES,
            )
    if x.ndim == 2 or (x.ndim == 3 and 1 in x.shape[1:]):
        raise _flat(mender, arrays, name, x)
    if layout is not None:
        if layout not in _LAYOUTS or len(layout) != x.ndim:
            known = [known for known in _LAYOUTS if len(known) == x.ndim] or list(_LAYOUTS)
            raise DataError(
                f"{mender.where}: layout is {layout!r}, and {name} has the shape {x.shape}",
                f"give one of {', '.join(known)}: {mender.hint({'layout': repr(known[0])})}",
            )
        return _LAYOUTS[layout]
    if x.ndim == 3:
        return None
    if x.ndim != 4:
        raise DataError(f"{mender.where}: {name} has the shape {x.shape}, not [n, h, w] or [n, c, h, w]", _AXES)
    _, first, middle, last = x.shape
    usual = first in (1, 3, 4), last in (1, 3, 4)
    if usual == (False, False):
        usual = first < min(middle, last), last < min(first, middle)
    if usual[0] == usual[1]:
        raise DataError(
            f"{mender.where}: {name} has the shape {x.shape}: the channels may come first or last",
            f"say which with an array `layout`, nchw or nhwc: {mender.hint({'layout': repr('nchw')})}",
        )
    return 1 if usual[0] else 3


_AXES = "give images as [n, h, w] (grey), [n, c, h, w] or [n, h, w, c]"


def _x(values: Mapping[str, object]) -> str:
    return f"x{next(iter(values))}"


def _flat(mender: Mender, arrays: Mapping[str, NDArray[Any]], name: str, x: NDArray[Any]) -> DataError:
    size = math.prod(x.shape[1:])
    side, colours = math.isqrt(size), math.isqrt(size // 3)

    def reshaped(*shape: int) -> str:
        roles = [f"x{suffix}" for suffix in arrays]
        return mender.hint({role: f"{mender[role]}.reshape{(-1, *shape)}" for role in roles})

    hint = _AXES
    if side > 1 and side**2 == size:
        hint = f"if each row is a grey image of {side} x {side} pixels: {reshaped(side, side)}"
    elif 3 * colours**2 == size:
        planes, pixels = reshaped(3, colours, colours), reshaped(colours, colours, 3)
        hint = f"if red, green and blue follow one another as wholes: {planes}; if they do in each pixel: {pixels}"
    return DataError(f"{mender.where}: {name} has the shape {x.shape}: rows of numbers, not images", hint)


def _no_numbers(mender: Mender, suffix: str, x: NDArray[Any]) -> DataError:
    name = mender.names[f"x{suffix}"]
    if x.dtype == object:
        return DataError(
            f"{mender.where}: {name} is an array of objects, as images of several sizes make one",
            "save each image as a file in the folder of its class, and name folder:PATH with --resize N",
        )
    return DataError(f"{mender.where}: {name} is of type {x.dtype}, which are no pixels", f"give numbers; {_AXES}")


def _not_finite(mender: Mender, suffix: str, x: NDArray[Any], place: tuple[int, ...]) -> DataError:
    number = sum(int((~np.isfinite(chunk).reshape(len(chunk), -1).all(1)).sum()) for _, chunk in _chunks(x))
    role = f"x{suffix}"
    array = mender[role]
    if number == len(x):
        hint = f"fill them: {mender.hint({role: f'numpy.nan_to_num({array}, posinf=0, neginf=0)'})}"
    else:
        finite = f"numpy.isfinite({array}.reshape(len({array}), -1)).all(1)"
        hint = f"take these images out: {mender.keeping({suffix: finite})}"
    where = f"{mender.names[role]}[{', '.join(map(str, place))}]"
    return DataError(f"{mender.where}: {where} is {x[place]}; {number} of {len(x)} images have such values", hint)
