"""Edits of a width with all its producers and consumers, named or not: each is one edit, often of several places."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from deltanas.program.space.flow import Follower
from deltanas.program.space.source import Change, Source, Span, given, literal_int
from deltanas.program.space.tables import SAME, SIDES, Width

_FACTORS = ((1, 2), (3, 2), (2, 1))
LEAST = 4
"""No literal width is made smaller."""
_OWN = re.compile(r"(in|out)_?(channels|features|planes|dim)|num_features")
"""Parameters of a program's own layers that hold a width."""
_SHAPES = ("in_shape", "out_shape", "num_classes", "n_classes", "prm")


def coupled_changes(source: Source) -> Iterator[Change]:
    if source.alias("torch.nn") is None:
        return
    for width in Follower(source).widths():
        for factor in _FACTORS:
            spans = _resized(source, width, factor)
            if spans:
                yield Change("width", spans)
    yield from _computed(source)


def _resized(source: Source, width: Width, factor: tuple[int, int]) -> tuple[Span, ...]:
    """Every argument of the width multiplied; those that hold a sum with it, moved by the difference."""
    spans: dict[tuple[int, int], str] = {}
    for site in width.sites:
        text = scaled(source, site, factor)
        if text is None:
            return ()
        spans[source.span(site)] = text
    for site, times in Counter(width.sums).items():
        value, part = literal_int(site), literal_int(width.sites[0])
        if value is not None and part is not None:
            spans[source.span(site)] = str(value + times * (part * factor[0] // factor[1] - part))
        elif factor == (2, 1):
            spans[source.span(site)] = " + ".join([source.of(site), *[source.of(width.sites[0])] * times])
        else:
            return ()
    ordered = sorted(spans)
    if any(one[1] > two[0] for one, two in pairwise(ordered)):
        return ()
    return tuple((*place, text) for place, text in spans.items())


def scaled(source: Source, node: ast.expr, factor: tuple[int, int]) -> str | None:
    """The text of a width times a factor: a number where it is one, else the program's own expression in a product."""
    times, over = factor
    value = literal_int(node)
    if value is not None:
        changed = value * times // over
        return str(changed) if value > 1 and changed >= min(LEAST, value) else None
    if not any(isinstance(one, ast.Name | ast.Attribute) for one in ast.walk(node)):
        try:
            return _scaled_product(source, node, factor)
        except ValueError:
            return None
    if any(word in source.of(node) for word in _SHAPES):
        return None
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
    text = source.of(node) if simple else f"({source.of(node)})"
    return f"{times} * {text}" if over == 1 else f"{text} // {over}" if times == 1 else f"{times} * {text} // {over}"


def _scaled_product(source: Source, node: ast.expr, factor: tuple[int, int]) -> str | None:
    """`256 * 6 * 6`: its first number times the factor."""
    first = node
    while isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mult):
        first = first.left
    text = scaled(source, first, factor) if literal_int(first) is not None else None
    if text is None or not isinstance(node, ast.BinOp):
        return None
    _, end = source.span(first)
    return text + source.text[end : source.span(node)[1]]


def moved(source: Source, nodes: Sequence[ast.expr]) -> Iterator[Change]:
    """All of these widths by one factor."""
    for factor in _FACTORS:
        texts = [scaled(source, node, factor) for node in nodes]
        spans = tuple((*source.span(node), text) for node, text in zip(nodes, texts, strict=True) if text is not None)
        if len(spans) == len(nodes):
            yield Change("width", spans)


def _computed(source: Source) -> Iterator[Change]:
    """A name that is computed once, and that at least two layers take for their width."""
    for function in (node for node in source.walk() if isinstance(node, ast.FunctionDef)):
        used = Counter(
            node.id for site in width_sites(source, function) for node in ast.walk(site) if isinstance(node, ast.Name)
        )
        assigned: dict[str, list[ast.expr]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                assigned.setdefault(node.targets[0].id, []).append(node.value)
        for name, values in assigned.items():
            computed = isinstance(values[0], ast.BinOp | ast.Call | ast.Name) and not source.layer(values[0])
            if len(values) == 1 and used[name] > 1 and computed:
                for factor in _FACTORS:
                    text = scaled(source, values[0], factor)
                    if text is not None and source.function_of(function) != "forward":
                        yield source.replaced("width", values[0], text)


def width_sites(source: Source, within: ast.AST) -> Iterator[ast.expr]:
    """The arguments of layers that hold a width; of the program's own layers too, by the names of their parameters."""
    for node in ast.walk(within):
        if isinstance(node, ast.Call):
            name = source.dotted(node.func).rpartition(".")[2]
            wanted: Iterable[str] = SIDES[name][:2] if name in SIDES else (SAME[name],) if name in SAME else ()
            order = SIDES.get(name) or (("num_groups", "num_channels") if name == "GroupNorm" else tuple(wanted))
            if isinstance(node.func, ast.Name) and node.func.id in source.classes:
                order = tuple(source.parameters.get(node.func.id, ()))
                wanted = filter(_OWN.fullmatch, order)
            arguments = given(node, (*order, *"abcdefgh")) or {}
            yield from (arguments[key] for key in wanted if key in arguments and "kernel" not in key)
