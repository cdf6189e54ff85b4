"""Wider moves: one more stage, and the residual block of another family, where a map's width is known."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from deltanas.program.net_class import net_class
from deltanas.program.space.layers import ACTIVATION_LAYERS, CONV, NORMS
from deltanas.program.space.source import Change, Source, given
from deltanas.program.space.structure import added, chain_of, following, wrapped

_WIDTHS = ("width", "dim", "channels", "features")
"""Names of the first parameter of a block that leaves as many channels as it takes."""
_FACTOR = re.compile(r"[\w.]+|\d+ \* [\w.]+")

_PAIR = """class ResidualPair({nn}.Module):
    def __init__(self, dim):
        super().__init__()
        self.body = {nn}.Sequential(
            {nn}.Conv2d(dim, dim, kernel_size=3, padding=1, bias=False),
            {nn}.BatchNorm2d(dim),
            {nn}.ReLU(),
            {nn}.Conv2d(dim, dim, kernel_size=3, padding=1, bias=False),
            {nn}.BatchNorm2d(dim),
        )
        self.act = {nn}.ReLU()

    def forward(self, x):
        return self.act(x + self.body(x))


"""
_INVERTED = """class InvertedResidual({nn}.Module):
    def __init__(self, dim, expansion=3):
        super().__init__()
        hidden = expansion * dim
        self.body = {nn}.Sequential(
            {nn}.Conv2d(dim, hidden, kernel_size=1, bias=False),
            {nn}.BatchNorm2d(hidden),
            {nn}.ReLU6(),
            {nn}.Conv2d(hidden, hidden, kernel_size=3, padding=1, groups=hidden, bias=False),
            {nn}.BatchNorm2d(hidden),
            {nn}.ReLU6(),
            {nn}.Conv2d(hidden, dim, kernel_size=1, bias=False),
            {nn}.BatchNorm2d(dim),
        )

    def forward(self, x):
        return x + self.body(x)


"""
_LARGE = """class LargeKernelBlock({nn}.Module):
    def __init__(self, dim, expansion=3):
        super().__init__()
        self.body = {nn}.Sequential(
            {nn}.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim),
            {nn}.GroupNorm(1, dim),
            {nn}.Conv2d(dim, expansion * dim, kernel_size=1),
            {nn}.GELU(),
            {nn}.Conv2d(expansion * dim, dim, kernel_size=1),
        )

    def forward(self, x):
        return x + self.body(x)


"""
_BLOCKS = {"ResidualPair": _PAIR, "InvertedResidual": _INVERTED, "LargeKernelBlock": _LARGE}
"""The blocks of residual networks, of MobileNetV2 and of ConvNeXt (with a norm that takes maps as they are)."""


def stage_changes(source: Source) -> Iterator[Change]:
    """A stage halves the map, computes at twice the width and projects back, so what follows stays as it is."""
    nn = source.alias("torch.nn")
    if nn is None:
        return
    for node, width, block in _spots(source):
        twice = f"2 * {width}" if _FACTOR.fullmatch(width) else f"2 * ({width})"
        down = f"{nn}.Conv2d({width}, {twice}, kernel_size=3, stride=2, padding=1, bias=False)"
        inner = [block.replace("\0", twice)] if block else [f"{nn}.ReLU()"]
        texts = [down, f"{nn}.BatchNorm2d({twice})", *inner, f"{nn}.Conv2d({twice}, {width}, kernel_size=1)"]
        if change := _put(source, nn, "stage", node, texts):
            yield change
        first = min(source.classes.values(), key=lambda one: one.lineno)
        start = source.span(first)[0]
        for name, text in _BLOCKS.items():
            known = () if name in source.classes else ((start, start, text.format(nn=nn)),)
            if not first.decorator_list and (change := _put(source, nn, "block", node, [f"{name}({width})"])):
                yield Change(change.kind, (*known, *change.spans))


def _put(source: Source, nn: str, kind: str, node: ast.expr, texts: list[str]) -> Change | None:
    """The layers right after `node`."""
    inside = chain_of(source, node) is not None
    return added(source, kind, node, texts) if inside else wrapped(source, nn, kind, node, texts)


def _spots(source: Source) -> Iterator[tuple[ast.expr, str, str]]:
    """(the expression after which a map has a known width, that width, the block there at the width "\\0", if any).

    All are of the network itself: inside a block a map that gets smaller fits no sum.
    """
    net = net_class(source.tree)
    for node in ast.walk(net) if net else ():
        if not isinstance(node, ast.Call) or isinstance(source.parents.get(node), ast.comprehension | ast.ListComp):
            continue
        if source.layer(node) == "Conv2d":
            arguments = given(node, CONV)
            if arguments and "out_channels" in arguments:
                yield _last(source, node), source.of(arguments["out_channels"]), ""
        elif isinstance(node.func, ast.Name) and node.func.id in source.classes:
            yield from _block(source, node, node.func.id)


def _last(source: Source, node: ast.expr) -> ast.expr:
    """The last of the norm and the activation that follow a layer in its chain; the layer itself where none does."""
    chain = chain_of(source, node)
    while (
        chain and (behind := following(chain, node)) is not None and source.layer(behind) in NORMS | ACTIVATION_LAYERS
    ):
        node = behind
    return node


def _block(source: Source, node: ast.Call, name: str) -> Iterator[tuple[ast.expr, str, str]]:
    names = tuple(source.parameters.get(name, ()))
    arguments = given(node, names)
    convolves = any(source.layer(one) == "Conv2d" for one in ast.walk(source.classes[name]))
    if not arguments or not convolves or names[0] not in arguments:
        return
    texts = {key: source.of(value) for key, value in arguments.items()}
    outer = next((key for key in names if key.startswith(("out", "planes")) and key in texts), None)
    if outer is None and names[0] not in _WIDTHS:
        return
    width = texts[outer or names[0]]
    changed = texts | {key: "1" for key in texts if "stride" in key} | {names[0]: "\0", outer or names[0]: "\0"}
    keywords = {keyword.arg for keyword in node.keywords}
    listed = [f"{key}={text}" if key in keywords else text for key, text in changed.items()]
    yield node, width, f"{name}({', '.join(listed)})"
