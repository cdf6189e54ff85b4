"""Names of Ray that its documentation does not promise. No other module uses such a name."""

from __future__ import annotations

from typing import Any

from deltanas.errors import LibraryError

LIBRARY, TESTED = "ray", "2.60.0"
TEMP_DIR = "_temp_dir"
"""The argument of `ray.init` that names the folder of a new cluster's sockets."""


def silence_workers(ray: Any) -> None:
    """Keep Ray from printing to stdout what it has to say of lost workers: only data belongs there."""
    try:
        worker = ray._private.worker
        if not isinstance(worker._worker_logs_enabled, bool):
            raise AttributeError
    except AttributeError as error:
        raise LibraryError(LIBRARY, "_private.worker._worker_logs_enabled", TESTED) from error
    worker._worker_logs_enabled = False
