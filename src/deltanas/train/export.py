"""A trained network as plain bytes: its weights, and its graph as ONNX; and what ONNX Runtime computes by that graph.

Runs inside the sandbox only: to trace a program is to run it, and to read what it made of itself is a risk too.
"""

from __future__ import annotations

import importlib
import io
import json
import math
import mmap
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deltanas.train.faults import unwritten
from deltanas.train.job import (
    EXPORT_SECONDS,
    LATENCY_RUNS,
    MOST_BYTES,
    NEAR_LEVELS,
    ONNX_OPSET,
    REASON_LIMIT,
    WHOLE_SUMS,
    Job,
)
from deltanas.train.loop import construct, fitted, seed_everything
from deltanas.train.quantize import quantize
from deltanas.train.state import held, shape_of, values_of
from deltanas.train.tasks import CHILD_TASKS

_WARM_UP = 10
"""Runs before the first that is timed."""
_NEAR = 0.01
"""Largest difference of a logit between ONNX Runtime and torch, as a share of the largest logit."""
_TIMED_SECONDS = 0.5
"""So long repetitions go on, unless they are too few or too many by then."""


class _FromPixels(nn.Module):
    """The network with the normalisation before it, so that whoever runs the file can't forget that."""

    def __init__(self, net: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.net = net
        self.mean, self.std = mean, std

    def forward(self, pixels: Tensor) -> Any:
        return self.net((pixels - self.mean) / self.std)


class _FromLevels(_FromPixels):
    """Where nothing is to be taken off, nothing is: a difference of whole images is traffic through memory."""

    def forward(self, pixels: Tensor) -> Any:
        return self.net(pixels / self.std)


def export(job: Job, data_fd: int) -> tuple[dict[str, object], bytes]:
    """Train, and answer as `deltanas.train.job` lays down: logits, weights, ONNX or the reason why there is none."""
    net, logits = fitted(job, data_fd)
    net.to("cpu")
    tensors, weights = _weights(net)
    graph, why = _written(net, job)
    if len(tensors) + len(weights) + len(graph) > MOST_BYTES:
        graph, why = b"", f"weights and ONNX together have more than {MOST_BYTES >> 20:,} MiB"
    header = {"tensors": len(tensors), "weights": len(weights), "onnx": len(graph), "why": why}
    return header, b"".join((logits, tensors, weights, graph))


def graph(job: Job) -> bytes:
    """The network as ONNX, with the weights that it begins with: how long it runs does not depend on them."""
    return _graph(begun(job), job)


def begun(job: Job) -> nn.Module:
    """The network with the weights that it begins with."""
    seed_everything(job.seed)
    net: nn.Module = construct(job).eval()
    with torch.no_grad():
        net(torch.zeros(2, *job.in_shape[1:]))  # layers that take their shape from the first images get it here
    return net


def infer(job: Job, data_fd: int) -> bytes:
    """What ONNX Runtime computes by the file that lies before the images: float32 [evaluation, *out_shape]."""
    session, pixels = _loaded(job, data_fd)
    (logits,) = session.run(None, {"pixels": pixels})
    return np.ascontiguousarray(logits, np.float32).tobytes()


def latency(job: Job, data_fd: int) -> bytes:
    """Milliseconds that ONNX Runtime takes for all images of the job at once, float64, one a repetition."""
    session, pixels = _loaded(job, data_fd)
    feed = {"pixels": pixels}
    for _ in range(_WARM_UP):
        session.run(None, feed)
    fewest, most = LATENCY_RUNS
    times: list[float] = []
    end = time.perf_counter() + _TIMED_SECONDS
    while len(times) < fewest or (len(times) < most and time.perf_counter() < end):
        start = time.perf_counter_ns()
        session.run(None, feed)
        times.append((time.perf_counter_ns() - start) / 1e6)
    return np.array(times, np.float64).tobytes()


def quantized(job: Job, data_fd: int) -> bytes:
    """The file that lies before the images, quantised; the images tell the ranges of its values."""
    model, images = _laid_down(job, data_fd)
    return quantize(job, model, images)


def _loaded(job: Job, data_fd: int) -> tuple[Any, Any]:
    """A session of ONNX Runtime with the file, and the images: float32 [evaluation, c, h, w]."""
    model, images = _laid_down(job, data_fd)
    runtime = importlib.import_module("onnxruntime")
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = job.threads
    options.add_session_config_entry(*WHOLE_SUMS)
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session, images


def _laid_down(job: Job, data_fd: int) -> tuple[bytes, Any]:
    """The file, and the images: float32 [evaluation, c, h, w]."""
    memory = mmap.mmap(data_fd, 0, access=mmap.ACCESS_READ)
    images = np.frombuffer(memory, np.uint8, offset=job.file).reshape(job.evaluation, *job.in_shape[1:])
    return memory[: job.file], images.astype(np.float32)


def _weights(net: nn.Module) -> tuple[bytes, bytes]:
    """Names, types and shapes of the state's tensors as JSON, and their bytes back to back."""
    state = held(net)
    told = [[one.name, one.dtype, list(shape_of(one.tensor))] for one in state]
    return json.dumps(told).encode(), b"".join(values_of(one.tensor) for one in state)


def _written(net: nn.Module, job: Job) -> tuple[bytes, str]:
    """The network as ONNX, or the reason why there is none; the weights are worth having without.

    The exporter that traces comes first: it takes a second where the newer one, which knows more operators, takes ten.
    """
    graph, why = b"", ""
    try:
        graph = _graph(net, job)
        if _agrees(graph, net, job):
            return graph, ""
    except Exception as error:  # noqa: BLE001  the exporter raises what it likes
        why = unwritten(error)
    if find_spec("onnxscript") is None:
        return graph, why and f"{why}. With `pip install 'deltanas[export]'` torch's newer exporter could try"
    try:
        with _at_most(EXPORT_SECONDS):
            return _newer_graph(net, job), ""
    except Exception as error:  # noqa: BLE001
        return graph, why and f"{why}. Nor does torch's newer exporter write it: {unwritten(error)}"[:REASON_LIMIT]


def _agrees(graph: bytes, net: nn.Module, job: Job) -> bool:
    """Whether ONNX Runtime computes what torch does, for another number of images than the exporter saw.

    Where images come out, of another size too.
    """
    if find_spec("onnxruntime") is None:
        return True
    task, (channels, height, width) = CHILD_TASKS[job.task], job.in_shape[1:]
    pixels = torch.randint(0, 256, (3, channels, height, 2 * width if task.images else width)).float()
    with torch.no_grad():
        want = from_pixels(net, job)(pixels).float().numpy()
    runtime = importlib.import_module("onnxruntime")
    runtime.disable_telemetry_events()
    try:
        session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"pixels": pixels.numpy()})
    except Exception:  # noqa: BLE001  ONNX Runtime raises classes of its own, which derive from nothing else
        return False
    least = NEAR_LEVELS if task.images else _NEAR * np.abs(want).max()
    return bool(found.shape == want.shape and np.abs(found - want).max() <= least)


