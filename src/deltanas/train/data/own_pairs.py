"""Arrays of noisy images beside arrays of clean ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.mending import Mender
from deltanas.train.data.records import Images, Provenance, Splits
from deltanas.train.data.scales import in_order
from deltanas.train.data.splits import as_given, in_three

_ALONE = (
    "images were dealt to the splits one by one, so patches of one photograph may be in several: scores are too good"
    " then (x_train, x_val and x_test say what belongs where)"
)

_RINGING = 0.05
"""How far below 0 resizing brings clean values, as a share of the largest."""


def paired_splits(
    mender: Mender, x: Mapping[str, NDArray[Any]], y: Mapping[str, NDArray[Any]], layout: str | None
) -> Splits:
    """x, y: noisy and clean images, by the suffix of the split. layout: nhw, nchw or nhwc where the user said so.

    Raises DataError where they are not of one shape, not of 8 bits, or neither grey nor RGB.
    """
    for suffix in x:
        _require_twins(mender, suffix, x[suffix], y[suffix])
    roles = {f"{kind}{suffix}": part for kind, side in (("x", x), ("y", y)) for suffix, part in side.items()}
    _require_levels(mender, roles)
    ordered = dict(zip(roles, in_order(mender, roles, layout), strict=True))
    parts = {suffix: Images(ordered[f"x{suffix}"], ordered[f"y{suffix}"]) for suffix in x}
    channels = next(iter(parts.values())).x.shape[1]
    if channels not in (1, 3):
        raise DataError(
            f"{mender.where}: images have {channels} channels, and denoisers take grey or RGB ones",
            "save them with 1 channel or 3, without an alpha channel",
        )
    if "_test" not in parts and "_val" not in parts:
        splits = in_three(next(iter(parts.values())), 0)
        return replace(splits, source=Provenance(notes=(_ALONE,)))
    notes = () if "_val" in parts and "_test" in parts else (_ALONE,)
    test = parts["_test"] if "_test" in parts else parts.pop("_val")
    return replace(as_given(parts["_train"], parts.get("_val"), test, 0), source=Provenance(notes=notes))


def _require_twins(mender: Mender, suffix: str, x: NDArray[Any], y: NDArray[Any]) -> None:
    if x.shape != y.shape:
        least = min(len(x), len(y))
        raise DataError(
            f"{mender.where}: noisy images have the shape {x.shape}, clean ones {y.shape}",
            "each image needs its twin: "
            + (
                f"to keep the first {least} of both, " + mender.keeping({suffix: f"slice({least})"})
                if x.shape[1:] == y.shape[1:]
                else "bring both to one size before you save them"
            ),
        )


def _require_levels(mender: Mender, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Noise is lost or made where values are scaled, so the user says how."""
    others = {role: array for role, array in arrays.items() if array.dtype != np.uint8}
    if not others:
        return
    role = next(iter(others))
    for each, array in others.items():
        if array.dtype.kind == "c" or not np.isfinite(array).all():
            raise DataError(
                f"{mender.where}: {mender.names[each]} holds values that are no real, finite numbers",
                "save it without them",
            )
    scale = _scale([array for each, array in others.items() if each[0] == "y"], [*others.values()])
    message = (
        f"{mender.where}: {mender.names[role]} is {arrays[role].dtype}, and denoisers are trained and scored on 8 bits"
    )
    if not scale:
        clean = [array for each, array in others.items() if each[0] == "y" and array.size]
        judged, named = (clean, "clean images") if clean else ([*others.values()], "values")
        low, high = min(float(array.min()) for array in judged), max(float(array.max()) for array in judged)
        raise DataError(
            f"{message}; the {named} go from {low:.4g} to {high:.4g}, so what is black and what is white in them"
            " is not known",
            f"save {', '.join(mender.names[each] for each in others)} as uint8, with black as 0 and white as 255, by"
            " one scale for both sides",
        )
    changes = {each: f"({scale.format(mender[each])}).clip(0, 255).round().astype('uint8')" for each in others}
    raise DataError(message, f"save all sides by one scale: {mender.hint(changes)}")


def _scale(clean: Sequence[NDArray[Any]], others: Sequence[NDArray[Any]]) -> str:
    """Code with a place for an array, which brings black to 0 and the largest value there can be to 255.

    "" where what is black can't be told. Noise that was not clipped goes beyond both ends, so clean images tell where
    there are some; a clean value just below 0 is of an image that was resized, and is clipped.

    clean: the clean sides that are not of 8 bits. others: all sides that are not.
    """
    judged = clean or others
    low = min(float(array.min(initial=0)) for array in judged)
    high = max(float(array.max(initial=0)) for array in judged)
    if clean and low < -_RINGING * high:
        return "({} + 1) * 127.5" if low >= -1 and high <= 1 else ""
    if not clean and low < -high / 2:  # much noise, or values from -1 to 1
        return ""
    factor = "255" if high <= 2 else "1" if high <= 255 else f"(255 / {2 ** int(high).bit_length() - 1})"
    return f"{{}} * {factor}"
