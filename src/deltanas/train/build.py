"""The build check: shapes, parameters, FLOPs, the trace and the probe of a program. Runs inside the sandbox only."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import is_dataclass
from math import nan
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from deltanas.program.probe import TRACE
from deltanas.train.batches import Batches, bounded_steps
from deltanas.train.compat import NormBase, TorchDispatchMode, schema_arguments, storage_key, without_overrides
from deltanas.train.digest import acted
from deltanas.train.faults import ContractError, OutputError, StepError
from deltanas.train.job import PROBE, Job, packed_widths
from deltanas.train.loop import batch_size, check_output, construct, seed_everything
from deltanas.train.state import held, shape_of, shaped, values_of
from deltanas.train.tasks import CHILD_TASKS, ChildTask

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
        self._alive: list[object] = []  # a storage that is freed could come back at the same address

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        call = _hash(str(func), self.describe((args, kwargs)))
        read = {_storage(tensor)[0] for tensor in _tensors((args, kwargs))}
        out = func(*args, **kwargs)
        written = list(_tensors(_mutated(func, args, kwargs)))
        fresh = [tensor for tensor in _tensors(out) if _storage(tensor)[0] not in read]
        for position, tensor in enumerate([*written, *fresh]):
            self._keep(tensor, _hash(call, str(position)))
        return out

    def describe(self, value: object) -> str:
        """Text that is equal for values that were computed alike."""
        if isinstance(value, Tensor):
            return f"{self.content(value)}{_place(value)}"
        if isinstance(value, dict):
            return "{" + ",".join(f"{key}={self.describe(item)}" for key, item in sorted(value.items())) + "}"
        if isinstance(value, (tuple, list)):
            return "[" + ",".join(self.describe(item) for item in value) + "]"
        if isinstance(value, torch.Generator):
            return "generator"
        return repr(value)

    def content(self, tensor: Tensor) -> str:
        """The hash of a storage's content; a tensor that no traced operation made counts as a constant."""
        key, _ = _storage(tensor)
        if key not in self._content:
            try:
                found = hashlib.sha256(values_of(tensor)).hexdigest()
            except Exception:  # noqa: BLE001  a tensor class may raise anything; it is known by its type and turn
                found = _hash(type(tensor).__name__, str(len(self._content)))
            self._keep(tensor, found)
        return self._content[key]

    def _keep(self, tensor: Tensor, content: str) -> None:
        key, owner = _storage(tensor)
        self._content[key] = content
        self._alive += [tensor, owner]  # the tensor too: autograd copies a gradient that others hold


