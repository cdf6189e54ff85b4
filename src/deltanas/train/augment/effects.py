"""The operations of the menu that change levels, and the two policies: what they draw, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from deltanas.train.augment.draws import Draws, each
from deltanas.train.augment.filters import blurred, sharpened
from deltanas.train.augment.levels import (
    autocontrast,
    brightness,
    contrast,
    equalization,
    inverted,
    looked_up,
    posterized,
    saturated,
    solarized,
    turned,
    uncoloured,
)
from deltanas.train.augment.policies import rand_augmented, trivially_augmented

Pair = tuple[float, float]


def _where(chosen: Tensor, changed: Tensor, x: Tensor) -> Tensor:
    return torch.where(each(chosen), changed, x)


def _jittered(x: Tensor, draws: Draws, *spans: Pair) -> Tensor:
    """spans: of brightness, contrast, saturation and hue; done in an order of its own for each image."""
    changes = [
        (change, draws.uniform(*span))
        for change, span, idle in zip(_JITTERS, spans, ((1.0, 1.0),) * 3 + ((0.0, 0.0),), strict=True)
        if span != idle and (x.shape[1] == 3 or change not in (saturated, turned))
    ]
    order = draws.orders(len(changes))
    x = x.clone()
    for turn in range(len(changes)):
        for place, (change, strength) in enumerate(changes):
            at = (order[:, turn] == place).nonzero()[:, 0]
            if len(at):
                x[at] = change(x[at], strength[at])
    return x


_JITTERS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    lambda x, factor: looked_up(x, brightness(x, factor)),
    lambda x, factor: looked_up(x, contrast(x, factor)),
    saturated,
    turned,
)


def _posterized(x: Tensor, draws: Draws, bits: float, p: float) -> Tensor:
    return _where(draws.chosen(p), posterized(x, torch.full((len(x),), int(bits), device=x.device)), x)


def _solarized(x: Tensor, draws: Draws, threshold: float, p: float) -> Tensor:
    return _where(draws.chosen(p), solarized(x, torch.full((len(x),), threshold, device=x.device)), x)


def _blurred(x: Tensor, draws: Draws, kernel: float, sigma: Pair) -> Tensor:
    return blurred(x, int(kernel), draws.uniform(*sigma))


def _sharpened(x: Tensor, draws: Draws, factor: float, p: float) -> Tensor:
    return _where(draws.chosen(p), sharpened(x, torch.full((len(x),), factor, device=x.device)), x)


def _sometimes(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Draws, float], Tensor]:
    return lambda x, draws, p: _where(draws.chosen(p), change(x), x)


EFFECTS: Mapping[str, Callable[..., Tensor]] = {
    "ColorJitter": _jittered,
    "Grayscale": lambda x, _: uncoloured(x).clone(),
    "RandomGrayscale": _sometimes(uncoloured),
    "RandomInvert": _sometimes(inverted),
    "RandomPosterize": _posterized,
    "RandomSolarize": _solarized,
    "RandomAutocontrast": _sometimes(lambda x: looked_up(x, autocontrast(x))),
    "RandomEqualize": _sometimes(lambda x: looked_up(x, equalization(x))),
    "GaussianBlur": _blurred,
    "RandomAdjustSharpness": _sharpened,
    "TrivialAugmentWide": trivially_augmented,
    "RandAugment": rand_augmented,
}
"""Images, uint8 [n, c, h, w], draws and the operation's parameters to new images."""
