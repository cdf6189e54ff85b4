"""Weights averaged over the tail of a training, and a network left as it was by an evaluation in between.

Runs inside the sandbox only.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_swa_multi_avg_fn

from deltanas.train.compat import without_overrides
from deltanas.train.job import Device
from deltanas.train.state import plain

_lerp = get_swa_multi_avg_fn()  # type: ignore[no-untyped-call]
"""(means, values, number of values so far): moves the means to those of one value more."""
_HALF = (torch.float16, torch.bfloat16)


class TailAverage:
    """The mean of the weights, and of the buffers, over the last steps of a training.

    One sample a batch: the weights after the last optimizer step that a program took before it asked for the next
    batch, whatever number of optimizers it has. Where tensors of the network are replaced, the mean begins anew.

    Args:
        share: of the batches, the last ones. batches: number of batches of the whole training.
    """

    def __init__(self, net: nn.Module, share: float, batches: int) -> None:
        self._net = net
        self._begin = (1 - share) * batches
        self._given = 0
        self._count = 0
        self._all: list[Tensor] = []
        self._tensors: list[Tensor] = []
        self._means: list[Tensor] = []

    def before_step(self, given: int) -> None:
        """An optimizer is about to step on the last of `given` batches: what the batch before it came to is settled."""
        if given > self._given > self._begin:
            self._add()
        self._given = given

    def end(self) -> bool:
        """The training has ended. Is there a mean, of the tensors that the network has now?"""
        if self._given > self._begin:
            self._add()
        return self._count > 1

    def swap(self) -> None:
        """Exchange the weights of the network and their mean; once more, and each is where it was."""
        with torch.no_grad(), without_overrides():
            weights = [_wide(tensor).clone() for tensor in self._tensors]  # all first: some may share their memory
            for tensor, mean in zip(self._tensors, self._means, strict=True):
                tensor.copy_(mean)
        self._means = weights

    def _add(self) -> None:
        with torch.no_grad(), without_overrides():
            if not self._same():
                self._tensors = [tensor for tensor in self._all if _averages(tensor)]
                self._means = [_wide(tensor).clone() for tensor in self._tensors]
                self._count = 0
            elif self._means:
                now = [_wide(tensor) for tensor in self._tensors]
                _lerp(self._means, now, self._count)
            self._count += 1

    def _same(self) -> bool:
        """Has the network the tensors that it had at the last sample?"""
        before, self._all = self._all, [*self._net.parameters(), *self._net.buffers()]
        if list(map(id, before)) != list(map(id, self._all)):
            return False
        return all(one.size() == mean.size() for one, mean in zip(self._tensors, self._means, strict=True))


def _averages(tensor: Tensor) -> bool:
    """It can be averaged: integers, say of batches counted, stay as they are."""
    return _writable(tensor) and (tensor.dtype.is_complex or tensor.dtype in (*_HALF, torch.float32, torch.float64))


def _writable(tensor: Tensor) -> bool:
    """Its values can be read and written: they are plain ones, and none stands in several places."""
    if not plain(tensor):
        return False
    return all(stride or size < 2 for size, stride in zip(tensor.size(), tensor.stride(), strict=True))


def _wide(tensor: Tensor) -> Tensor:
    """Detached; in a type that a sum of small steps does not get lost in."""
    return tensor.detach().to(torch.float32) if tensor.dtype in _HALF else tensor.detach()


@contextmanager
def untouched(net: nn.Module, device: Device) -> Iterator[None]:
    """Leave no trace of what is computed inside: random states, parameters and buffers are as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    with torch.no_grad(), without_overrides():
        kept = [(one, one.detach().clone()) for one in (*net.parameters(), *net.buffers()) if _writable(one)]
    with torch.random.fork_rng([] if device == "cpu" else [torch.cuda.current_device()]):
        yield
    random.setstate(python)
    np.random.set_state(numpy)
    with torch.no_grad(), without_overrides():
        for tensor, value in kept:
            tensor.copy_(value)
