"""Operations that look at a pixel's neighbours: blur and sharpness, each with a strength, [n], for each image."""

from __future__ import annotations

import torch
from torch import Tensor

from deltanas.train.augment.draws import each
from deltanas.train.augment.levels import blended


def blurred(x: Tensor, kernel: int, sigma: Tensor) -> Tensor:
    """By a Gaussian of `kernel` pixels. An image too small to be mirrored at its edges is continued by them instead."""
    reach = kernel // 2
    places = torch.arange(-reach, reach + 1, dtype=torch.float32, device=x.device)
    weights = torch.exp(-0.5 * (places / sigma.unsqueeze(1)) ** 2)
    weights = weights / weights.sum(1, keepdim=True)
    mode = "reflect" if reach < min(x.shape[2:]) else "replicate"
    image = torch.nn.functional.pad(x.to(torch.float32), (reach,) * 4, mode=mode)
    for axis in (2, 3):
        pieces = [image.narrow(axis, place, x.shape[axis]) for place in range(kernel)]
        image = pieces[0] * each(weights[:, 0])
        for place, piece in enumerate(pieces[1:], 1):
            image.addcmul_(piece, each(weights[:, place]))
    return image.round_().to(torch.uint8)


def sharpened(x: Tensor, factor: Tensor) -> Tensor:
    """Away from, or towards, the mean of a pixel's neighbours; the outermost pixels stay."""
    if min(x.shape[2:]) <= 2:
        return x
    smooth = x.to(torch.float32)
    rows = (smooth[:, :, :-2] + smooth[:, :, 1:-1]).add_(smooth[:, :, 2:])
    near = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:]).add_(smooth[:, :, 1:-1, 1:-1], alpha=4)
    smooth[:, :, 1:-1, 1:-1] = near.div_(13).round_()
    return blended(x, smooth, factor)
