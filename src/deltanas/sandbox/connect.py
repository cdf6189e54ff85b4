"""The way to a Ray cluster: one that runs, or one on this machine's loopback that ends with its user."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from typing import Any

from deltanas.errors import SandboxError, UsageError
from deltanas.sandbox import compat
from deltanas.sandbox.pool import cores

_STORE_BYTES = 256 << 20
"""Of shared memory for the object store, on top of the data."""
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_REACH_SECONDS = 5.0


def import_ray() -> Any:
    """The module. Raises SandboxError where it is not installed."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise SandboxError(f"Ray can't be imported: {error}", "pip install 'deltanas[ray]'") from error


@contextlib.contextmanager
def cluster(address: str | None, data_bytes: int) -> Iterator[Any]:
    """The module `ray`, connected to the cluster at `address` ("auto": the one that this machine belongs to).

    Without an address a cluster is started here, and stopped at the end. A connection that the process has already is
    used as it is, and kept.

    Raises:
        SandboxError: no Ray, no such cluster, or a new cluster would stand open.
        UsageError: an address of another kind.
    """
    if address and "://" in address:
        raise UsageError(f"--address {address}: Ray Client is not used", "run this on a node of the cluster: HOST:PORT")
    with contextlib.ExitStack() as stack:
        private = {} if address or _connected() else _private_cluster()
        stack.enter_context(_environment(_QUIET | private))
        ray = import_ray()
        if address and address != "auto":
            reach(address)
        if not ray.is_initialized():
            options = {"address": address} if address else _started_here(stack, data_bytes)
            stack.callback(ray.shutdown)
            _connect(ray, options)
        yield ray


def reach(address: str) -> None:
    """Raises SandboxError where nothing listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        raise SandboxError(
            f"no Ray cluster at {address}: {error}", "is it up? `ray start --head` says its address"
        ) from None


def _connect(ray: Any, options: dict[str, Any]) -> None:
    try:
        ray.init(log_to_driver=False, logging_level="error", namespace="deltanas", **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hint = "start one with `ray start --head`, or leave --address out" if "address" in options else ""
        raise SandboxError(f"no connection to a Ray cluster: {first}", hint) from error
    compat.silence_workers(ray)


def _started_here(stack: contextlib.ExitStack, data_bytes: int) -> dict[str, Any]:
    folder = tempfile.mkdtemp(prefix="deltanas-")  # short: the paths of its sockets must not pass 107 bytes
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return {
        "address": "local",
        "num_cpus": cores(),
        "include_dashboard": False,
        "object_store_memory": data_bytes + _STORE_BYTES,
        compat.TEMP_DIR: folder,
    }


def _connected() -> bool:
    ray: Any = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


@cache
def _private_cluster() -> dict[str, str]:
    """For a cluster of our own: without these Ray takes commands from anybody who reaches its ports.

    Ray reads them once, as it is imported. Raises SandboxError where it was imported without them.
    """
    if sys.modules.get("ray"):
        raise SandboxError(
            "Ray was imported before, so a cluster started now would obey anybody who reaches this machine's ports",
            "start the search in a process that has not imported ray; or call ray.init() first: that cluster is used",
        )
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # the one switch that makes it listen on the loopback only
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
