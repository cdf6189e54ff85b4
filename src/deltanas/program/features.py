"""What the text of an edit says of it, as named counts: pure text, alike for every part of a program."""

from __future__ import annotations

import re
from collections import Counter

from deltanas.program.composite import kinds_of
from deltanas.program.program import Part

_TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?(?:e-?\d+)?")
_MOST = 3
"""A token that comes or goes more often counts as often as this."""


def edit_features(old: str, new: str, kind: str = "", part: Part = "net") -> dict[str, int]:
    """Of the edit that puts `new` in the place of `old`, by name; what is not named is 0.

    `token:` counts how often a name or number came, less how often it went; `kind:` and `part:` are those of the edit.

    old, new: whole texts or the changed lines alone; both give the same. kind: of a composite edit, all of its kinds.
    """
    moved = Counter(_TOKEN.findall(new))
    moved.subtract(_TOKEN.findall(old))
    found = {f"token:{name}": max(-_MOST, min(_MOST, count)) for name, count in sorted(moved.items()) if count}
    return found | {f"part:{part}": 1} | {f"kind:{name}": 1 for name in kinds_of(kind) if name}
