"""Operations that move pixels. Those that follow one another are composed, and the images are sampled once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Edge = float | str
"""What an image is continued by: a level, or "edge", "reflect" or "symmetric" as in `Pad`."""


class Warp(Protocol):
    """An operation that takes each pixel of its result from another place. size: width and height."""

    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def edge(self) -> Edge: ...

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """From places in the result to places in the source, in pixels from the middle of the first one.

        All broadcast to [n, h, w].
        """
        ...


def warped(x: Tensor, warps: Sequence[Warp]) -> Tensor:
    """The images, uint8 [n, c, h, w], after these operations in their order, to new ones."""
    if not warps:
        return x
    whole = [warp for warp in warps if isinstance(warp, Mirror | Shift)]
    if len(whole) < len(warps):
        return _sampled(x, warps)
    for warp in whole:
        x = warp.taken(x)
    return x


def _sampled(x: Tensor, warps: Sequence[Warp]) -> Tensor:
    """Bilinear, as if each operation were done by itself but without the blur of doing so.

    Going back from the result, a pixel is `weight` times the image at (across, down) plus `added` levels.
    """
    n, _, height, width = x.shape
    across = torch.arange(width, dtype=torch.float32, device=x.device).view(1, 1, -1)
    down = torch.arange(height, dtype=torch.float32, device=x.device).view(1, -1, 1)
    weight: Tensor | None = None
    added: Tensor | None = None
    for warp in reversed(warps):
        across, down = warp(across, down)
        if isinstance(warp.edge, str):
            across, down = _folded(across, width, warp.edge), _folded(down, height, warp.edge)
        elif warp.edge or warp is not warps[0]:
            across, inside = _bounded(across, width)
            down, within = _bounded(down, height)
            inside = inside * within
            if warp.edge:
                outside = (1 - inside if weight is None else weight * (1 - inside)) * warp.edge
                added = outside if added is None else added + outside
            weight = inside if weight is None else weight * inside
    places = torch.empty(n, height, width, 2, dtype=torch.float32, device=x.device)
    places[..., 0] = across * (2 / width) + (1 / width - 1)
    places[..., 1] = down * (2 / height) + (1 / height - 1)
    taken = torch.nn.functional.grid_sample(x.to(torch.float32), places, padding_mode="zeros", align_corners=False)
    if weight is not None:
        taken.mul_(weight.unsqueeze(1))
    if added is not None:
        taken.add_(added.unsqueeze(1))
    return taken.round_().to(torch.uint8)


def _bounded(places: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The places within an image of this size, and the weight of the image there: less than 1 beyond its outermost
    pixels, 0 from one pixel further on."""
    bounded = places.clamp(0, size - 1)
    return bounded, (places - bounded).abs_().neg_().add_(1).clamp_(min=0)


def _folded(places: Tensor, size: int, mode: str) -> Tensor:
    if mode == "reflect":
        places = size - 1 - (size - 1 - places.abs()).abs()
    elif mode == "symmetric":
        places = size - 0.5 - (size - 0.5 - ((places + 0.5).abs() - 0.5)).abs()
    return places.clamp(0, size - 1)


@dataclass(frozen=True, slots=True)
class Mirror:
    """A warp that mirrors the images in `chosen`, bool [n], along an axis: 0 left to right, 1 top to bottom."""

    chosen: Tensor
    axis: int
    size: tuple[int, int]
    edge: Edge = 0.0

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        places = (x, y)[self.axis]
        mirrored = torch.where(self.chosen.view(-1, 1, 1), self.size[self.axis] - 1 - places, places)
        return (x, mirrored) if self.axis else (mirrored, y)

    def taken(self, x: Tensor) -> Tensor:
        """The same of uint8 [n, c, h, w] itself, which is faster."""
        return torch.where(self.chosen.view(-1, 1, 1, 1), x.flip(3 - self.axis), x)


@dataclass(frozen=True, slots=True)
class Shift:
    """A warp by whole pixels, int64 [n], to the left and upwards. What comes from outside is black."""

    left: Tensor
    up: Tensor
    size: tuple[int, int]
    edge: Edge = 0.0

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x + self.left.view(-1, 1, 1), y + self.up.view(-1, 1, 1)

    def taken(self, x: Tensor) -> Tensor:
        """The same of uint8 [n, c, h, w] itself, which is faster."""
        n, channels, height, width = x.shape
        across = torch.arange(width, device=x.device) + self.left.unsqueeze(1)
        down = torch.arange(height, device=x.device) + self.up.unsqueeze(1)
        inside = ((down >= 0) & (down < height)).unsqueeze(2) & ((across >= 0) & (across < width)).unsqueeze(1)
        places = down.clamp_(0, height - 1).unsqueeze(2) * width + across.clamp_(0, width - 1).unsqueeze(1)
        moved = x.flatten(2).gather(2, places.view(n, 1, -1).expand(-1, channels, -1)).view(x.shape)
        return moved.mul_(inside.unsqueeze(1))


@dataclass(frozen=True, slots=True)
class Window:
    """A warp that scales a box to the whole image.

    box: float32 [n, 4]; left, top, width and height, in pixels of an image that `edge` continues without end.
    """

    box: Tensor
    size: tuple[int, int]
    edge: Edge = 0.0

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        left, top, wide, high = self.box.unbind(1)
        return _scaled(x, left, wide, self.size[0]), _scaled(y, top, high, self.size[1])


def _scaled(places: Tensor, start: Tensor, length: Tensor, size: int) -> Tensor:
    """From places of the result to those within the box: none beyond the middles of its outermost pixels."""
    start, length = start.view(-1, 1, 1), length.view(-1, 1, 1)
    within = (places + 0.5) * (length / size) - 0.5
    return start + torch.minimum(within.clamp_(min=0), length - 1)


@dataclass(frozen=True, slots=True)
class Affine:
    """A warp by a linear map, float32 [n, 6], from the result to the source; places count from the image's middle."""

    matrix: Tensor
    size: tuple[int, int]
    edge: Edge = 0.0

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        middle = [(side - 1) / 2 for side in self.size]
        x, y = x - middle[0], y - middle[1]
        a, b, c, d, e, f = (one.view(-1, 1, 1) for one in self.matrix.unbind(1))
        return (a * x + (c + middle[0])) + b * y, d * x + (e * y + (f + middle[1]))


@dataclass(frozen=True, slots=True)
class Perspective:
    """A warp by a projection of the images in `chosen`, bool [n]: (ax + by + c, dx + ey + f) / (gx + hy + 1).

    coefficients: float32 [n, 8], from the result to the source; places count from the image's corner.
    """

    coefficients: Tensor
    chosen: Tensor
    size: tuple[int, int]
    edge: Edge = 0.0

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        u, v = x + 0.5, y + 0.5
        a, b, c, d, e, f, g, h = (one.view(-1, 1, 1) for one in self.coefficients.unbind(1))
        below = g * u + (h * v + 1)
        moved = (a * u + (b * v + c)) / below - 0.5, (d * u + (e * v + f)) / below - 0.5
        chosen = self.chosen.view(-1, 1, 1)
        return torch.where(chosen, moved[0], x), torch.where(chosen, moved[1], y)
