"""The training loop. What it knows is kept now and then, so that a killed tuning takes up where that was.

Chance is derived: step t draws from (seed, t) alone, and the order of lessons from (seed, epoch).
"""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import torch

from deltanas.errors import ModelError
from deltanas.learn.tuning import Tuning
from deltanas.llm.packing import Row, answers_nll, packs

Note = Callable[[int, int, float], None]
"""Told after each step: how many are done, of how many, and the loss before it."""


@dataclass
class Progress:
    """How far a tuning has come; see `Tuned`."""

    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps what a tuning knows in a file, at most every `pause` seconds; `key` says which tuning it is."""

    file: Path
    key: str
    pause: float

    def load(self, weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> Progress:
        """Take up what was kept; where that is nothing, unreadable or of another tuning: a new start."""
        try:
            kept = torch.load(self.file, weights_only=True, map_location="cpu")
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
            return Progress()
        if kept.get("key") != self.key:
            return Progress()
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(kept["weights"][name])
        optimizer.load_state_dict(kept["optimizer"])
        return Progress(kept["losses"], kept["tokens"], kept["seconds"])

    def keep(
        self, weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, progress: Progress
    ) -> None:
        known = {"key": self.key, "weights": {name: weight.detach() for name, weight in weights.items()}}
        known |= {"optimizer": optimizer.state_dict(), **vars(progress)}
        new = self.file.with_name(f"{self.file.name}.new")
        try:
            with new.open("wb") as file:  # of a path torch.save tells no OSError
                torch.save(known, file)
            os.replace(new, self.file)
        except OSError:
            new.unlink(missing_ok=True)
            raise


@dataclass(frozen=True, slots=True)
class Objective:
    """What is made smaller.

    Attributes:
        groups: rows that belong together: a lesson's one row, or a preference's two.
        weigh: of a group's number and the negative log-likelihoods of its rows: its loss.
        amount: by what a step's sum of losses is divided: the sum of this over its groups.
    """

    groups: Sequence[tuple[Row, ...]]
    weigh: Callable[[int, torch.Tensor], torch.Tensor]
    amount: Sequence[int]


def steps_of(heads: Sequence[object], settings: Tuning, seed: int) -> list[list[int]]:
    """Which lessons each optimizer step takes, however it is batched. heads: what lessons have to share to be kept
    together."""
    size = settings.step
    steps: list[list[int]] = []
    epoch = 0
    while len(steps) < settings.steps if settings.steps is not None else epoch < settings.epochs:
        order = _order(heads, settings.together, Random(f"{seed}:{epoch}"))
        steps += [order[start : start + size] for start in range(0, len(order), size)]
        epoch += 1
    return steps[: settings.steps]


def _order(heads: Sequence[object], together: int, chance: Random) -> list[int]:
    """All lessons in a random order in which up to `together` of one head are neighbours."""
    by_head: dict[object, list[int]] = {}
    for place, head in enumerate(heads):
        by_head.setdefault(head, []).append(place)
    clumps = []
    for places in by_head.values():
        chance.shuffle(places)
        clumps += [places[start : start + together] for start in range(0, len(places), together)]
    chance.shuffle(clumps)
    return [place for clump in clumps for place in clump]


def rate_of(step: int, steps: int, settings: Tuning) -> float:
    """The learning rate of step 0, 1, ...: a linear way up, then the schedule's way down, as transformers has them."""
    if step < settings.warmup:
        return settings.rate * step / settings.warmup
    done = (step - settings.warmup) / max(1, steps - settings.warmup)
    match settings.schedule:
        case "cosine":
            return settings.rate * 0.5 * (1 + math.cos(math.pi * done))
        case "linear":
            return settings.rate * (1 - done)
        case "constant":
            return settings.rate


def train(
    network: Any,
    objective: Objective,
    steps: Sequence[Sequence[int]],
    settings: Tuning,
    seed: int,
    keeper: Keeper,
    shared: int,
    note: Note | None = None,
) -> Progress:
    """Train the weights of `network` that want gradients. shared: tokens that a tree of texts may have.

    Raises ModelError where memory runs out or the loss is no number.
    """
    weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(weights.values(), lr=settings.rate, weight_decay=settings.decay)
    progress = keeper.load(weights, optimizer)
    start, kept = time.perf_counter() - progress.seconds, time.perf_counter()
    network.train()
    for step in range(len(progress.losses), len(steps)):
        torch.manual_seed(int.from_bytes(hashlib.sha256(f"{seed}:{step}".encode()).digest()[:7], "big"))
        for group in optimizer.param_groups:
            group["lr"] = rate_of(step, len(steps), settings)
        try:
            loss = _backward(network, objective, steps[step], settings, shared)
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            raise ModelError(
                f"The tuning ran out of memory at step {step + 1} of {len(steps)}.",
                "A smaller batch (with as much more accumulation), a smaller max_length or checkpointing takes less.",
            ) from error
        if not math.isfinite(loss):
            raise ModelError(f"The loss of step {step + 1} is {loss}.", "Try a lower learning rate.")
        torch.nn.utils.clip_grad_norm_(weights.values(), settings.clip)
        optimizer.step()
        optimizer.zero_grad()
        progress.losses.append(loss)
        progress.tokens += sum(objective.amount[place] for place in steps[step])
        progress.seconds = time.perf_counter() - start
        if time.perf_counter() - kept >= keeper.pause:
            keeper.keep(weights, optimizer, progress)
            kept = time.perf_counter()
        if note:
            note(step + 1, len(steps), loss)
    return progress


def _backward(network: Any, objective: Objective, step: Sequence[int], settings: Tuning, shared: int) -> float:
    """Add the gradients of a step's loss, batch by batch; return the loss."""
    amount = sum(objective.amount[place] for place in step)
    total = 0.0
    for batch in _batches(objective.groups, step, settings, shared):
        nlls = _batch_nll(network, objective.groups, batch)
        loss = torch.stack([objective.weigh(place, nll) for place, nll in nlls]).sum() / amount
        torch.autograd.backward(loss)
        total += loss.item()
    return total


def groups_nll(
    network: Any, groups: Sequence[tuple[Row, ...]], places: Sequence[int], settings: Tuning, shared: int
) -> Iterator[tuple[int, torch.Tensor]]:
    """The negative log-likelihoods of the rows of the groups at `places`, each with its place, batch by batch."""
    for batch in _batches(groups, places, settings, shared):
        yield from _batch_nll(network, groups, batch)


def _batch_nll(
    network: Any, groups: Sequence[tuple[Row, ...]], batch: tuple[list[int], bool]
) -> Iterator[tuple[int, torch.Tensor]]:
    places, share = batch
    rows = [row for place in places for row in groups[place]]
    nlls = torch.split(answers_nll(network, rows, share=share), [len(groups[place]) for place in places])
    return zip(places, nlls, strict=True)


def _batches(
    groups: Sequence[tuple[Row, ...]], step: Sequence[int], settings: Tuning, shared: int
) -> list[tuple[list[int], bool]]:
    """What of a step goes through the model together, and whether as a tree."""
    if settings.packing == "none":
        cuts = range(0, len(step), settings.batch)
        return [(list(step[start : start + settings.batch]), False) for start in cuts]
    together = packs([_joined(groups[place]) for place in step], batch=settings.batch, most=shared)
    return [([step[place] for place in pack], shared > 0) for pack in together]


def _joined(group: tuple[Row, ...]) -> Row:
    """The rows of a group, which answer one question, as one: as long as what they add to a tree."""
    first, *others = group
    return Row((*first.tokens, *(token for row in others for token in row.tokens[row.begin :])), first.begin)


def _out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)
