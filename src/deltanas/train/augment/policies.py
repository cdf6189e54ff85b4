"""TrivialAugment (arXiv 2103.10158) and RandAugment (arXiv 1909.13719): one of fourteen operations for each image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from deltanas.train.augment.draws import Draws
from deltanas.train.augment.filters import sharpened
from deltanas.train.augment.levels import (
    autocontrast,
    brightness,
    contrast,
    equalization,
    looked_up,
    posterized,
    saturated,
    solarized,
)
from deltanas.train.augment.warps import Affine, warped

BINS = 31
"""Strengths."""

_MOVES = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
_BLENDS = {"Color": saturated, "Sharpness": sharpened}
_TABLES = {"Brightness": brightness, "Contrast": contrast}
_OWN_TABLES = {"AutoContrast": autocontrast, "Equalize": equalization}
_LEVELS = ("Posterize", "Solarize")
NAMES = ("Identity", *_MOVES, *_BLENDS, *_TABLES, *_OWN_TABLES, *_LEVELS)
"""The fourteen."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the greatest strength is: of a shear, of a shift as a share of the side, of a turn in degrees, of a factor's
    distance from 1, and of the bits taken away."""

    shear: float
    shift: float
    turn: float
    factor: float
    bits: int


WIDE = Reach(0.99, 1.0, 135.0, 0.99, 6)
"""Of TrivialAugment: its shift of 32 pixels is that of images of 32."""
RAND = Reach(0.3, 150 / 331, 30.0, 0.9, 4)


def trivially_augmented(x: Tensor, draws: Draws) -> Tensor:
    return done(x, draws.whole(len(NAMES) - 1), draws.whole(BINS - 1), draws.signs(), WIDE)


def rand_augmented(x: Tensor, draws: Draws, num_ops: float, magnitude: float) -> Tensor:
    strength = draws.alike([magnitude])[:, 0].to(torch.int64)
    for _ in range(int(num_ops)):
        x = done(x, draws.whole(len(NAMES) - 1), strength, draws.signs(), RAND)
    return x


def done(x: Tensor, which: Tensor, strength: Tensor, sign: Tensor, reach: Reach) -> Tensor:
    """which: place in `NAMES`; strength: 0 to 30, both int64 [n]. sign: 1 or -1, float32 [n]."""
    names = [NAMES[place] for place in which.tolist()]
    height, width = x.shape[2:]
    amount = _magnitudes(reach, width, height).to(x.device)[which, strength]
    signed, factor = amount * sign, 1 + amount.to(torch.float64) * sign
    x = x.clone()
    if len(at := _places(x, names, *_MOVES)):
        x[at] = _moved(x[at], [name for name in names if name in _MOVES], signed[at])
    for name, blend in _BLENDS.items():
        if len(at := _places(x, names, name)):
            x[at] = blend(x[at], factor[at])
    if len(at := _places(x, names, *_TABLES, *_OWN_TABLES, *_LEVELS)):
        x[at] = looked_up(x[at], _tables(x, names, amount, factor)[at])
    return x


@lru_cache(maxsize=16)
def _magnitudes(reach: Reach, width: int, height: int) -> Tensor:
    """float32 [operations, strengths] on the CPU: what a strength comes to, without its sign."""
    most = {"ShearX": reach.shear, "ShearY": reach.shear, "Rotate": reach.turn, "Posterize": float(reach.bits)}
    most |= {"TranslateX": reach.shift * width, "TranslateY": reach.shift * height}
    most |= dict.fromkeys((*_BLENDS, *_TABLES), reach.factor)
    table = torch.stack(
        [torch.linspace(0, most.get(name, 0.0), BINS, dtype=torch.float32, device="cpu") for name in NAMES]
    )
    for name in ("TranslateX", "TranslateY"):
        table[NAMES.index(name)].trunc_()
    bits = table[NAMES.index("Posterize")]
    torch.sub(8, bits.round(), out=bits)
    torch.linspace(255, 0, BINS, out=table[NAMES.index("Solarize")])
    return table


def _places(x: Tensor, names: list[str], *wanted: str) -> Tensor:
    return torch.tensor([place for place, name in enumerate(names) if name in wanted], dtype=torch.int64).to(x.device)


def _tables(x: Tensor, names: list[str], amount: Tensor, factor: Tensor) -> Tensor:
    """uint8 [n, c, 256]: of the images whose operation is one of levels."""
    ramp = torch.arange(256, dtype=torch.uint8, device=x.device).view(1, 1, 256, 1)
    tables = torch.empty(*x.shape[:2], 256, dtype=torch.uint8, device=x.device)
    for name in (*_TABLES, *_OWN_TABLES, *_LEVELS):
        at = _places(x, names, name)
        if not len(at):
            continue
        if name in _TABLES:
            tables[at] = _TABLES[name](x[at], factor[at])
        elif name in _OWN_TABLES:
            tables[at] = _OWN_TABLES[name](x[at])
        elif name == "Posterize":
            tables[at] = posterized(ramp, amount[at].to(torch.int64))[..., 0]
        else:
            tables[at] = solarized(ramp, amount[at])[..., 0]
    return tables


def _moved(x: Tensor, names: list[str], amount: Tensor) -> Tensor:
    """One linear map for each image; shears are from the upper left corner."""
    height, width = x.shape[2:]
    kinds = torch.tensor([[name == move for move in _MOVES] for name in names], device=x.device)
    lean_x, lean_y, across, down, turn = (amount.unsqueeze(1) * kinds).unbind(1)
    angle = torch.deg2rad(turn)
    cos, sin = angle.cos(), angle.sin()
    to_x, to_y = lean_x * (height / 2) - across, lean_y * (width / 2) - down
    return warped(x, [Affine(torch.stack([cos, lean_x - sin, to_x, lean_y + sin, cos, to_y], 1), (width, height))])