def check_build(job: Job) -> dict[str, object]:
    """Build the program, run it on two images, and train it for two steps of two images.

    Two steps, as a momentum shows from the second on only.

    Returns: `params` (trainable parameters), `flops` (of one image's forward pass), `trace` (of the network's
    operations, and behind it what the transform does to images), `widths` (the first two sizes of each parameter, as
    short text), and `probe`: figures that are equal for networks that compute the same function. It has four parts,
    each some fixed projections of logits:

    - with the program's own initial weights, evaluating: shows what the initialisation changes;
    - with given weights (`fill`), evaluating and training (one seed, so dropout shows);
    - the change of the logits, evaluating, that the two training steps make: shows the recipe.

    Raises ContractError where the output is wrong, StepError where a training step fails, and whatever the program
    raises before.
    """
    transform = acted(job)
    seed_everything(job.seed)
    batch = min(2, batch_size(json.loads(job.prm)))
    x = _SPREAD * torch.randn(4, *job.in_shape[1:])
    y = CHILD_TASKS[job.task].examples(4, job.out_shape)
    tracer, parts, outputs = Tracer(), [], []
    with tracer:
        net: Any = construct(job)
        parts.append(_evaluated(net, x[:2], job))
    if not bool(torch.isfinite(parts[0]).all()):
        raise ContractError("the untrained network returns values that are not finite")
    held(net, begun=False)
    for value in net.parameters():
        tracer.content(value)  # the trace goes by how weights came about, not by what they are filled with
    fill(net)
    with tracer:
        for mode in (False, True):
            net.train(mode)
            seed_everything(job.seed)
            out = net(x[:2])
            outputs.append(out if mode else _checked(out, job))
        seen = tracer.describe(outputs)
        parts += [_flat(out) for out in outputs]
        before = {name: tracer.content(value) for name, value in net.named_parameters()}
        params = sum(value.numel() for value in shaped(net.parameters()) if value.requires_grad)
        try:
            _learn(net, x, y, batch, CHILD_TASKS[job.task])
        except BaseException as error:  # SystemExit too
            raise StepError(_while_training(outputs[1], job.out_shape)) from error
        after = sorted(
            tracer.describe(value)
            for name, value in net.named_parameters()
            if tracer.content(value) != before.get(name)
        )
    if not after:
        raise StepError from ContractError("learn() changes no parameter")
    held(net)
    flops = _flops(net, x)
    parts.append(_evaluated(net, x[:2], job) - parts[1])
    probe = [figure for part in parts for figure in _projected(part)]
    widths = packed_widths([shape_of(value)[:2] for value in shaped(net.parameters())])
    trace = _hash(seen, *after)[:TRACE] + transform
    return {"params": params, "flops": flops, "trace": trace, "probe": probe, "widths": widths}


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
    with torch.no_grad(), without_overrides():
        for weight in shaped([*net.parameters(), *statistics]):
            value = torch.view_as_real(weight) if weight.is_complex() else weight
            if value.is_floating_point() and not _overlaps(value):
                shape = shape_of(value)
                offset = zlib.crc32(repr((shape, counts[shape])).encode()) % len(normal)
                counts[shape] += 1
                flat = (normal if value.dim() > 1 else uniform).repeat(value.numel() // len(normal) + 2)
                scale = (shape[0] / max(1, value.numel())) ** 0.5 if value.dim() > 1 else 1.0
                value.copy_(flat[offset : offset + value.numel()].view(shape) * scale)


def _overlaps(value: Tensor) -> bool:
    """Whether several values lie in one place, as those of an expanded tensor."""
    return any(step == 0 and size > 1 for step, size in zip(Tensor.stride(value), shape_of(value), strict=True))


def _pattern() -> tuple[Tensor, Tensor]:
    """Normal and uniform draws; weights are cut from them, which is faster than to draw each."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(_PATTERN, generator=generator), 0.5 + torch.rand(_PATTERN, generator=generator)


def _learn(net: Any, x: Tensor, y: Tensor, batch: int, task: ChildTask) -> None:
    scale = torch.ones(x.shape[1], 1, 1)
    seed_everything(0)
    net.train()
    n = 2 * batch
    batches = Batches(x[:n], y[:n], torch.arange(n), batch, torch.zeros_like(scale), scale, fed=task.fed)
    with bounded_steps(lambda: batches.given):
        net.learn(batches)


def _flops(net: nn.Module, x: Tensor) -> int:
    """Of one image; half of those of two where the network takes no single one, as one that squeezes its tensors."""
    net.eval()
    for n in (1, 2):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            try:
                net(x[:n])
                return int(counter.get_total_flops()) // n
            except (RuntimeError, ValueError, IndexError, TypeError):
                if n == 2:
                    raise
    raise AssertionError


def _flat(out: object) -> Tensor:
    """All figures of an output, which may be of any kind while training; one that is not finite where it has none."""
    figures = [tensor.detach() for tensor in _tensors(out) if not tensor.is_complex()]
    if len(figures) == 1:
        return figures[0]
    return torch.cat([tensor.reshape(-1).to(torch.float64) for tensor in figures] or [torch.tensor([nan])])


def _while_training(out: object, out_shape: tuple[int, ...]) -> str:
    """What one has to know where learn() fails: that an output is another one while training."""
    try:
        check_output(out, (2, *out_shape))
    except OutputError as error:
        return f"while training, {error}, so let learn() take that apart, or return the logits alone"
    return ""


def _evaluated(net: Any, x: Tensor, job: Job) -> Tensor:
    net.eval()
    seed_everything(job.seed)
    with torch.no_grad():
        return _checked(net(x), job)


def _projected(logits: Tensor) -> list[float | None]:
    """Projections of the logits, of eight digits; None where a logit is not finite."""
    flat = logits.reshape(-1).to(torch.float64)
    if not bool(torch.isfinite(flat).all()):
        return [None] * _PROJECTIONS
    directions = torch.randn(_PROJECTIONS, len(flat), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return [float(f"{value:.8g}") for value in (directions @ flat).tolist()]


def _checked(out: object, job: Job) -> Tensor:
    try:
        check_output(out, (2, *job.out_shape), floats=CHILD_TASKS[job.task].images)
    except OutputError as error:
        raise ContractError(str(error)) from None
    assert isinstance(out, Tensor)
    return out


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _storage(tensor: Tensor) -> tuple[int, object]:
    """What a tensor's content belongs to, with a number for it: its storage, or itself where it has none."""
    try:
        with without_overrides():
            if tensor.layout is torch.strided:
                return storage_key(tensor), Tensor.untyped_storage(tensor)
    except RuntimeError:
        pass
    return id(tensor), tensor


def _place(tensor: Tensor) -> object:
    """Where in its storage a tensor lies; its type where it does not say."""
    try:
        with without_overrides():
            return Tensor.storage_offset(tensor), shape_of(tensor), Tensor.stride(tensor), tensor.dtype
    except Exception:  # noqa: BLE001  as in `content`
        return type(tensor).__name__


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _tensors(vars(value))


def _mutated(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[object]:
    """The arguments that the operation's schema marks as written to."""
    return [
        args[position] if position < len(args) else kwargs.get(argument.name)
        for position, argument in enumerate(schema_arguments(func))
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
