"""The build check: shapes, parameters, FLOPs, the trace and the probe of a program. Runs inside the sandbox only."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deltanas.train.compat import NormBase, TorchDispatchMode, schema_arguments, storage_key
from deltanas.train.job import PROBE, Job, packed_widths
from deltanas.train.loop import (
    Batches,
    ContractError,
    OutputError,
    batch_size,
    bounded_steps,
    check_output,
    construct,
    seed_everything,
)
from deltanas.train.tasks import CHILD_TASKS

_SPREAD = 3.0
"""Standard deviation of the probe's images: wide enough that what limits activations shows."""
_PATTERN = 65_521
_PROJECTIONS = PROBE // 4


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


class StepError(Exception):
    """The program builds and gives outputs, but its training steps fail. Its cause is what they raised."""


def check_build(job: Job) -> dict[str, object]:
    """Build the program, run it on two images, and train it for two steps of two images.

    Two steps, as a momentum shows from the second on only.

    Returns: `params` (trainable parameters), `flops` (of one image's forward pass), `trace`, `widths` (the first two
    sizes of each parameter, as short text), and `probe`: figures that are equal for programs that compute the same
    function. It has four parts, each some fixed projections of logits:

    - with the program's own initial weights, evaluating: shows what the initialisation changes;
    - with given weights (`fill`), evaluating and training (one seed, so dropout shows);
    - the change of the logits, evaluating, that the two training steps make: shows the recipe.

    Raises ContractError where the output is wrong, StepError where a training step fails, and whatever the program
    raises before.
    """
    seed_everything(job.seed)
    batch_size(json.loads(job.prm))
    x = _SPREAD * torch.randn(4, *job.in_shape[1:])
    y = CHILD_TASKS[job.task].examples(4, job.out_shape)
    tracer, parts, outputs = Tracer(), [], []
    with tracer:
        net: Any = construct(job)
        parts.append(_evaluated(net, x[:2], job))
    if not bool(torch.isfinite(parts[0]).all()):
        raise ContractError("the untrained network returns values that are not finite")
    for value in net.parameters():
        tracer.content(value)  # the trace goes by how weights came about, not by what they are filled with
    fill(net)
    with tracer:
        for mode in (False, True):
            net.train(mode)
            seed_everything(job.seed)
            outputs.append(_checked(net(x[:2]), job.out_shape))
        seen = tracer.describe(outputs)
        parts += [out.detach() for out in outputs]
        before = {name: tracer.content(value) for name, value in net.named_parameters()}
        params = sum(value.numel() for value in net.parameters() if value.requires_grad)
        try:
            _learn(net, x, y)
        except BaseException as error:  # SystemExit too
            raise StepError from error
        after = sorted(
            tracer.describe(value) for name, value in net.named_parameters() if tracer.content(value) != before[name]
        )
    if not after:
        raise StepError from ContractError("learn() changes no parameter")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()
        net(x[:1])
    parts.append(_evaluated(net, x[:2], job) - parts[1])
    probe = [figure for part in parts for figure in _projected(part)]
    widths = packed_widths([tuple(value.shape[:2]) for value in net.parameters()])
    trace = _hash(seen, *after)[:16]
    return {"params": params, "flops": counter.get_total_flops(), "trace": trace, "probe": probe, "widths": widths}


def fill(net: nn.Module) -> None:
    """Give every parameter and running statistic a value by its shape and by how many of that shape come before it.

    So equal layers of two programs get equal weights, whatever other layers stand between them. Matrices and kernels
    are normal with variance 1 / fan-in, vectors and statistics (a variance must be positive) uniform in [0.5, 1.5].
    Other buffers keep their values: they may be what an edit changes.
    """
    normal, uniform = _pattern()
    statistics = [
        value for part in net.modules() if isinstance(part, NormBase) for value in part.buffers(recurse=False)
    ]
    counts: Counter[tuple[int, ...]] = Counter()
    with torch.no_grad():
        for value in [*net.parameters(), *statistics]:
            if value.is_floating_point() and value.layout is torch.strided:
                shape = tuple(value.shape)
                offset = zlib.crc32(repr((shape, counts[shape])).encode()) % len(normal)
                counts[shape] += 1
                flat = (normal if value.dim() > 1 else uniform).repeat(value.numel() // len(normal) + 2)
                scale = (shape[0] / max(1, value.numel())) ** 0.5 if value.dim() > 1 else 1.0
                value.copy_(flat[offset : offset + value.numel()].view(shape) * scale)


def _pattern() -> tuple[Tensor, Tensor]:
    """Normal and uniform draws; weights are cut from them, which is faster than to draw each."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(_PATTERN, generator=generator), 0.5 + torch.rand(_PATTERN, generator=generator)


def _learn(net: Any, x: Tensor, y: Tensor) -> None:
    scale = torch.ones(x.shape[1], 1, 1)
    seed_everything(0)
    net.train()
    batches = Batches(x, y, torch.arange(len(x)), 2, torch.zeros_like(scale), scale)
    with bounded_steps(lambda: batches.given):
        net.learn(batches)


def _evaluated(net: Any, x: Tensor, job: Job) -> Tensor:
    net.eval()
    seed_everything(job.seed)
    with torch.no_grad():
        return _checked(net(x), job.out_shape)


def _projected(logits: Tensor) -> list[float | None]:
    """Projections of the logits, of eight digits; None where a logit is not finite."""
    flat = logits.reshape(-1).to(torch.float64)
    if not bool(torch.isfinite(flat).all()):
        return [None] * _PROJECTIONS
    directions = torch.randn(_PROJECTIONS, len(flat), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return [float(f"{value:.8g}") for value in (directions @ flat).tolist()]


def _checked(out: object, out_shape: tuple[int, ...]) -> Tensor:
    try:
        check_output(out, (2, *out_shape))
    except OutputError as error:
        raise ContractError(str(error)) from None
    assert isinstance(out, Tensor)
    return out


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _storage(tensor: Tensor) -> int:
    """What a tensor's content belongs to: its storage, or itself where it has none (a sparse tensor)."""
    return storage_key(tensor) if tensor.layout is torch.strided else id(tensor)


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
        for position, argument in enumerate(schema_arguments(func))
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
