"""Edits that take layers away: out of a chain of layers, or out of the forward pass."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from deltanas.program.space.layers import FUNCTIONAL_ACTIVATIONS
from deltanas.program.space.source import Change, Source
from deltanas.program.space.structure import chain_of
from deltanas.program.space.wiring import keeps_shape, made_by


def removal_changes(source: Source) -> Iterator[Change]:
    for node in source.walk():
        if isinstance(node, ast.Call) and (source.layer(node) or _block(source, node)):
            chain = chain_of(source, node)
            kept = source.layer(node) not in ("Conv2d", "Linear") or keeps_shape(source, node)
            if chain and len(chain) > 1 and kept and node is not source.classifier:
                yield _without(source, chain, node)
        elif isinstance(node, ast.Assign) and source.function_of(node) == "forward":
            yield from _statement(source, node)


def _block(source: Source, call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in source.classes


def _without(source: Source, chain: list[ast.expr], node: ast.expr) -> Change:
    """The chain without one element, and without the comma and the line break behind it."""
    place = chain.index(node)
    if place + 1 < len(chain):
        start, end = source.span(node)[0], source.span(chain[place + 1])[0]
    else:
        start, end = source.span(chain[place - 1])[1], source.span(node)[1]
    return Change("remove", ((start, end, ""),))


def _statement(source: Source, node: ast.Assign) -> Iterator[Change]:
    """`x = self.f(x)` or `x = F.relu(x)` on a line of its own: x goes on as it is."""
    call = node.value
    if not isinstance(call, ast.Call) or len(call.args) != 1 or len(node.targets) != 1:
        return
    target, argument = node.targets[0], call.args[0]
    same = isinstance(target, ast.Name) and isinstance(argument, ast.Name) and target.id == argument.id
    head, _, name = source.dotted(call.func).rpartition(".")
    function = head in ("torch", "torch.nn.functional") and name in FUNCTIONAL_ACTIVATIONS
    made = made_by(source, call)
    module = made is not None and (not source.layer(made) or keeps_shape(source, made))
    span = source.without(node)
    if same and (function or module) and span:
        yield Change("remove", (span,))
