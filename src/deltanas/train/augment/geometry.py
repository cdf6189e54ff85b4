"""The operations of the menu that move pixels: what they draw for each image, and the warp that comes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from deltanas.train.augment.draws import Draws
from deltanas.train.augment.warps import Affine, Mirror, Perspective, Shift, Warp, Window

Size = tuple[int, int]
"""Width and height."""
Pair = tuple[float, float]

_TRIES = 10
"""How often a rectangle is drawn that may be too large, as in torchvision."""


def _flip(draws: Draws, size: Size, p: float) -> Warp:
    return Mirror(draws.chosen(p), 0, size)


def _turn_over(draws: Draws, size: Size, p: float) -> Warp:
    return Mirror(draws.chosen(p), 1, size)


def _crop(draws: Draws, size: Size, padding: float, share: float) -> Warp:
    width, height = size
    pad = max(1, int(padding * min(size))) if padding else 0
    wide, high = _part(width, share), _part(height, share)
    top, left = draws.whole(height + 2 * pad - high), draws.whole(width + 2 * pad - wide)
    if share == 1:
        return Shift(left - pad, top - pad, size)
    box = draws.alike([-pad, -pad, wide, high])
    box[:, 0] += left
    box[:, 1] += top
    return Window(box, size)


def _part(side: int, share: float) -> int:
    """Pixels of a share of a side, at least one."""
    return max(1, round(side * share))


def _center_crop(draws: Draws, size: Size, share: float) -> Warp:
    width, height = size
    wide, high = _part(width, share), _part(height, share)
    return Window(draws.alike([round((width - wide) / 2), round((height - high) / 2), wide, high]), size)


def _pad(draws: Draws, size: Size, padding: float, fill: float, mode: str) -> Warp:
    width, height = size
    across, down = int(padding * width), int(padding * height)
    box = draws.alike([-across, -down, width + 2 * across, height + 2 * down])
    return Window(box, size, fill if mode == "constant" else mode)


def _resized_crop(draws: Draws, size: Size, scale: Pair, ratio: Pair) -> Warp:
    width, height = size
    area = width * height * draws.uniform(*scale, _TRIES)
    aspect = draws.uniform(math.log(ratio[0]), math.log(ratio[1]), _TRIES).exp()
    boxes = torch.stack([(area * aspect).sqrt().round(), (area / aspect).sqrt().round()], 2)
    fits = ((boxes >= 1) & (boxes <= draws.alike(size).unsqueeze(1))).all(2)
    fitting = fits.any(1)
    first = boxes[torch.arange(draws.n, device=boxes.device), fits.to(torch.uint8).argmax(1)]
    wide, high = torch.where(fitting.unsqueeze(1), first, draws.alike(_fallback(size, ratio))).unbind(1)
    left, top = (
        torch.where(fitting, (draws.uniform(0, 1) * (side - part + 1)).floor(), ((side - part) / 2).floor())
        for side, part in ((width, wide), (height, high))
    )
    return Window(torch.stack([left, top, wide, high], 1), size)


def _fallback(size: Size, ratio: Pair) -> Pair:
    """The largest rectangle of an allowed ratio."""
    width, height = size
    if width / height < ratio[0]:
        return width, max(1, round(width / ratio[0]))
    if width / height > ratio[1]:
        return max(1, round(height * ratio[1])), height
    return width, height


def _rotation(draws: Draws, size: Size, degrees: Pair) -> Warp:
    return rotated(draws.uniform(*degrees), size)


def rotated(degrees: Tensor, size: Size) -> Warp:
    """Counter-clockwise. degrees: [n]."""
    angle = torch.deg2rad(degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return Affine(torch.stack([cos, -sin, zero, sin, cos, zero], 1), size)


def _affine(draws: Draws, size: Size, degrees: Pair, translate: Pair, scale: Pair, shear: Pair) -> Warp:
    angle = draws.uniform(*degrees)
    across, down = (
        draws.uniform(-share * side, share * side).round() for share, side in zip(translate, size, strict=True)
    )
    return affine(angle, across, down, draws.uniform(*scale), draws.uniform(*shear), size)


def affine(degrees: Tensor, across: Tensor, down: Tensor, scale: Tensor, shear: Tensor, size: Size) -> Warp:
    """Clockwise turn, shift in pixels, scale, and shear along the width in degrees, all [n]."""
    turn, lean = torch.deg2rad(degrees), torch.deg2rad(shear).tan()
    cos, sin = turn.cos(), turn.sin()
    a, b = (cos - sin * lean) / scale, (cos * lean + sin) / scale
    c, d = -sin / scale, cos / scale
    return Affine(torch.stack([a, b, -a * across - b * down, c, d, -c * across - d * down], 1), size)


def _perspective(draws: Draws, size: Size, distortion: float, p: float) -> Warp:
    chosen = draws.chosen(p)
    inwards = [int(distortion * (side // 2)) for side in size]
    moves = torch.stack([draws.whole(most, 4) for most in inwards], 2)
    corners = torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1]], device=moves.device)
    start = corners * (torch.tensor(size, device=moves.device) - 1)
    return Perspective(projection(start - (2 * corners - 1) * moves, start), chosen, size)


def projection(end: Tensor, start: Tensor) -> Tensor:
    """Coefficients, float32 [n, 8], of the projections that take corners of the result to those of the source.

    end: [n, 4, 2], of the result. start: [4, 2], of the source.
    """
    device, end = end.device, end.to("cpu", torch.float64)
    start = start.to("cpu", torch.float64).expand_as(end)
    zero, one = torch.zeros_like(end[..., 0]), torch.ones_like(end[..., 0])
    (x, y), (u, v) = end.unbind(-1), start.unbind(-1)
    rows = [
        torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], -1),
        torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], -1),
    ]
    left, right = torch.cat(rows, 1), torch.cat([u, v], 1).unsqueeze(-1)
    solved: Tensor
    solved, faults = torch.linalg.solve_ex(left, right)
    if faults.any():  # three corners of a tiny image on one line
        solved = torch.linalg.lstsq(left, right).solution
    return solved[..., 0].to(device, torch.float32)


WARPS: Mapping[str, Callable[..., Warp]] = {
    "CenterCrop": _center_crop,
    "Pad": _pad,
    "RandomCrop": _crop,
    "RandomHorizontalFlip": _flip,
    "RandomVerticalFlip": _turn_over,
    "RandomResizedCrop": _resized_crop,
    "RandomRotation": _rotation,
    "RandomAffine": _affine,
    "RandomPerspective": _perspective,
}
"""Draws, width and height, and the operation's parameters to its warp."""
