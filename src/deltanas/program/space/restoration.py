"""Edits of networks that give images back: how maps are made larger, and the loss between two images."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from deltanas.program.space.source import Change, Source, Span, given, literal_int

_LOSSES = ("MSELoss", "L1Loss")
_CHARBONNIER = '''class Charbonnier({module}.Module):
    """Mean of the root of squared differences plus a millionth (P. Charbonnier et al., 1994)."""

    def forward(self, input, target):
        return ((input - target) ** 2 + 1e-6).sqrt().mean()


'''
_MODES = ("nearest", "bilinear")
_SIDES = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "groups", "bias")


def restoration_changes(source: Source) -> Iterator[Change]:
    nn = source.alias("torch.nn")
    if nn is None:
        return
    for node in source.walk():
        if isinstance(node, ast.Call):
            match source.layer(node):
                case "Upsample":
                    yield from _modes(source, node)
                case "Sequential":
                    for one, two in pairwise(node.args):
                        yield from _pairs(source, nn, one, two)
                case "ConvTranspose2d":
                    yield from _transposed(source, nn, node)
    for node in source.walk(recipe=True):
        if isinstance(node, ast.Call) and not node.args and not node.keywords:
            yield from _losses(source, nn, node)


def _modes(source: Source, call: ast.Call) -> Iterator[Change]:
    arguments = given(call, ("size", "scale_factor", "mode"))
    mode = (arguments or {}).get("mode")
    if isinstance(mode, ast.Constant) and mode.value in _MODES and "align_corners" not in (arguments or {}):
        for other in _MODES:
            if other != mode.value:
                yield source.replaced("upsampling", mode, f'"{other}"')


def _pairs(source: Source, nn: str, one: ast.expr, two: ast.expr) -> Iterator[Change]:
    """Two layers, one behind the other, that make a map twice as high and wide."""
    if source.layer(one) == "Conv2d" and source.layer(two) == "PixelShuffle":
        sides = _sides(source, one)
        block = given(two, ("upscale_factor",)) if isinstance(two, ast.Call) else None
        if sides is None or block is None or literal_int(block.get("upscale_factor")) != 2:
            return
        inner, outer = sides
        if not outer.startswith("4 * "):
            return
        span = source.span(one)[0], source.span(two)[1]
        for layers in (_enlarged(nn, inner, outer.removeprefix("4 * ")), _strided(nn, inner, outer[4:])):
            yield Change("upsampling", ((*span, source.joined(layers, one)),))
    elif source.layer(one) == "Upsample" and source.layer(two) == "Conv2d":
        factor = given(one, ("size", "scale_factor", "mode")) if isinstance(one, ast.Call) else None
        sides = _sides(source, two)
        if sides is None or factor is None or literal_int(factor.get("scale_factor")) != 2:
            return
        span = source.span(one)[0], source.span(two)[1]
        for layers in (_shuffled(nn, *sides, kernel=3), _strided(nn, *sides)):
            yield Change("upsampling", ((*span, source.joined(layers, one)),))


def _transposed(source: Source, nn: str, call: ast.Call) -> Iterator[Change]:
    arguments = given(call, _SIDES)
    sides = _sides(source, call)
    if sides is None or arguments is None or set(arguments) != set(_SIDES[:4]):
        return
    if literal_int(arguments["kernel_size"]) == literal_int(arguments["stride"]) == 2:
        for layers in (_shuffled(nn, *sides, kernel=1), _enlarged(nn, *sides)):
            yield source.replaced("upsampling", call, f"{nn}.Sequential({', '.join(layers)})")


def _sides(source: Source, call: ast.expr) -> tuple[str, str] | None:
    """What goes in and what comes out of a convolution without groups, as text."""
    arguments = given(call, _SIDES) if isinstance(call, ast.Call) else None
    if arguments is None or not {"in_channels", "out_channels"} <= set(arguments) or "groups" in arguments:
        return None
    return source.of(arguments["in_channels"]), source.of(arguments["out_channels"])


def _enlarged(nn: str, inner: str, outer: str) -> list[str]:
    convolution = f"{nn}.Conv2d({inner}, {outer}, kernel_size=3, padding=1)"
    return [f'{nn}.Upsample(scale_factor=2, mode="nearest")', convolution]


def _shuffled(nn: str, inner: str, outer: str, kernel: int) -> list[str]:
    times = outer if outer.isidentifier() or outer.isdigit() or outer.endswith("]") else f"({outer})"
    padding = f", padding={kernel // 2}" if kernel > 1 else ""
    return [f"{nn}.Conv2d({inner}, 4 * {times}, kernel_size={kernel}{padding})", f"{nn}.PixelShuffle(2)"]


def _strided(nn: str, inner: str, outer: str) -> list[str]:
    return [f"{nn}.ConvTranspose2d({inner}, {outer}, kernel_size=2, stride=2)"]


def _losses(source: Source, nn: str, call: ast.Call) -> Iterator[Change]:
    """The mean squared error, the mean absolute one, or Charbonnier's between them."""
    head, _, name = source.dotted(call.func).rpartition(".")
    own = isinstance(call.func, ast.Name) and call.func.id == "Charbonnier" and "Charbonnier" in source.classes
    if not own and (head != "torch.nn" or name not in _LOSSES):
        return
    for other in _LOSSES:
        if own or other != name:
            yield source.replaced("loss", call, f"{nn}.{other}()", "recipe")
    if not own:
        yield Change("loss", ((*source.span(call), "Charbonnier()"), *_inserted(source, nn)), "recipe")


def _inserted(source: Source, nn: str) -> tuple[Span, ...]:
    """The class before the first one of the program, where it is not there yet."""
    if "Charbonnier" in source.classes:
        return ()
    first = min((node for node in source.classes.values()), key=lambda node: node.lineno)
    start = source.span(first)[0]
    return ((start, start, _CHARBONNIER.format(module=nn)),)
