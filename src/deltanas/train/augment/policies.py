"""TrivialAugment (arXiv 2103.10158) and RandAugment (arXiv 1909.13719): one of fourteen operations for each image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from deltanas.train.augment.draws import Draws
from deltanas.train.augment.filters import sharpened
from deltanas.train.augment.geometry import affine, rotated
from deltanas.train.augment.levels import (
    brightened,
    contrasted,
    equalized,
    posterized,
    saturated,
    solarized,
    stretched,
)
from deltanas.train.augment.warps import warped

BINS = 31
"""Strengths."""

_FACTORS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Brightness": brightened,
    "Color": saturated,
    "Contrast": contrasted,
    "Sharpness": sharpened,
}
_MOVES = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
NAMES = ("Identity", *_MOVES, *_FACTORS, "Posterize", "Solarize", "AutoContrast", "Equalize")
"""The fourteen, in torchvision's order."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """What the greatest strength is: of a shear, of a shift as a share of the side, of a turn in degrees, of a factor's
    distance from 1, and of the bits taken away."""

    shear: float
    shift: float
    turn: float
    factor: float
    bits: int


WIDE = _Reach(0.99, 1.0, 135.0, 0.99, 6)
"""Of TrivialAugment: its shift of 32 pixels is that of images of 32."""
RAND = _Reach(0.3, 150 / 331, 30.0, 0.9, 4)


def trivially_augmented(x: Tensor, draws: Draws) -> Tensor:
    return done(x, draws.whole(len(NAMES) - 1), draws.whole(BINS - 1), draws.signs(), WIDE)


def rand_augmented(x: Tensor, draws: Draws, num_ops: float, magnitude: float) -> Tensor:
    strength = draws.alike([magnitude])[:, 0].to(torch.int64)
    for _ in range(int(num_ops)):
        x = done(x, draws.whole(len(NAMES) - 1), strength, draws.signs(), RAND)
    return x


def done(x: Tensor, which: Tensor, strength: Tensor, sign: Tensor, reach: _Reach) -> Tensor:
    """which: place in `NAMES`; strength: 0 to 30, both int64 [n]. sign: 1 or -1, float32 [n]."""
    x = x.clone()
    first, last = NAMES.index(_MOVES[0]), NAMES.index(_MOVES[-1])
    at = ((which >= first) & (which <= last)).nonzero()[:, 0]
    if len(at):
        x[at] = _moved(x[at], which[at], strength[at], sign[at], reach)
    for place, name in enumerate(NAMES):
        at = (which == place).nonzero()[:, 0]
        if len(at) and name != "Identity" and name not in _MOVES:
            x[at] = _changed(x[at], name, strength[at], sign[at], reach)
    return x


def _graded(strength: Tensor, most: float) -> Tensor:
    """float32 [n]: this share of the most."""
    return torch.linspace(0, most, BINS, device=strength.device)[strength]


def _changed(x: Tensor, name: str, strength: Tensor, sign: Tensor, reach: _Reach) -> Tensor:
    if name in _FACTORS:
        return _FACTORS[name](x, 1.0 + _graded(strength, reach.factor).to(torch.float64) * sign)
    if name == "Posterize":
        return posterized(x, 8 - _graded(strength, reach.bits).round().to(torch.int64))
    if name == "Solarize":
        return solarized(x, torch.linspace(255, 0, BINS, device=x.device)[strength])
    return stretched(x) if name == "AutoContrast" else equalized(x)


def _moved(x: Tensor, which: Tensor, strength: Tensor, sign: Tensor, reach: _Reach) -> Tensor:
    """Shears and shifts by one affine map, turns by another; an image gets one of them."""
    height, width = x.shape[2:]
    most = (reach.shear, reach.shear, reach.shift * width, reach.shift * height, reach.turn)
    amounts = [
        torch.where(which == NAMES.index(name), _graded(strength, one) * sign, 0)
        for name, one in zip(_MOVES, most, strict=True)
    ]
    shear_x, shear_y, across, down, turn = amounts
    moved = affine(
        torch.zeros_like(turn),
        across.trunc(),
        down.trunc(),
        torch.ones_like(turn),
        (torch.rad2deg(shear_x.atan()), torch.rad2deg(shear_y.atan())),
        (width, height),
        centre=(-width / 2, -height / 2),
    )
    return warped(x, [moved, rotated(turn, (width, height))])
