"""Heads of prompts that a model has read: what the next one begins alike with is not read again.

A search asks about the same programs cycle after cycle, and about programs that an edit made of them: the examples and
a program up to its edit are the greater part of a prompt, and prompts were four fifths of a call's time on a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import DynamicCache

from deltanas.llm.compat import layers_of

MOST = 512 * 2**20
"""Bytes of keys and values that are kept; those of the head that was not used for longest leave first.

SmolLM2 takes 46 kB a token and 40 MB a program.
"""

Keys = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of a head, a pair a layer, each [1, group, place, feature]."""


class Heads:
    """What one model, with the adapter that it wears, has read. Only for models whose layers see all that is before."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._held: dict[tuple[int, ...], Keys] = {}
        """In the order of their last use."""

    def read(self, model: Any, head: tuple[int, ...]) -> Keys:
        """Keys and values of a head of at least one token. Nothing may be written into them."""
        begun, nearest = max(((_in_common(held, head), held) for held in self._held), default=(0, ()))
        keys: Keys = []
        if begun:
            self._held[nearest] = self._held.pop(nearest)
            keys = [(key[:, :, :begun], value[:, :, :begun]) for key, value in self._held[nearest]]
        if begun < len(head):
            keys = self._held[head] = _read_on(model, keys, head)
            self._forget()
        return keys

    def _forget(self) -> None:
        sizes = {head: sum(part.nbytes for pair in keys for part in pair) for head, keys in self._held.items()}
        total = sum(sizes.values())
        for head in list(self._held)[:-1]:
            if total <= self._most:
                return
            del self._held[head]
            total -= sizes[head]


def _in_common(held: tuple[int, ...], head: tuple[int, ...]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(held, head, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(held), len(head)))


def _read_on(model: Any, keys: Keys, head: tuple[int, ...]) -> Keys:
    """Keys and values of the whole head. keys: those of the tokens that it begins with, if any are known."""
    cache = DynamicCache(config=model.config)
    layers = layers_of(cache)
    for layer, pair in zip(layers, keys, strict=False):
        layer.update(*pair)
    begun = keys[0][0].shape[2] if keys else 0
    places = torch.arange(begun, len(head), device=model.device)[None]
    tokens = torch.tensor([head[begun:]], device=model.device)
    model(input_ids=tokens, position_ids=places, cache=cache, use_cache=True, logits_to_keep=1)
    return [(layer.keys, layer.values) for layer in layers]
