"""Which language model, and where its weights are kept: `smollm2`, `hub:OWNER/NAME`, `gguf:PATH` or `path:DIR`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import platformdirs

from deltanas.errors import UsageError

Kind = Literal["smollm2", "hub", "gguf", "path"]
FORMS = "smollm2, hub:OWNER/NAME, gguf:PATH, path:DIR"


@dataclass(frozen=True, slots=True)
class Spec:
    """A model to open. `where` is the repository, the file or the folder; "" for the embedded one."""

    kind: Kind
    where: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.where}" if self.where else self.kind


def parse_spec(text: str) -> Spec:
    """Read a model's spec. Raises UsageError, naming the known forms, where it is none of them."""
    kind, _, where = text.partition(":")
    well_formed = {
        "smollm2": text == "smollm2",
        "hub": where.count("/") == 1 and all(where.split("/")),
        "gguf": bool(where),
        "path": bool(where),
    }
    if kind not in get_args(Kind) or not well_formed[kind]:
        raise UsageError(f"Unknown language model {text!r}.", f"Known forms: {FORMS}.")
    return Spec(cast("Kind", kind), where)


def cache_folder() -> Path:
    """Where dequantised weights are kept: the environment's DELTANAS_CACHE, or where this system keeps caches."""
    return Path(os.environ.get("DELTANAS_CACHE") or platformdirs.user_cache_dir("deltanas"))
