"""Operations that move pixels. Those that follow one another are composed, and the images are sampled once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sampling:
    """Where each pixel of the result is taken from, and what is put over it; all broadcast to [n, h, w].

    x, y: the place in the image, in pixels from the middle of the first one. weight, added: a pixel of the result is
    `weight` times the image there, plus `added` levels.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    added: Tensor

    def outside(self, height: int, width: int, fill: float) -> Sampling:
        """What lies outside of an image of this size is of the level `fill`; its edges are bilinear."""
        inside = torch.minimum(self.x + 1, width - self.x).clamp(0, 1)
        inside = inside * torch.minimum(self.y + 1, height - self.y).clamp(0, 1)
        added = self.added + self.weight * (1 - inside) * fill if fill else self.added
        x, y = self.x.clamp(0, width - 1), self.y.clamp(0, height - 1)
        return Sampling(x, y, self.weight * inside, added)


class Warp(Protocol):
    """Where an operation takes the pixels of its result from, given where these are looked for."""

    def __call__(self, s: Sampling) -> Sampling: ...


def warped(x: Tensor, warps: Sequence[Warp]) -> Tensor:
    """The images, uint8 [n, c, h, w], after these operations in their order, to new ones."""
    shifts = [warp for warp in warps if isinstance(warp, Shift)]
    if len(shifts) == len(warps):
        for shift in shifts:
            x = shift.taken(x)
        return x
    n, _, height, width = x.shape
    across = torch.arange(width, dtype=torch.float32, device=x.device).view(1, 1, -1)
    down = torch.arange(height, dtype=torch.float32, device=x.device).view(1, -1, 1)
    one = torch.ones(1, 1, 1, device=x.device, dtype=torch.float32)
    s = Sampling(across, down, one, one - 1)
    for warp in reversed(warps):
        s = warp(s)
    places = torch.stack([(s.x * 2 + 1) / width - 1 + 0 * s.y, (s.y * 2 + 1) / height - 1 + 0 * s.x], dim=-1).expand(
        n, height, width, 2
    )
    taken = torch.nn.functional.grid_sample(
        x.to(torch.float32), places, mode="bilinear", padding_mode="border", align_corners=False
    )
    return (taken * s.weight.unsqueeze(1) + s.added.unsqueeze(1)).round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True, slots=True)
class Shift:
    """A warp that takes whole pixels: `sign` (1, or -1 to mirror) times the place plus `offset`; black outside.

    sign, offset: int64 [n, 2], of the column and of the row. size: width and height.
    """

    sign: Tensor
    offset: Tensor
    size: tuple[int, int]

    def __call__(self, s: Sampling) -> Sampling:
        (sx, sy), (ox, oy) = ([one.view(-1, 1, 1) for one in pair.unbind(1)] for pair in (self.sign, self.offset))
        width, height = self.size
        return replace(s, x=s.x * sx + ox, y=s.y * sy + oy).outside(height, width, 0.0)

    def taken(self, x: Tensor) -> Tensor:
        """Of uint8 [n, c, h, w]."""
        n, device = len(x), x.device
        across, down = (
            torch.arange(size, device=device) * self.sign[:, [axis]] + self.offset[:, [axis]]
            for axis, size in enumerate(self.size)
        )
        width, height = self.size
        inside = ((down >= 0) & (down < height)).unsqueeze(2) & ((across >= 0) & (across < width)).unsqueeze(1)
        images = torch.arange(n, device=device).view(n, 1, 1)
        rows, columns = down.clamp(0, height - 1).unsqueeze(2), across.clamp(0, width - 1).unsqueeze(1)
        moved = x.permute(0, 2, 3, 1)[images, rows, columns].permute(0, 3, 1, 2)
        return moved * inside.unsqueeze(1)


@dataclass(frozen=True, slots=True)
class Window:
    """A warp that scales a box to the whole image.

    box: float32 [n, 4]; left, top, width and height, in pixels of an image that `edge` extends without end: a level, or
    "edge", "reflect" or "symmetric". size: width and height of the image.
    """

    box: Tensor
    size: tuple[int, int]
    edge: float | str = 0.0

    def __call__(self, s: Sampling) -> Sampling:
        width, height = self.size
        left, top, wide, high = self.box.unbind(1)
        x, y = _scaled(s.x, left, wide, width), _scaled(s.y, top, high, height)
        if isinstance(self.edge, float):
            return replace(s, x=x, y=y).outside(height, width, self.edge)
        return replace(s, x=_folded(x, width, self.edge), y=_folded(y, height, self.edge))


def _scaled(places: Tensor, start: Tensor, length: Tensor, size: int) -> Tensor:
    """From places of the result to those within the box: none beyond the middles of its outermost pixels."""
    start, length = start.view(-1, 1, 1), length.view(-1, 1, 1)
    within = (places + 0.5) * (length / size) - 0.5
    return start + torch.minimum(within.clamp(min=0), length - 1)


def _folded(places: Tensor, size: int, mode: str) -> Tensor:
    if mode == "reflect":
        places = places.abs()
        return (size - 1 - (size - 1 - places).abs()).clamp(0, size - 1)
    if mode == "symmetric":
        places = (places + 0.5).abs() - 0.5
        return (size - 0.5 - (size - 0.5 - places).abs()).clamp(0, size - 1)
    return places.clamp(0, size - 1)


@dataclass(frozen=True, slots=True)
class Affine:
    """A warp by a linear map, float32 [n, 6], from the result to the source; places count from the image's middle.

    size: width and height. What comes from outside is black.
    """

    matrix: Tensor
    size: tuple[int, int]

    def __call__(self, s: Sampling) -> Sampling:
        width, height = self.size
        x, y = s.x - (width - 1) / 2, s.y - (height - 1) / 2
        a, b, c, d, e, f = (one.view(-1, 1, 1) for one in self.matrix.unbind(1))
        moved = replace(s, x=a * x + b * y + c + (width - 1) / 2, y=d * x + e * y + f + (height - 1) / 2)
        return moved.outside(height, width, 0.0)


@dataclass(frozen=True, slots=True)
class Perspective:
    """A warp by a projection of the images in `chosen`, bool [n]: (ax + by + c, dx + ey + f) / (gx + hy + 1).

    coefficients: float32 [n, 8], from the result to the source; places count from the image's corner. size: width and
    height. What comes from outside is black.
    """

    coefficients: Tensor
    chosen: Tensor
    size: tuple[int, int]

    def __call__(self, s: Sampling) -> Sampling:
        width, height = self.size
        x, y = s.x + 0.5, s.y + 0.5
        a, b, c, d, e, f, g, h = (one.view(-1, 1, 1) for one in self.coefficients.unbind(1))
        below = g * x + h * y + 1
        moved = (a * x + b * y + c) / below - 0.5, (d * x + e * y + f) / below - 0.5
        chosen = self.chosen.view(-1, 1, 1)
        x, y = torch.where(chosen, moved[0], s.x), torch.where(chosen, moved[1], s.y)
        return replace(s, x=x, y=y).outside(height, width, 0.0)
