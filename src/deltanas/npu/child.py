"""One check in its own process: read the model, compile it, answer. Nothing that comes out of here is trusted.

The job is JSON: the target, the size. The data is the ONNX file. The answer is a compiler's log, if it has one, and
one line of JSON at its end.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from collections.abc import Mapping
from typing import Any

from deltanas.npu import qnn, vela
from deltanas.npu.flat import Net
from deltanas.npu.lowering import fixed, lowered, opened
from deltanas.npu.report import Where

_WARM = (
    "numpy", "onnx", "onnx.reference", "onnx.shape_inference", "flatbuffers", "ethosu.regor", "importlib.resources",
)  # fmt: skip
END = b"\n\x00answer\n"
"""Stands before the line of the answer."""


def warm() -> None:
    for name in _WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    qnn.preload()


def main(job_fd: int, data_fd: int, answer_fd: int) -> None:
    """Answer over `answer_fd`, whatever the model does."""
    try:
        job = json.loads(os.pread(job_fd, os.fstat(job_fd).st_size, 0))
        raw = os.pread(data_fd, os.fstat(data_fd).st_size, 0)
        found = checked(raw, job, answer_fd)
    except MemoryError as error:
        found = {"failed": "memory", "reason": str(error)}
    except BaseException as error:  # noqa: BLE001  libraries raise what they like on a file that a program made
        found = {"failed": "error", "reason": f"{type(error).__name__}: {error}"}
    rest = memoryview(END + json.dumps(found).encode())
    while rest:
        rest = rest[os.write(answer_fd, rest) :]


def checked(raw: bytes, job: Mapping[str, Any], log_fd: int) -> dict[str, object]:
    """log_fd: where a compiler's log goes that tells more than it answers."""
    model = fixed(raw, tuple(job["size"]) if job["size"] else None)
    traffic = None
    if job["runs"] == "qnn":
        os.dup2(log_fd, 2)
        where = qnn.compiled(model.SerializeToString(), job["options"])
    else:
        net = lowered(model)
        outside = {place for place, one in enumerate(net.operators) if one.code not in job["operators"]}
        if job["runs"] == "vela":
            outside, traffic = vela.compiled(net, job["options"])
        where = _where(net, outside)
    given = [(node.name, node.op_type) for node in opened(raw).graph.node]
    nodes = [[name, op, where.get(name, "folded")] for name, op in given if op != "Constant"]
    return {"nodes": nodes, "traffic": traffic, "size": _size(model)}


def _size(model: Any) -> list[int]:
    """Height and width of the image that goes in; none of what is no image."""
    dims = [one.type.tensor_type.shape.dim for one in model.graph.input]
    return next(([one.dim_value for one in dim[2:]] for dim in dims if len(dim) == 4), [])


def _where(net: Net, outside: set[int]) -> dict[str, Where]:
    """A node that became several operators is on the NPU if all of them are."""
    found: dict[str, Where] = {}
    for place, one in enumerate(net.operators):
        if place in outside:
            found[one.node] = "cpu"
        else:
            found.setdefault(one.node, "npu")
    return found
