"""Rows that are decoded together: what they share and what they remember, read faster than transformers does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 128
"""Places that keys and values get at a time."""


class RoomyLayer(DynamicLayer):
    """Keys and values of a layer, [row, group, place, feature], with room for more.

    `DynamicLayer` copies all that it holds at each step: over half of the time, for eight rows behind a long prompt.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rooms: list[torch.Tensor] = []

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.keys is None or self.values is None:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states, value_states
            return key_states, value_states
        held = self.keys.shape[2]
        end = held + key_states.shape[2]
        if not self._rooms or end > self._rooms[0].shape[2]:
            self._rooms = [_with_room(self.keys, end), _with_room(self.values, end)]
        keys, values = self._rooms
        keys[:, :, held:end], values[:, :, held:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)
        self._rooms = []


def _with_room(held: torch.Tensor, end: int) -> torch.Tensor:
    """A copy of `held` in the first places of a tensor that has `ROOM` more than `end`."""
    rows, groups, places, features = held.shape
    room = held.new_empty((rows, groups, end + ROOM, features))
    room[:, :, :places] = held
    return room


class Batch:
    """The rows' shared state in the model: keys and values of what was fed, [row, head, place, feature] a layer.

    Rows may be fed chunks of different lengths. Shorter ones are padded on the left, and the padding stays masked: the
    last place of a chunk is that of its last token in every row.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in self._cache.layers]
        self._mask = torch.ones((1, 0), dtype=torch.long, device=model.device)

    def share(self, heads: Sequence[list[int]]) -> None:
        """Feed each row's head: once what all have in common, then once each of those that differ."""
        different = sorted({tuple(head) for head in heads})
        first, last = different[0], different[-1]
        common = next(
            (place for place, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), len(first)
        )
        if common:
            self.feed([list(first[:common])])
        self.select([0] * len(different))
        if any(len(head) > common for head in different):
            self.feed([list(head[common:]) for head in different])
        self.select([different.index(tuple(head)) for head in heads])

    def feed(self, chunks: Sequence[list[int]]) -> torch.Tensor:
        """Append a chunk of tokens to each row; return the scores of the next token: [row, vocabulary] on the CPU."""
        width = max(len(chunk) for chunk in chunks)
        tokens = torch.tensor([[0] * (width - len(chunk)) + chunk for chunk in chunks])
        mask = torch.tensor([[0] * (width - len(chunk)) + [1] * len(chunk) for chunk in chunks])
        self._mask = torch.cat([self._mask, mask.to(self._mask.device)], dim=1)
        places = (self._mask.cumsum(1) - 1).clamp(min=0)[:, -width:]
        output = self._model(
            input_ids=tokens.to(self._mask.device),
            attention_mask=self._mask,
            position_ids=places,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        scores: torch.Tensor = output.logits[:, -1].float().cpu()
        return scores

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be named more than once."""
        index = torch.tensor(rows, dtype=torch.long, device=self._mask.device)
        if self._mask.shape[1]:
            self._cache.batch_select_indices(index)
        self._mask = self._mask[index]
