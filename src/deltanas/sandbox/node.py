"""One machine of a cluster: what runs there beside the fork server. It never gets the labels that scores come from."""

from __future__ import annotations

import os
import signal
import threading
from importlib import metadata
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
        self._lock = threading.Lock()
        self._stopped: set[int] = set()
        self._stop_fd = os.eventfd(0)

    def hello(self) -> Hello:
        """Start the fork server. Raises SandboxError."""
        return Hello(self._server.tier, versions())

    def run(
        self,
        batch: int,
        slot: int,
        job: Job,
        split: str | None,
        limits: Limits,
        most: int,
        *arrays: NDArray[np.generic],
    ) -> Ended:
        """Run a job in a child, until the batch is stopped. `arrays` are those of the split. Raises SandboxError."""
        with self._lock:
            if batch in self._stopped:
                return Ended("stopped", -signal.SIGKILL, 0.0, 0.0, b"", "")
            if split not in self._data:
                self._data[split] = laid_down(arrays)
            data_fd = self._data[split]
            stop_fd = os.dup(self._stop_fd)
        try:
            return run_child(self._server, job, data_fd, limits, due=most, slot=slot, stop_fd=stop_fd)
        finally:
            os.close(stop_fd)

    def stop(self, batch: int) -> None:
        """Kill the children that run, and those of this batch that are still to come."""
        with self._lock:
            self._stopped.add(batch)
            os.eventfd_write(self._stop_fd, 1)
            os.close(self._stop_fd)
            self._stop_fd = os.eventfd(0)
