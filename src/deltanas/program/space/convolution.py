"""Edits of a convolution that keep its widths: dilation with its padding, stride, groups."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from deltanas.program.space.layers import CONV
from deltanas.program.space.source import Change, Source, Span, given, literal_int

_GROUPS = ("2", "4")


def convolution_changes(source: Source) -> Iterator[Change]:
    for node in source.walk():
        if isinstance(node, ast.Call) and source.layer(node) in ("Conv1d", "Conv2d"):
            arguments = given(node, CONV)
            if arguments is not None:
                yield from _dilation(source, node, arguments)
                yield from _stride(source, node, arguments)
                yield from _groups(source, node, arguments)


def _dilation(source: Source, call: ast.Call, arguments: dict[str, ast.expr]) -> Iterator[Change]:
    """Twice the reach with the padding that keeps the size of the output, or a dilation taken back."""
    kernel = literal_int(arguments.get("kernel_size"))
    dilation = literal_int(arguments.get("dilation", ast.Constant(1)))
    padding = literal_int(arguments.get("padding", ast.Constant(0)))
    if kernel is None or kernel < 3 or kernel % 2 == 0 or dilation is None or padding is None:
        return
    for other in (1, 2, 3):
        moved = padding + (other - dilation) * (kernel - 1) // 2
        if other != dilation and moved >= 0:
            spans = _set(source, call, arguments, {"padding": str(moved), "dilation": str(other)})
            yield Change("dilation", spans)


def _stride(source: Source, call: ast.Call, arguments: dict[str, ast.expr]) -> Iterator[Change]:
    """Half or twice the size of the map that follows: what can't take it fails its check."""
    stride = literal_int(arguments.get("stride", ast.Constant(1)))
    if stride in (1, 2):
        yield Change("stride", _set(source, call, arguments, {"stride": str(3 - stride)}))


def _groups(source: Source, call: ast.Call, arguments: dict[str, ast.expr]) -> Iterator[Change]:
    sides = [arguments.get(side) for side in ("in_channels", "out_channels")]
    if sides[0] is None or sides[1] is None:
        return
    texts = [source.of(side) for side in sides if side is not None]
    groups = source.of(arguments["groups"]) if "groups" in arguments else "1"
    others = ["1", *_GROUPS, *([texts[0]] if texts[0] == texts[1] else [])]
    for other in others:
        if other != groups:
            yield Change("groups", _set(source, call, arguments, {"groups": other}))


def _set(source: Source, call: ast.Call, arguments: dict[str, ast.expr], values: dict[str, str]) -> tuple[Span, ...]:
    """A call's arguments with these values, the new ones at its end."""
    spans = [(*source.span(arguments[name]), text) for name, text in values.items() if name in arguments]
    new = ", ".join(f"{name}={text}" for name, text in values.items() if name not in arguments)
    if new:
        spans.append(source.appended(call, new))
    return tuple(spans)
