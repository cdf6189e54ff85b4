"""The build check: shapes, parameters, FLOPs and the trace of a program. Runs inside the sandbox only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from deltanas.train.job import Job
from deltanas.train.loop import (
    Batches,
    ContractError,
    OutputError,
    batch_size,
    check_logits,
    construct,
    seed_everything,
)


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives every tensor's content a hash of how it was computed: operation, scalars, shapes, the arguments' hashes.

    What is computed and never used leaves no mark on what is used, and two programs that apply the same operations in
    the same wiring to the same constants agree, whatever their source looks like. Contents belong to storages; a view
    is its storage's content with an offset, a shape and strides.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._content: dict[int, str] = {}
        self._alive: list[Tensor] = []  # a storage that is freed could come back at the same address

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        call = _hash(str(func), self.describe((args, kwargs)))
        read = {_storage(tensor) for tensor in _tensors((args, kwargs))}
        out = func(*args, **kwargs)
        written = list(_tensors(_mutated(func, args, kwargs)))
        fresh = [tensor for tensor in _tensors(out) if _storage(tensor) not in read]
        for position, tensor in enumerate([*written, *fresh]):
            self._content[_storage(tensor)] = _hash(call, str(position))
            self._alive.append(tensor)
        return out

    def describe(self, value: object) -> str:
        """Text that is equal for values that were computed alike."""
        if isinstance(value, Tensor):
            place = (value.storage_offset(), tuple(value.shape), value.stride(), value.dtype)
            return f"{self.content(value)}{place}"
        if isinstance(value, dict):
            return "{" + ",".join(f"{key}={self.describe(item)}" for key, item in sorted(value.items())) + "}"
        if isinstance(value, (tuple, list)):
            return "[" + ",".join(self.describe(item) for item in value) + "]"
        if isinstance(value, torch.Generator):
            return "generator"
        return repr(value)

    def content(self, tensor: Tensor) -> str:
        """The hash of a storage's content; a tensor that no traced operation made counts as a constant."""
        key = _storage(tensor)
        if key not in self._content:
            raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
            self._content[key] = hashlib.sha256(raw).hexdigest()
            self._alive.append(tensor)
        return self._content[key]


def check_build(job: Job) -> dict[str, object]:
    """Build the program, run it on two images, and train it for two steps of two images.

    Two steps, as a momentum shows from the second on only.

    Returns: `params` (trainable parameters), `flops` (of one image's forward pass), `trace`.
    Raises ContractError where the output is wrong, and whatever the program raises.
    """
    seed_everything(job.seed)
    batch_size(json.loads(job.prm))
    x = torch.randn(4, *job.in_shape[1:])
    y = torch.arange(4) % job.classes
    with Tracer() as tracer:
        net: Any = construct(job)
        outputs = []
        for mode in (False, True):
            net.train(mode)
            outputs.append(net(x[:2]))
            _check_output(outputs[-1], job.classes)
        seen = tracer.describe(outputs)
        before = {name: tracer.content(value) for name, value in net.named_parameters()}
        params = sum(value.numel() for value in net.parameters() if value.requires_grad)
        scale = torch.ones(job.in_shape[1], 1, 1)
        net.learn(Batches(x, y, torch.arange(4), 2, torch.zeros_like(scale), scale))
        after = sorted(
            tracer.describe(value) for name, value in net.named_parameters() if tracer.content(value) != before[name]
        )
    if not after:
        raise ContractError("learn() changes no parameter")
    net.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(x[:1])
    return {"params": params, "flops": counter.get_total_flops(), "trace": _hash(seen, *after)[:16]}


def _check_output(out: object, classes: int) -> None:
    try:
        check_logits(out, 2, classes)
    except OutputError as error:
        raise ContractError(str(error)) from None
    assert isinstance(out, Tensor)
    if not bool(torch.isfinite(out.detach()).all()):
        raise ContractError("the untrained network returns values that are not finite")


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _storage(tensor: Tensor) -> int:
    """What a tensor's content belongs to: its storage, or itself where it has none (a sparse tensor)."""
    return tensor.untyped_storage()._cdata if tensor.layout is torch.strided else id(tensor)


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


def _mutated(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[object]:
    """The arguments that the operation's schema marks as written to."""
    return [
        args[position] if position < len(args) else kwargs.get(argument.name)
        for position, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
