"""What learn() is given: the training images in batches, as a loader gives them. Runs inside the sandbox only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook
from torch.utils.data import Dataset

from deltanas.train.augment import Augmentation
from deltanas.train.faults import ContractError


def normalise(x: Tensor, mean: Tensor, std: Tensor, layout: torch.memory_format = torch.contiguous_format) -> Tensor:
    """uint8 [n, c, h, w] to float32 of mean 0 and deviation 1 a channel. mean, std: [c, 1, 1]."""
    return x.to(torch.float32, memory_format=layout).sub_(mean).div_(std)


class _Images(Dataset[tuple[Tensor, Tensor]]):
    """The training images one at a time, as `train_data.dataset`: to count them, or to look at some.

    targets: the labels, in the order of the images.
    """

    def __init__(
        self, x: Tensor, targets: Tensor, mean: Tensor, std: Tensor, fed: Callable[[Tensor], Tensor] | None
    ) -> None:
        self._x, self.targets, self._mean, self._std, self._fed = x, targets, mean, std, fed

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        if not -len(self) <= place < len(self):
            raise IndexError(place)  # ends a `for` loop
        target = self.targets[place]
        return normalise(self._x[[place]], self._mean, self._std)[0], self._fed(target) if self._fed else target


class Batches:
    """One pass over the training images: float32 inputs [b, c, h, w], normalised, and int64 labels [b] or whatever the
    targets are.

    `iter` goes on where an earlier one stopped; once all batches are given out, one more `iter` is an error: an epoch
    is one pass. A last batch of a single image is left out, as batch norm can't train on it.

    Attributes:
        given: batches so far.
        fed, together: what is done to the targets of a batch, and before that to images and targets together.
        dataset, batch_size, drop_last, num_workers, pin_memory: as torch's DataLoader has them.
    """

    drop_last, num_workers, pin_memory = False, 0, False

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        order: Tensor,
        batch: int,
        mean: Tensor,
        std: Tensor,
        *,
        augmentation: Augmentation | None = None,
        layout: torch.memory_format = torch.contiguous_format,
        fed: Callable[[Tensor], Tensor] | None = None,
        together: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        self._x, self._y, self._mean, self._std = x, y, mean, std
        self._augmentation, self._layout, self._fed, self._together = augmentation, layout, fed, together
        self.dataset, self.batch_size = _Images(x, y, mean, std, fed), batch
        pieces = list(torch.split(order, batch))
        self._pieces = pieces[:-1] if len(pieces[-1]) == 1 < min(batch, len(order)) else pieces
        self._ready: list[Tensor] = []
        self.given = 0

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.given == len(self._pieces):
            raise RuntimeError("learn() may pass over its data once: it is called for each epoch anew")
        return self._rest()

    def __next__(self) -> tuple[Tensor, Tensor]:
        return next(self._rest())

    def __getitem__(self, place: object) -> NoReturn:
        raise TypeError(f"train_data gives batches in a `for` loop, not by number: no train_data[{place!r}]")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"train_data has no {name}, but len(), dataset, batch_size, drop_last, num_workers")

    def _rest(self) -> Iterator[tuple[Tensor, Tensor]]:
        while self.given < len(self._pieces):
            x, y = self._changed(), self._y[self._pieces[self.given]]
            if self._together:
                x, y = self._together(x, y)
            self.given += 1
            yield normalise(x, self._mean, self._std, self._layout), self._fed(y) if self._fed else y

    def _changed(self) -> Tensor:
        """The images of the next batch, after the augmentation, which may be given those of several."""
        if not self._augmentation:
            return self._x[self._pieces[self.given]]
        if not self._ready:
            together = max(1, self._augmentation.at_once(self._x[0].numel()) // self.batch_size)
            pieces = self._pieces[self.given : self.given + together]
            x = self._augmentation(self._x[torch.cat(pieces)])
            self._ready = list(torch.split(x, [len(piece) for piece in pieces]))
        return self._ready.pop(0)


@contextmanager
def bounded_steps(given: Callable[[], int], before: Callable[[int], None] | None = None) -> Iterator[None]:
    """Hold each optimizer to one step a batch; `given`: batches so far; `before` is told them before each step.

    It stops what a program does without a thought, such as several steps on each batch. One that means harm can step
    by hand: what that costs shows in its CPU time alone.
    """
    steps: Counter[Optimizer] = Counter()

    def count(optimizer: Optimizer, *_: object) -> None:
        steps[optimizer] += 1
        if steps[optimizer] > given():
            told = f"learn() took more optimizer steps than batches, {steps[optimizer]} for {given()}"
            raise ContractError(told if given() else f"{told}: train on the batches that train_data gives")
        if before is not None:
            before(given())

    handle = register_optimizer_step_pre_hook(count)
    try:
        yield
    finally:
        handle.remove()
