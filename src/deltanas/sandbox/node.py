"""One machine of a cluster: what runs there beside the fork server. It never gets the labels that scores come from."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from importlib import metadata
from typing import Any, NamedTuple

from deltanas.sandbox.connect import import_ray
from deltanas.sandbox.host import ForkServer
from deltanas.sandbox.pool import laid_down
from deltanas.sandbox.supervise import Ended, Limits, run_child
from deltanas.train.job import Job


class Hello(NamedTuple):
    """tier: of the sandbox there. versions: of what an accuracy depends on."""

    tier: str
    versions: dict[str, str]


def versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("deltanas", "torch")}


class Node:
    """A fork server, the data of the splits asked for so far, and children several at a time.

    Its methods may be called from several threads. It ends with its process, and its children with it.
    """

    def __init__(self) -> None:
        self._server = ForkServer()
        self._data: dict[str | None, int] = {}
        self._lock, self._loading = threading.Lock(), threading.Lock()
        self._stopped: set[int] = set()
        self._stop_fd = os.eventfd(0)

    def hello(self) -> Hello:
        """Start the fork server. Raises SandboxError."""
        return Hello(self._server.tier, versions())

    def run(
        self, batch: int, slot: int, job: Job, split: str | None, limits: Limits, most: int, arrays: Sequence[Any]
    ) -> Ended:
        """Run a job in a child, until the batch is stopped. Raises SandboxError, and Ray's own errors.

        arrays: references to those of the split. They are fetched once: the node keeps what it laid down.
        """
        with self._loading:
            if split not in self._data:
                self._data[split] = laid_down(import_ray().get(list(arrays)))
        with self._lock:
            if batch in self._stopped:
                return Ended("stopped", -signal.SIGKILL, 0.0, 0.0, b"", "")
            stop_fd = os.dup(self._stop_fd)
        try:
            return run_child(self._server, job, self._data[split], limits, due=most, slot=slot, stop_fd=stop_fd)
        finally:
            os.close(stop_fd)

    def stop(self, batch: int) -> None:
        """Kill the children that run, and those of this batch that are still to come."""
        with self._lock:
            self._stopped.add(batch)
            os.eventfd_write(self._stop_fd, 1)
            os.close(self._stop_fd)
            self._stop_fd = os.eventfd(0)
