"""Operations that change the level of each pixel by itself: tables of 256 levels for each image, as torchvision rounds.

Those without draws of their own take the images, uint8 [n, c, h, w], and a strength, [n].
"""

from __future__ import annotations

import torch
from torch import Tensor

from deltanas.train.augment.draws import each


def _ramp(x: Tensor) -> Tensor:
    """The levels, float32 [256]."""
    return torch.arange(256, dtype=torch.float32, device=x.device)


def _levels(table: Tensor) -> Tensor:
    return table.clamp_(0, 255).to(torch.uint8)


def looked_up(x: Tensor, table: Tensor) -> Tensor:
    """Each level replaced by that of a table, uint8 [n, 1, 256], or [n, c, 256] with one for each channel."""
    places = x.flatten(2).to(torch.int64)
    return table.expand(-1, x.shape[1], -1).gather(2, places).view(x.shape)


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """The table that multiplies levels."""
    return _levels(factor.to(torch.float32).view(-1, 1, 1) * _ramp(x))


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """The table that takes levels towards, or away from, the mean of the grey image."""
    mean = grey(x).to(torch.float32).mean((1, 2, 3))
    share, rest = factor.to(torch.float32), (1 - factor).to(torch.float32)
    return _levels(share.view(-1, 1, 1) * _ramp(x) + (rest * mean).view(-1, 1, 1))


def inverted(x: Tensor) -> Tensor:
    return 255 - x


def posterized(x: Tensor, bits: Tensor) -> Tensor:
    """bits: int64 [n]."""
    return x & each(256 - 2 ** (8 - bits)).to(torch.uint8)


def solarized(x: Tensor, threshold: Tensor) -> Tensor:
    """From a level of 256 on nothing is inverted."""
    least = threshold.ceil().to(torch.int16)
    return torch.where((x >= each(least.clamp(max=255)).to(torch.uint8)) & each(least < 256), 255 - x, x)


def autocontrast(x: Tensor) -> Tensor:
    """The tables that stretch each channel to the whole range of levels; a channel of one level stays."""
    low, high = x.amin((2, 3)).to(torch.float32), x.amax((2, 3)).to(torch.float32)
    flat = low == high
    low, scale = torch.where(flat, 0, low), torch.where(flat, 1, 255 / (high - low))
    return _levels((_ramp(x) - low.unsqueeze(2)) * scale.unsqueeze(2))


def equalization(x: Tensor) -> Tensor:
    """The tables of each channel by its histogram; a channel mostly of its highest level stays."""
    n, channels = x.shape[:2]
    rows = 256 * torch.arange(n * channels, device=x.device).view(n, channels, 1)
    histogram = torch.bincount((x.flatten(2) + rows).view(-1), minlength=256 * n * channels).view(n, channels, 256)
    highest = x.amax((2, 3)).to(torch.int64).unsqueeze(2)
    step = (x.shape[2] * x.shape[3] - histogram.gather(2, highest)).div(255, rounding_mode="floor")
    below = histogram.cumsum(2) - histogram
    table = (below + step // 2).div(step.clamp(min=1), rounding_mode="floor").clamp_(0, 255)
    table[..., 0] = 0
    return torch.where(step == 0, torch.arange(256, device=x.device), table).to(torch.uint8)


def grey(x: Tensor) -> Tensor:
    """One channel of luminance of three; anything else as it is."""
    if x.shape[1] != 3:
        return x
    red, green, blue = x.to(torch.float32).unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).to(torch.uint8).unsqueeze(1)


def uncoloured(x: Tensor) -> Tensor:
    """The luminance in all channels."""
    return grey(x).expand_as(x)


def saturated(x: Tensor, factor: Tensor) -> Tensor:
    return blended(x, grey(x).to(torch.float32), factor) if x.shape[1] == 3 else x


def blended(x: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """`factor` of the image and the rest of the other one, float32."""
    share, rest = (each(one.to(torch.float32)) for one in (factor, 1 - factor))
    return x.to(torch.float32).mul_(share).add_(rest * other).clamp_(0, 255).to(torch.uint8)


def turned(x: Tensor, hue: Tensor) -> Tensor:
    """The hue moved on by a share of the circle, for three channels."""
    if x.shape[1] != 3:
        return x
    h, s, v = _hsv(x.to(torch.float32) / 255)
    return (_rgb((h + hue.view(-1, 1, 1)) % 1.0, s, v) * (256.0 - 1e-3)).to(torch.uint8)


def _hsv(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x: [n, 3, h, w] from 0 to 1; hue, saturation and value, each [n, h, w]."""
    red, green, blue = x.unbind(1)
    high, low = x.amax(1), x.amin(1)
    plain = high == low
    spread = high - low
    saturation = spread / torch.where(plain, 1, high)
    divisor = torch.where(plain, 1, spread)
    rc, gc, bc = (high - red) / divisor, (high - green) / divisor, (high - blue) / divisor
    sector = torch.where(high == red, bc - gc, torch.where(high == green, 2.0 + rc - bc, 4.0 + gc - rc))
    return torch.fmod(sector / 6.0 + 1.0, 1.0), saturation, high


def _rgb(h: Tensor, s: Tensor, v: Tensor) -> Tensor:
    sector = (h * 6.0).floor()
    part = h * 6.0 - sector
    p, q, t = ((v * (1.0 - share)).clamp(0.0, 1.0) for share in (s, s * part, s * (1.0 - part)))
    place = (sector.to(torch.int64) % 6).unsqueeze(0)
    channels = ((v, q, p, p, t, v), (t, v, v, q, p, p), (p, p, t, v, v, q))
    return torch.stack([torch.stack(channel).gather(0, place)[0] for channel in channels], 1)
