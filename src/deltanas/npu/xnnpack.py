"""XNNPACK's partition of a program, by ExecuTorch's own partitioner. Runs in the sandbox.

The job is JSON: that of `deltanas.train.job`, and height and width of the image. The answer begins as theirs does; the
bytes behind its line are JSON: `nodes` ([name, operator, where]), `partitions`, `traffic` (null), `size`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import operator
import os
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from deltanas.train import child
from deltanas.train.export import begun, from_pixels
from deltanas.train.job import Job

_EXIR = "executorch.exir"
_PARTITIONER = "executorch.backends.xnnpack.partition.xnnpack_partitioner"


class _PlacedError(Exception):
    """Ends the lowering once the partition is known: to write XNNPACK's own form takes another process and files."""


def warm() -> None:
    child.warm()
    for name in (_EXIR, _PARTITIONER):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def main(job_fd: int, data_fd: int, answer_fd: int) -> None:  # noqa: ARG001
    """Answer over `answer_fd`, whatever the program does."""

    def work() -> tuple[dict[str, object], bytes]:
        asked = json.loads(os.pread(job_fd, os.fstat(job_fd).st_size, 0))
        job = Job.from_bytes(json.dumps(asked["job"]).encode())
        torch.set_num_threads(job.threads)
        found = placed(from_pixels(begun(job), job), job.in_shape[1], asked["size"])
        return {}, json.dumps(found).encode()

    child.answer(answer_fd, work)


def placed(net: nn.Module, channels: int, size: tuple[int, int]) -> dict[str, object]:
    """Where the operators of the network run that ExecuTorch makes of it, for one image."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = "/"  # asked for, never written to: it has to be there
    exir: Any = importlib.import_module(_EXIR)
    xnnpack: Any = importlib.import_module(_PARTITIONER)
    rows: list[list[str]] = []
    tags: set[str] = set()

    class Watched(xnnpack.XnnpackPartitioner):  # type: ignore[misc]
        def partition(self, program: Any) -> Any:
            told = super().partition(program)
            tags.update(told.partition_tags)
            rows.extend(_rows(told.tagged_exported_program.graph_module, tags))
            raise _PlacedError

    with torch.no_grad():
        program = torch.export.export(net, (torch.zeros(1, channels, *size),))
        with contextlib.suppress(_PlacedError):
            exir.to_edge_transform_and_lower(program, partitioner=[Watched()])
    return {"nodes": rows, "partitions": len(tags), "traffic": None, "size": list(size)}


def _rows(graph: Any, tags: set[str]) -> Iterator[list[str]]:
    """Of all operators but those that take one of several results."""
    for node in graph.graph.nodes:
        if node.op == "call_function" and node.target is not operator.getitem:
            where = "delegate" if node.meta.get("delegation_tag") in tags else "cpu"
            yield [node.name, node.target.__name__, where]
