"""How likely answers are. Texts that begin alike go through the model as one tree: what they share goes once.

A token of the tree sees its own path from the root and nothing else, at the place that it has in its text. So its
scores are those it would have alone; only the order of sums differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

MOST = 4096
"""Tokens of a tree: its attention mask is a square of them."""


@dataclass(frozen=True, slots=True)
class Row:
    """A question and its answer as tokens; the answer begins at `begin`, which is 1 or more."""

    tokens: tuple[int, ...]
    begin: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """What goes through the model. tokens, places: [row, column]; mask: as transformers takes it.

    reads: for each answer the row, the columns whose scores foretell its tokens, and these tokens.
    """

    tokens: torch.Tensor
    places: torch.Tensor
    mask: torch.Tensor
    reads: Sequence[tuple[int, Sequence[int], tuple[int, ...]]]


def packs(rows: Sequence[Row], *, batch: int, most: int = MOST) -> Iterator[list[int]]:
    """Which rows to put through the model together: at most `batch`, of at most `most` tokens, each counted once.

    A row joins the one before it, in the order of their tokens, where they share at least half of the shorter one.
    """
    pack: list[int] = []
    size = 0
    for place in sorted(range(len(rows)), key=lambda place: rows[place].tokens):
        row = rows[place].tokens
        shared = _shared(rows[pack[-1]].tokens, row) if pack else 0
        related = bool(pack) and 2 * shared >= min(len(row), len(rows[pack[-1]].tokens))
        if pack and not (related and len(pack) < batch and size + len(row) - shared <= most):
            yield pack
            pack, size, shared = [], 0, 0
        pack.append(place)
        size += len(row) - shared
    if pack:
        yield pack


def answers_nll(network: Any, rows: Sequence[Row], *, share: bool) -> torch.Tensor:
    """Negative log-likelihood of each row's answer: [row], nats, float32, differentiable.

    share: as a tree of what the rows have in common; else each row stands for itself, padded on the right.
    """
    layout = _tree(rows, network.dtype) if share and len(rows) > 1 else _padded(rows)
    needed = sorted({column for _, columns, _ in layout.reads for column in columns})
    at = {column: place for place, column in enumerate(needed)}
    logits = network(
        input_ids=layout.tokens.to(network.device),
        attention_mask=layout.mask.to(network.device),
        position_ids=layout.places.to(network.device),
        logits_to_keep=torch.tensor(needed, device=network.device),
        use_cache=False,
    ).logits
    losses = []
    for row, columns, answer in layout.reads:
        scores = logits[row, [at[column] for column in columns]].float()
        foretold = torch.tensor(answer).to(scores.device)
        losses.append(torch.nn.functional.cross_entropy(scores, foretold, reduction="sum"))
    return torch.stack(losses)


def _padded(rows: Sequence[Row]) -> _Layout:
    width = max(len(row.tokens) for row in rows)
    tokens = torch.tensor([[*row.tokens, *[0] * (width - len(row.tokens))] for row in rows])
    mask = torch.tensor([[1] * len(row.tokens) + [0] * (width - len(row.tokens)) for row in rows])
    places = torch.arange(width).expand(len(rows), -1)
    reads = [
        (place, range(row.begin - 1, len(row.tokens) - 1), row.tokens[row.begin :]) for place, row in enumerate(rows)
    ]
    return _Layout(tokens, places, mask, reads)


def _tree(rows: Sequence[Row], dtype: torch.dtype) -> _Layout:
    """Rows in the order of their tokens: what each adds to the row before it is a new branch."""
    tokens: list[int] = []
    places: list[int] = []
    branches: list[tuple[list[int], int]] = []
    paths: dict[int, list[int]] = {}
    before: tuple[tuple[int, ...], list[int]] = ((), [])
    for number in sorted(range(len(rows)), key=lambda number: rows[number].tokens):
        row = rows[number].tokens
        shared = _shared(before[0], row)
        path = before[1][:shared] + list(range(len(tokens), len(tokens) + len(row) - shared))
        tokens += row[shared:]
        places += range(shared, len(row))
        branches.append((path, shared))
        paths[number] = path
        before = row, path
    sees = torch.zeros(len(tokens), len(tokens), dtype=torch.bool)
    for path, shared in branches:
        new = path[shared:]
        if new:
            columns = slice(new[0], new[-1] + 1)
            sees[columns, path[:shared]] = True
            sees[columns, columns] = torch.ones(len(new), len(new), dtype=torch.bool).tril()
    mask = torch.zeros(sees.shape, dtype=dtype).masked_fill(~sees, torch.finfo(dtype).min)
    reads = [(0, paths[number][row.begin - 1 : -1], tuple(row.tokens[row.begin :])) for number, row in enumerate(rows)]
    return _Layout(torch.tensor([tokens]), torch.tensor([places]), mask[None, None], reads)


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
