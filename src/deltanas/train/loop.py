"""The one-epoch loop by the LEMUR contract, over uint8 images that stay in memory. Runs inside the sandbox only."""

from __future__ import annotations

import json
import linecache
import mmap
import random
import sys
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import prod
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deltanas.program.transforms import Step, TransformError, read_transform
from deltanas.train.augment import Augmentation, run_wide
from deltanas.train.average import TailAverage, untouched
from deltanas.train.batches import Batches, bounded_steps, normalise
from deltanas.train.compat import storage_key
from deltanas.train.faults import NET_FILE, ContractError, OutputError
from deltanas.train.job import Device, Job
from deltanas.train.pairs import Turned, crop_of
from deltanas.train.state import shape_of, shaped
from deltanas.train.tasks import CHILD_TASKS

_NEEDS_CONTIGUOUS = "view size is not compatible"
"""What torch says where a program calls `view` on what a convolution gave it in channels-last."""


class _UnfitLayoutError(Exception):
    """The program asks for a contiguous layout, and nothing of it has been trained yet."""


@dataclass(frozen=True)
class _Data:
    x: Tensor
    y: Tensor
    evaluation: Tensor
    mean: Tensor
    std: Tensor


def seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def batch_size(prm: dict[str, Any]) -> int:
    """Images a step: the hyperparameter `batch`, 32 where there is none."""
    batch = prm.get("batch", 32)
    if not (isinstance(batch, (int, float)) and batch >= 1 and float(batch).is_integer()):
        raise ContractError(f"the hyperparameter batch is {batch!r}, not a whole number from 1 up")
    return int(batch)


def construct(job: Job) -> nn.Module:
    """Run the program's source and build its `Net`, ready to train. Raises whatever the program raises."""
    module = ModuleType("candidate")
    sys.modules["candidate"] = module  # dataclasses and pickling-free copies look their module up
    module.__file__ = NET_FILE
    linecache.cache[NET_FILE] = len(job.net), None, job.net.splitlines(keepends=True), NET_FILE  # for TorchScript
    code = compile(job.net, NET_FILE, "exec", dont_inherit=True)  # else annotations would not be evaluated
    exec(code, module.__dict__)  # noqa: S102  this is what the sandbox is for
    if "Net" not in module.__dict__:
        raise ContractError("the program defines no class Net")
    prm = json.loads(job.prm)
    device = torch.device(job.device)
    net = module.Net(job.in_shape, job.out_shape, prm, device)
    if not isinstance(net, nn.Module):
        raise ContractError("Net is not a torch.nn.Module")
    if job.device != "cpu":  # else it would be traced as a step of the program
        net.to(device)
    net.train_setup(prm)  # type: ignore[operator]
    if job.device != "cpu":  # a loss may have weights too
        net.to(device)
    return net


def train(job: Job, data_fd: int) -> bytes:
    """Train for the job's epochs; raw float32 [readings, evaluation, *out_shape], as `deltanas.train.job` says."""
    return fitted(job, data_fd)[1]


def fitted(job: Job, data_fd: int) -> tuple[nn.Module, bytes]:
    """The network after training, with the weights that were evaluated last, and the outputs as `train` gives them.

    Images and weights lie in memory channels-last, which is faster (docs/lab.md), unless the program can't have it so.
    """
    data = _map(job, data_fd)
    if job.device == "cuda":
        repeatable()
    try:
        net, outputs = _trained(job, data, torch.channels_last)
    except _UnfitLayoutError:
        net, outputs = _trained(job, data, torch.contiguous_format)
    return net, torch.cat(outputs).contiguous().numpy().tobytes()


def _evaluated(net: nn.Module, data: _Data, job: Job, layout: torch.memory_format, *, between: bool) -> Tensor:
    """The outputs of the evaluation images. between: the network goes on in its layout."""
    try:
        return _outputs(net, data, job, layout)
    except RuntimeError as error:
        if layout is torch.contiguous_format or _NEEDS_CONTIGUOUS not in str(error):
            raise
        _lay_out(net, torch.contiguous_format)
        outputs = _outputs(net, data, job, torch.contiguous_format)
        if between:
            _lay_out(net, layout)
        return outputs


def _outputs(net: nn.Module, data: _Data, job: Job, layout: torch.memory_format) -> Tensor:
    """Of the evaluation images; float32 on the CPU. As in the build check, an inner `torch.enable_grad` works."""
    task = CHILD_TASKS[job.task]
    pieces = list(torch.split(data.evaluation, task.at_once(job.in_shape)))
    if len(pieces) > 1 and len(pieces[-1]) == 1:  # networks that drop all dimensions of one can't have a single image
        pieces[-2:] = [torch.cat(pieces[-2:])]
    outputs = []
    with torch.no_grad(), precision(job.device):
        for x in pieces:
            out = net(normalise(x, data.mean, data.std, layout))
            check_output(out, (len(x), *job.out_shape), floats=task.images)
            outputs.append(out.to("cpu", torch.float32))
    return torch.cat(outputs)


def _lay_out(net: nn.Module, layout: torch.memory_format) -> None:
    """Lay the kernels of convolutions out anew, but those that share their memory with other tensors."""
    tensors = shaped([*net.parameters(), *net.buffers()])
    users = Counter(storage_key(value) for value in tensors if value.layout is torch.strided)
    for weight in shaped(net.parameters()):
        if weight.layout is torch.strided and weight.dim() == 4 and users[storage_key(weight)] == 1:
            weight.data = weight.data.contiguous(memory_format=layout)


