"""Where the figures of a run come from: versions, machine, settings and data."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from deltanas.archive import RunArchive
from deltanas.config import SearchConfig, TrainConfig
from deltanas.errors import DataError, UsageError
from deltanas.sandbox import cores

CONTENT = ("train", "validation", "test", "shape", "classes", "dropped", "sha256")
"""What is compared of a data set's record. What it tells besides, as names of classes, may be told anew."""


def manifest(config: SearchConfig, tier: str) -> dict[str, object]:
    """Where every figure of the run comes from."""
    commit, dirty = commit_of_checkout()
    return {
        "version": metadata.version("deltanas"),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        "torch": metadata.version("torch"),
        "device": config.train.device,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "parallel": _parallel(config.train),
        "tier": tier,
        "seed": config.seed,
        "config": config.model_dump(mode="json"),
    }


def _parallel(config: TrainConfig) -> str:
    """Trainings at a time and threads of each, on each machine."""
    threads = config.threads or 1
    return f"{config.workers or max(1, cores() // threads)} x {threads} threads"


def commit_of_checkout() -> tuple[str | None, bool | None]:
    """Commit of the checkout that this package runs from, and whether its files differ; None where it is installed."""
    here = Path(__file__).parents[1]
    try:
        tracked = _git(here, "ls-files", "--error-unmatch", "seams.py")
        return (
            (_git(here, "rev-parse", "HEAD"), bool(_git(here, "status", "--porcelain", ".")))
            if tracked
            else (None, None)
        )
    except (OSError, subprocess.CalledProcessError):
        return None, None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)  # noqa: S607
    return done.stdout.strip()


def stored_config(run: RunArchive) -> dict[str, object]:
    stored = run.manifest.get("config")
    if not isinstance(stored, dict):
        raise UsageError(f"run '{run.name}' is no search, its programs were imported", "name another --run")
    return stored


def require_same_data(run: RunArchive, data: Mapping[str, object]) -> None:
    """Raises DataError where the run was begun on other images, labels or splits."""
    begun = run.manifest.get("data", data)
    assert isinstance(begun, dict)
    first = next((key for key in CONTENT if begun.get(key) != data[key]), None)
    if first:
        then, now = run.manifest.get("version"), metadata.version("deltanas")
        otherwise = f" (deltanas {then}, which began it, may have read the same data otherwise)" if then != now else ""
        raise DataError(
            f"the data is not what the run was begun with: `{first}` was {begun.get(first)}, and is {data[first]}",
            f"put the data back as it was, or begin another run with --run{otherwise}",
        )
