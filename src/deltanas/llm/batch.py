"""Rows that are decoded together: what they share and what they remember, read faster than transformers does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

from deltanas.llm.compat import DynamicLayer, layers_of
from deltanas.llm.heads import Heads, Keys

ROOM = 128
"""Places that keys and values get at a time."""
MOST_OWN = 3
"""Replies stand side by side behind the head that they share until together they are this many times as long as it.

Then each gets a copy of the head. Side by side each of them passes over the keys of all: on two CPUs that took as long
as the copies from here on.
"""
_ALL, _NOBODY = 0, -1


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

    def pick(self, rows: torch.Tensor, places: torch.Tensor) -> None:
        """Row i becomes the places `places[i]` of what was row `rows[i]`. places: [row, place]."""
        if self.keys is not None and self.values is not None:
            self.keys, self.values = (
                held[rows[:, None], :, places].transpose(1, 2) for held in (self.keys, self.values)
            )
        self._rooms = []


def _with_room(held: torch.Tensor, end: int) -> torch.Tensor:
    """A copy of `held` in the first places of a tensor that has `ROOM` more than `end`."""
    rows, groups, places, features = held.shape
    room = held.new_empty((rows, groups, end + ROOM, features))
    room[:, :, :places] = held
    return room


def _wide(part: torch.Tensor, width: int) -> torch.Tensor:
    """Keys or values with padding on the left."""
    return torch.nn.functional.pad(part, (0, 0, width - part.shape[2], 0))


class Batch:
    """The rows' shared state in the model: keys and values of what was fed, [group, head, place, feature] a layer.

    Rows with the same head are a group: the head stands there once, and is read once a step. What they add stands side
    by side behind it, and a mask lets each row see the head and its own. In a group of one row nothing is masked but
    padding, which stands on the left of a chunk where groups are fed chunks of different lengths.
    """

    def __init__(self, model: Any, *, tree: bool, heads: Heads | None = None) -> None:
        """tree: the model heeds such masks; else every row is a group. heads: what the model has read before."""
        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._layers = layers_of(self._cache)
        plain = all(type(layer) is DynamicLayer for layer in self._layers)
        self._tree = tree and plain
        self._heads = (Heads() if heads is None else heads) if plain else None
        self._layers[:] = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in self._layers]
        self._owners = torch.zeros((1, 0), dtype=torch.long, device=model.device)
        """[group, place]: who sees the key there: `_ALL` rows of the group, the one of that name, or `_NOBODY`."""
        self._groups, self._names, self._lengths = [0], [_ALL], [0]
        """For each row its group, what its keys are marked with, and the number of tokens that it was fed."""

    @property
    def rows(self) -> int:
        """How many rows the model reads: groups."""
        return len(self._owners)

    def share(self, heads: Sequence[list[int]]) -> None:
        """Read each row's head. What heads have in common is read once."""
        different = sorted({tuple(head) for head in heads})
        if self._heads is None or not different[0]:
            self._feed_all(different)
        else:
            self._lay(different, [self._heads.read(self._model, head) for head in different])
        groups = [different.index(tuple(head)) for head in heads]
        if not self._tree:
            self._copy(groups)
            return
        self._groups, self._lengths = groups, [self._lengths[group] for group in groups]
        self._names = [row + 1 if groups.count(group) > 1 else _ALL for row, group in enumerate(groups)]

    def _lay(self, heads: Sequence[tuple[int, ...]], keys: Sequence[Keys]) -> None:
        """Each of these heads becomes a group, with the keys and values that are known of it."""
        lengths = [len(head) for head in heads]
        width = max(lengths)
        for layer, pairs in zip(self._layers, zip(*keys, strict=True), strict=True):
            layer.update(*(torch.cat([_wide(part, width) for part in parts]) for parts in zip(*pairs, strict=True)))
        place = torch.arange(width, device=self._owners.device)
        padding = width - torch.tensor(lengths, device=place.device)
        self._owners = torch.where(place < padding[:, None], _NOBODY, _ALL)
        self._lengths, self._groups, self._names = lengths, [*range(len(heads))], [_ALL] * len(heads)

    def _feed_all(self, different: Sequence[tuple[int, ...]]) -> None:
        """Each of these heads becomes a group; in order, and so what all begin with is what the first and last do."""
        first, last = different[0], different[-1]
        common = next(
            (place for place, pair in enumerate(zip(first, last, strict=False)) if len(set(pair)) > 1), len(first)
        )
        if common:
            self.feed([list(first[:common])])
        self._copy([0] * len(different))
        if any(len(head) > common for head in different):
            self.feed([list(head[common:]) for head in different])

    def feed(self, chunks: Sequence[list[int]]) -> torch.Tensor:
        """Append a chunk of tokens to each row; return the scores of the next token: [row, vocabulary] on the CPU."""
        if any(self._names) and self._owners.shape[1] > (1 + MOST_OWN) * int((self._owners == _ALL).sum(1).max()):
            self._part()
        device, groups = self._owners.device, range(len(self._owners))
        rows = [[row for row, group in enumerate(self._groups) if group == one] for one in groups]
        sizes = [sum(len(chunks[row]) for row in members) for members in rows]
        width = max(sizes)
        tokens, places = torch.zeros(2, len(groups), width, dtype=torch.long)
        owners = torch.full((len(groups), width), _NOBODY)
        lasts = [0] * len(chunks)
        for group, members in enumerate(rows):
            end = width - sizes[group]
            for row in members:
                begin, end = end, end + len(chunks[row])
                tokens[group, begin:end] = torch.tensor(chunks[row])
                places[group, begin:end] = self._lengths[row] + torch.arange(len(chunks[row]))
                owners[group, begin:end] = self._names[row]
                lasts[row] = end - 1
        self._owners = torch.cat([self._owners, owners.to(device)], dim=1)
        self._lengths = [length + len(chunk) for length, chunk in zip(self._lengths, chunks, strict=True)]
        needed = sorted(set(lasts))
        output = self._model(
            input_ids=tokens.to(device),
            attention_mask=self._seen(width) if any(self._names) else (self._owners != _NOBODY).long(),
            position_ids=places.to(device),
            cache=self._cache,
            use_cache=True,
            logits_to_keep=torch.tensor(needed, device=device) if needed != [width - 1] else 1,
        )
        scores: torch.Tensor = output.logits[self._groups, [needed.index(last) for last in lasts]].float().cpu()
        return scores

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order."""
        groups = sorted({self._groups[row] for row in rows})
        self._names = [self._names[row] for row in rows]
        self._lengths = [self._lengths[row] for row in rows]
        self._groups = [groups.index(self._groups[row]) for row in rows]
        if len(groups) < len(self._owners):
            self._keep(groups)

    def _copy(self, rows: Sequence[int]) -> None:
        """Make a group of its own of each of these rows; one may be named more than once. So far every row is one."""
        self._keep(rows)
        self._lengths = [self._lengths[row] for row in rows]
        self._groups, self._names = list(range(len(rows))), [_ALL] * len(rows)

    def _keep(self, groups: Sequence[int]) -> None:
        index = torch.tensor(groups, dtype=torch.long, device=self._owners.device)
        if self._owners.shape[1]:
            self._cache.batch_select_indices(index)
        self._owners = self._owners[index]

    def _seen(self, width: int) -> torch.Tensor:
        """What each of the last `width` places of a group sees, as transformers adds it to scores: [group, 1, q, k]."""
        total = self._owners.shape[1]
        place = torch.arange(total, device=self._owners.device)
        query, key = self._owners[:, -width:, None], self._owners[:, None, :]
        sees = ((key == _ALL) | ((key == query) & (key != _NOBODY))) & (place <= place[-width:, None])
        sees |= place == place[-width:, None]  # padding sees itself at least: of nothing at all comes NaN
        dtype = self._model.dtype
        return torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill(~sees, torch.finfo(dtype).min)[
            :, None
        ]

    def _part(self) -> None:
        """Make each row a group, with a copy of the head and of nothing else but what is its own."""
        seen = [
            (self._owners[group] == _ALL) | (self._owners[group] == name)
            for group, name in zip(self._groups, self._names, strict=True)
        ]
        found = [one.nonzero()[:, 0] for one in seen]
        width = max(len(one) for one in found)
        places = torch.stack([torch.nn.functional.pad(one, (width - len(one), 0)) for one in found])
        index = torch.tensor(self._groups, device=places.device)
        for layer in self._layers:
            assert isinstance(layer, RoomyLayer)
            layer.pick(index, places)
        self._owners = torch.stack(
            [torch.nn.functional.pad(torch.zeros_like(one), (width - len(one), 0), value=_NOBODY) for one in found]
        )
        self._groups, self._names = list(range(len(found))), [_ALL] * len(found)
