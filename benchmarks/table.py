"""Beside a table of trainings that grows row by row: a file that says how they were measured."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from deltanas.errors import UsageError
from deltanas.whole import write_whole

Row = dict[str, object]


def stamp(path: Path, method: Mapping[str, object], tier: str) -> None:
    """How the figures come about; another way of measuring may not go on with the same files."""
    if path.exists():
        known = json.loads(path.read_text("utf-8"))
        if _said({key: known.get(key) for key in method}) != _said(json.loads(json.dumps(method))):
            raise UsageError(f"{path} says that the figures were measured otherwise", "give another folder")
        return
    machine = {"machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores", "tier": tier}
    write_whole(path, json.dumps({**method, **machine}, indent=1) + "\n", lasting=True)


def _said(value: object) -> object:
    """Without what is null: a version that knows more of a data set says it of each."""
    if isinstance(value, dict):
        return {key: _said(inner) for key, inner in value.items() if inner is not None}
    return value
