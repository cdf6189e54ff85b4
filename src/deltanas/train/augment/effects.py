"""The operations of the menu that change levels, and the two policies: what they draw, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from deltanas.train.augment.draws import Draws, each
from deltanas.train.augment.filters import blurred, sharpened
from deltanas.train.augment.levels import (
    brightened,
    contrasted,
    equalized,
    inverted,
    posterized,
    saturated,
    solarized,
    stretched,
    turned,
    uncoloured,
)
from deltanas.train.augment.policies import rand_augmented, trivially_augmented

Pair = tuple[float, float]


def _where(chosen: Tensor, changed: Tensor, x: Tensor) -> Tensor:
    return torch.where(each(chosen), changed, x)


def _jittered(x: Tensor, draws: Draws, brightness: Pair, contrast: Pair, saturation: Pair, hue: Pair) -> Tensor:
    changes = [
        (change, draws.uniform(*span))
        for change, span, idle in (
            (brightened, brightness, (1.0, 1.0)),
            (contrasted, contrast, (1.0, 1.0)),
            (saturated, saturation, (1.0, 1.0)),
            (turned, hue, (0.0, 0.0)),
        )
        if span != idle
    ]
    order = draws.orders(len(changes))
    x = x.clone()
    for turn in range(len(changes)):
        for place, (change, strength) in enumerate(changes):
            at = (order[:, turn] == place).nonzero()[:, 0]
            x[at] = change(x[at], strength[at])
    return x


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
    "RandomAutocontrast": _sometimes(stretched),
    "RandomEqualize": _sometimes(equalized),
    "GaussianBlur": _blurred,
    "RandomAdjustSharpness": _sharpened,
    "TrivialAugmentWide": trivially_augmented,
    "RandAugment": rand_augmented,
}
"""Images, uint8 [n, c, h, w], draws and the operation's parameters to new images."""
