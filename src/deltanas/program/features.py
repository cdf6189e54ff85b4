"""What texts say, as named numbers: of an edit, alike for every part of a program, and of a whole network."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from math import log, log1p

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


SIZES = ("lines", "nodes", "depth", "numbers", "widths", "mean width", "largest width")
"""Features of a network that tell its size alone."""
_NODES = frozenset(["ClassDef", "FunctionDef", "For", "If", "BinOp", "ListComp", "Return", "Assign"])
_NUMBERS = (1, 2, 3, 5, 7)
_WIDTH = 8
"""Least whole number that is taken for a width."""
_HYPERPARAMETERS = ("batch", "dropout", "momentum", "weight_decay")


def network_features(source: str) -> dict[str, float]:
    """Of a network's text, by name; what is not named is 0. Counts are logarithms of one more.

    `call:` what is called (layers, operations, optimizers), `keyword:` arguments, `node:` kinds of syntax,
    `number:` small numbers, `prm:` hyperparameters that the text names; and `SIZES`. A text that is no Python has its
    lines alone.
    """
    lines = {"lines": log1p(source.count("\n"))}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return lines
    counts: Counter[str] = Counter()
    numbers: list[float] = []
    deepest = 0
    for node, depth in _walked(tree):
        deepest = max(deepest, depth)
        counts["nodes"] += 1
        counts.update(_named(node))
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            numbers.append(abs(node.value))  # type: ignore[arg-type]  # one of the two
    widths = [number for number in numbers if isinstance(number, int) and _WIDTH <= number < 2**63]
    counts["numbers"], counts["widths"] = len(numbers), len(widths)
    counts["number:share"] = sum(0 < number < 1 for number in numbers)
    counts.update({f"number:{value}": numbers.count(value) for value in _NUMBERS})
    found = {name: log1p(count) for name, count in sorted(counts.items()) if count}
    found |= {"depth": float(deepest), "mean width": sum(map(log, widths)) / max(1, len(widths))}
    found |= {"largest width": log1p(max(widths, default=0))}
    found |= {f"prm:{name}": 1.0 for name in _HYPERPARAMETERS if re.search(rf"""["']{name}["']""", source)}
    return lines | found


def skeleton(source: str) -> str:
    """A hash of a text without its numbers, comments and layout: equal for networks that differ in sizes alone."""
    try:
        tree = ast.parse(source)
        for node, _ in _walked(tree):
            if isinstance(node, ast.Constant) and type(node.value) in (int, float):
                node.value = 0
        text = ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        text = re.sub(r"[\d\s]+", "", source)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _walked(tree: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """All nodes with their depth, without recursion: a text may nest deeper than Python's stack."""
    left = [(tree, 0)]
    while left:
        node, depth = left.pop()
        yield node, depth
        left += [(child, depth + 1) for child in ast.iter_child_nodes(node)]


def _named(node: ast.AST) -> Iterator[str]:
    kind = type(node).__name__
    if kind in _NODES:
        yield f"node:{kind}"
    if isinstance(node, ast.Call):
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name:
            yield f"call:{name}"
        yield from (f"keyword:{one.arg}" for one in node.keywords if one.arg)
