"""Edits that take the bias from a linear layer."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from deltanas.program.space.source import Change, Source


def bias_changes(source: Source) -> Iterator[Change]:
    for node in source.walk():
        if isinstance(node, ast.Call) and source.layer(node) == "Linear" and not node.keywords:
            _, end = source.span(node)
            yield Change("bias", ((end - 1, end - 1, ", bias=False"),))