def from_pixels(net: nn.Module, job: Job) -> nn.Module:
    """The network as it is deployed: it takes levels from 0 to 255."""
    mean, std = (torch.tensor(values, dtype=torch.float32).view(-1, 1, 1) for values in (job.mean, job.std))
    kind = _FromPixels if bool(mean.any()) else _FromLevels
    return kind(net, mean, std).eval()


def _newer_graph(net: nn.Module, job: Job) -> bytes:
    """ONNX by the exporter that needs the package onnxscript."""
    onnx: Any = importlib.import_module("torch.onnx")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = "/"  # asked for at once, never written to: it has to be there
    file = io.BytesIO()
    with torch.no_grad():
        program = onnx.export(
            from_pixels(net, job),
            (torch.zeros(2, *job.in_shape[1:]),),
            dynamo=True,
            verbose=False,
            input_names=["pixels"],
            output_names=[CHILD_TASKS[job.task].output],
            dynamic_shapes=(dict.fromkeys(_open_axes(job), torch.export.Dim.DYNAMIC),),
        )
    program.save(file)
    return file.getvalue()


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in what takes longer."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"it took longer than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _graph(net: nn.Module, job: Job) -> bytes:
    """ONNX by the exporter that traces: it needs no package but torch, and no file."""
    onnx: Any = importlib.import_module("torch.onnx")
    onnx.register_custom_op_symbolic("aten::adaptive_avg_pool2d", _adaptive_average, ONNX_OPSET)
    onnx.register_custom_op_symbolic("aten::channel_shuffle", _channel_shuffle, ONNX_OPSET)
    torch.backends.mha.set_fastpath_enabled(False)
    output = CHILD_TASKS[job.task].output
    file = io.BytesIO()
    with torch.no_grad():
        onnx.export(
            from_pixels(net, job),
            (torch.zeros(2, *job.in_shape[1:]),),
            file,
            dynamo=False,
            opset_version=ONNX_OPSET,
            input_names=["pixels"],
            output_names=[output],
            dynamic_axes={"pixels": _open_axes(job), output: _open_axes(job)},
        )
    return file.getvalue()


def _open_axes(job: Job) -> dict[int, str]:
    """The axes of the images that may have any size: their number, and where images come out, height and width."""
    return {0: "n", 2: "height", 3: "width"} if CHILD_TASKS[job.task].images else {0: "n"}


def _adaptive_average(graph: Any, x: Any, output_size: Any) -> Any:
    """Adaptive average pooling as two products with matrices of means: torch's own export knows whole ratios only."""
    helper = importlib.import_module("torch.onnx.symbolic_helper")
    *batch, height, width = helper._get_tensor_sizes(x)
    wanted = helper._maybe_get_const(output_size, "is")
    if None in (height, width) and all(size == 1 for size in wanted):  # of images of any size
        return graph.op("GlobalAveragePool", x).setType(x.type().with_sizes([*batch, 1, 1]))
    rows, columns = (m or n for m, n in zip(wanted, (height, width), strict=True))
    down = graph.op("Constant", value_t=_means(height, rows))
    across = graph.op("Constant", value_t=_means(width, columns).T.contiguous())
    pooled = graph.op("MatMul", graph.op("MatMul", down, x), across)
    return pooled.setType(x.type().with_sizes([*batch, rows, columns]))


def _channel_shuffle(graph: Any, x: Any, groups: Any) -> Any:
    helper = importlib.import_module("torch.onnx.symbolic_helper")
    _, channels, height, width = helper._get_tensor_sizes(x)
    parts = helper._maybe_get_const(groups, "i")
    apart, together = (
        graph.op("Constant", value_t=torch.tensor(shape))
        for shape in ([-1, parts, channels // parts, height * width], [-1, channels, height, width])
    )
    turned = graph.op("Transpose", graph.op("Reshape", x, apart), perm_i=[0, 2, 1, 3])
    return graph.op("Reshape", turned, together).setType(x.type())


def _means(n: int, m: int) -> Tensor:
    """[m, n]: row i averages what adaptive pooling averages for its output i."""
    weights = torch.zeros(m, n)
    for i in range(m):
        start, end = i * n // m, math.ceil((i + 1) * n / m)
        weights[i, start:end] = 1 / (end - start)
    return weights


assert sys.byteorder == "little", "weights are written as they lie in memory"
