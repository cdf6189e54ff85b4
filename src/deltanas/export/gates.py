"""How the gates of exported mixtures used their experts, read from the weights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from deltanas.export.safetensors import read_floats
from deltanas.study import GateUse

_EXPERT = re.compile(r"^# Expert \d+: (.*)$", re.MULTILINE)


def gates_in(folder: Path) -> Iterator[GateUse]:
    """Of the exported networks of a folder that are mixtures with a gate, by name."""
    for weights in sorted(folder.glob("*/model.safetensors")):
        use, source = read_floats(weights, "gate.use"), weights.with_name("net.py")
        names = _EXPERT.findall(source.read_text("utf-8")) if source.is_file() else []
        if use is not None and use.ndim == 2 and use.shape == (2, len(names)):
            rows = zip(names, use[0].tolist(), use[1].tolist(), strict=True)
            yield GateUse(weights.parent.name, tuple(rows))
