"""Operations that look at a pixel's neighbours: blur and sharpness, each with a strength, [n], for each image."""

from __future__ import annotations

import torch
from torch import Tensor

from deltanas.train.augment.draws import each
from deltanas.train.augment.levels import blended


def blurred(x: Tensor, kernel: int, sigma: Tensor) -> Tensor:
    """By a Gaussian of `kernel` pixels. An image too small to be mirrored at its edges is extended by them instead."""
    reach = kernel // 2
    places = torch.arange(-reach, reach + 1, dtype=torch.float32, device=x.device)
    weights = torch.exp(-0.5 * (places / sigma.unsqueeze(1)) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    mode = "reflect" if reach < min(x.shape[2:]) else "replicate"
    padded = torch.nn.functional.pad(x.to(torch.float32), (reach,) * 4, mode=mode)
    for axis in (2, 3):
        size = x.shape[axis]
        pieces = [each(weights[:, place]) * padded.narrow(axis, place, size) for place in range(kernel)]
        padded = torch.stack(pieces).sum(0)
    return padded.round_().clamp_(0, 255).to(torch.uint8)


def sharpened(x: Tensor, factor: Tensor) -> Tensor:
    """Away from, or towards, the mean of a pixel's neighbours; the outermost pixels stay."""
    if min(x.shape[2:]) <= 2:
        return x
    whole = x.to(torch.int32)
    rows = whole[:, :, :-2] + whole[:, :, 1:-1] + whole[:, :, 2:]
    inner = whole[:, :, 1:-1, 1:-1]
    near = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * inner
    smooth = x.to(torch.float32)
    smooth[:, :, 1:-1, 1:-1] = ((2 * near + 13) // 26).to(torch.float32)
    return blended(x, smooth, factor)
