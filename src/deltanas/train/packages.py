"""What a program may import besides the standard library."""

from __future__ import annotations

from importlib import metadata
from importlib.util import find_spec

OFFERED = ("torch", "torchvision", "numpy", "einops", "sympy", "networkx")
"""Those that are told to whoever asks for another. Not scikit-learn, which holds the labels of `digits`."""
NEEDED = (
    "torchgen", "functorch", "filelock", "mpmath", "typing_extensions", "onnx", "onnxruntime", "ml_dtypes", "google",
    "onnxscript", "onnx_ir", "packaging", "flatbuffers", "ethosu", "onnxruntime_qnn",
)  # fmt: skip
"""What those need, and what an export and the compilers of NPUs need."""


def offered() -> list[str]:
    """Those of `OFFERED` that are there."""
    return [name for name in OFFERED if find_spec(name)]


def versions() -> dict[str, str]:
    """Of all that a program may import and that is there: its checks depend on it."""
    return {name: _version(name) for name in OFFERED if find_spec(name)}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