def _overruns(net: nn.Module) -> bool:
    """Whether torch would write past its memory, channels-last (docs/lab.md).

    The gradient of a strided 1 x 1 convolution does, over fewer channels than the eight values of a vector: oneDNN
    3.12, of torch 2.14.1, with AVX2. The child ends by SIGSEGV or SIGABRT then, somewhere later.
    """
    return any(
        isinstance(one, nn.Conv2d)
        and one.kernel_size == (1, 1)
        and one.stride != (1, 1)
        and one.in_channels < 8
        and one.groups == 1
        for one in net.modules()
    )


def steps_of(job: Job) -> tuple[Step, ...]:
    """What is done to training images: what the program says, else what the run says."""
    try:
        return read_transform(job.transform) if job.transform else run_wide(job.augment)
    except TransformError as error:
        raise ContractError(error.message) from None


def _trained(job: Job, data: _Data, layout: torch.memory_format) -> tuple[nn.Module, list[Tensor]]:
    """The network, and its outputs reading by reading."""
    seed_everything(job.seed)
    net: Any = construct(job)
    if job.device == "cpu" and _overruns(net):
        layout = torch.contiguous_format
    _lay_out(net, layout)
    batch = batch_size(json.loads(job.prm))
    shuffle = torch.Generator().manual_seed(job.seed)
    steps = steps_of(job)
    augmentation = Augmentation(steps, job.seed) if steps else None
    task, turned = CHILD_TASKS[job.task], Turned(job.seed)
    epochs: list[Batches] = []
    tails: dict[int, TailAverage] = {}
    outputs: list[Tensor] = []

    def settle(given: int) -> None:
        for tail in tails.values():
            tail.before_step(given)

    with bounded_steps(lambda: sum(epoch.given for epoch in epochs), settle), precision(job.device):
        for number in range(1, job.epochs + 1):
            order = torch.randperm(job.training, generator=shuffle).to(job.device)
            epochs.append(
                Batches(
                    *(data.x, data.y, order, batch, data.mean, data.std),
                    augmentation=augmentation,
                    layout=layout,
                    fed=task.fed,
                    together=partial(turned, crop=crop_of(number, job.epochs, job.crops)) if task.images else None,
                )
            )
            if number == 1 and job.average:
                tails = {mark: TailAverage(net, job.average, mark * len(epochs[0])) for mark in job.marks}
            net.train()
            try:
                net.learn(epochs[-1])
            except RuntimeError as error:
                first = len(epochs) == epochs[0].given == 1
                if first and layout is torch.channels_last and _NEEDS_CONTIGUOUS in str(error):
                    raise _UnfitLayoutError from None
                raise
            if number in job.marks:
                outputs += _read(net, data, job, layout, tails.pop(number, None), between=number < job.epochs)
    return net, outputs


def _read(
    net: nn.Module, data: _Data, job: Job, layout: torch.memory_format, tail: TailAverage | None, *, between: bool
) -> list[Tensor]:
    """The outputs of one mark: of the last weights, or of those averaged, or of both.

    between: the training goes on, as if nothing had been evaluated. Else the network keeps the weights read last.
    """
    averaged = tail is not None and tail.end()
    outputs: list[Tensor] = []
    for mean in [False, True] if averaged and job.both else [averaged]:
        passing = between or mean < averaged
        with untouched(net, job.device) if passing else nullcontext():
            if tail is not None and mean:
                tail.swap()
            net.eval()
            outputs.append(_evaluated(net, data, job, layout, between=passing))
    return outputs * 2 if tail is not None and job.both and not averaged else outputs


def precision(device: Device) -> AbstractContextManager[object]:
    """bfloat16 where a GPU computes in it, float32 elsewhere.

    Not float16, whose gradients vanish unless the loss is scaled, and the loss is the program's own. No copies of the
    weights are kept, as the optimizer steps inside.
    """
    if device == "cpu" or not torch.cuda.is_bf16_supported(including_emulation=False):
        return nullcontext()
    return torch.autocast(device, torch.bfloat16, cache_enabled=False)


def repeatable() -> None:
    """Let CUDA give equal digits for equal seeds; operations that can't are allowed and say so on stderr."""
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def check_output(out: object, shape: tuple[int, ...], *, floats: bool = False) -> None:
    """shape: (n, *out_shape). floats: no other values will do. Raises OutputError."""
    if not isinstance(out, Tensor):
        raise OutputError(f"the network returns a {type(out).__name__}, not a tensor of shape {shape}")
    if shape_of(out) != shape:
        raise OutputError(f"the network returns shape {shape_of(out)}, not {shape}")
    if out.is_complex():
        raise OutputError("the network returns complex numbers")
    if floats and not out.is_floating_point():
        raise OutputError(f"the network returns {out.dtype}, not floats from 0 to 1".replace("torch.", ""))


def _map(job: Job, data_fd: int) -> _Data:
    """Tensors over the data that the parent laid down: what a candidate writes stays its own. A GPU gets a copy."""
    memory = mmap.mmap(data_fd, 0, access=mmap.ACCESS_COPY)
    shape = job.in_shape[1:]
    pixels = int(np.prod(shape))
    task = CHILD_TASKS[job.task]
    target_shape = task.target_shape(job.out_shape)
    values = job.training * prod(target_shape)
    offset = task.dtype.itemsize * values
    y = torch.frombuffer(memory, dtype=task.dtype, count=values).view(-1, *target_shape)
    x = torch.frombuffer(memory, dtype=torch.uint8, count=job.training * pixels, offset=offset)
    offset += job.training * pixels
    evaluation = torch.frombuffer(memory, dtype=torch.uint8, count=job.evaluation * pixels, offset=offset)
    mean, std = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (job.mean, job.std))
    parts = (x.view(-1, *shape), y, evaluation.view(-1, *shape), mean, std)
    return _Data(*(part.to(job.device) for part in parts))
