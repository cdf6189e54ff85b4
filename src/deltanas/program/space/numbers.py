"""All the numbers that widths come from, moved together, wherever they stand: in calls, lists, defaults.

Either the numbers of one value move, or all of them by one factor. The first keeps equal what was equal, the second
keeps sums and products too: so neither needs to know how the data flows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from deltanas.program.space.coupled import LEAST, moved, width_sites
from deltanas.program.space.source import RECIPE_FUNCTIONS, Change, Source, literal_int

_GIVEN = re.compile(r"class|shape|^prm$|image|device", re.I)
"""Names of what the task gives, which is not the program's to change."""


def number_changes(source: Source) -> Iterator[Change]:
    if source.alias("torch.nn") is None:
        return
    found = width_numbers(source)
    values = sorted(set(found.values()))
    for value in values:
        yield from moved(source, [node for node, other in found.items() if other == value])
    if len(values) > 1:
        yield from moved(source, list(found))


def width_numbers(source: Source) -> dict[ast.expr, int]:
    """Found backwards from the layers, through names, parameters and lists. Scopes are not told apart."""
    bound = _bindings(source)
    waiting = [site for statement in source.tree.body for site in width_sites(source, statement)]
    names: set[str] = set()
    found: dict[ast.expr, int] = {}
    while waiting:
        for node in _leaves(waiting.pop()):
            value = literal_int(node)
            if value is not None and value >= 2 * LEAST:
                found[node] = value
            name = _name(node)
            if name and name not in names and not _GIVEN.search(name):
                names.add(name)
                waiting += bound.get(name, ())
    return {
        node: value
        for node, value in found.items()
        if source.function_of(node) not in RECIPE_FUNCTIONS and source.function_of(node) != "forward"
    }


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    """Names and numbers that a width is made of. What it is multiplied with or divided by on the right is none."""
    parts: Sequence[ast.expr] = []
    match node:
        case ast.Constant() | ast.Name():
            yield node
            return
        case ast.Attribute(value=value):
            yield node
            parts = [] if isinstance(value, ast.Name) and value.id == "self" else [value]  # a record's field
        case ast.BinOp(left=left, op=op, right=right):
            factors = [one for one in ast.walk(node) if isinstance(one, ast.Constant)]
            if all(isinstance(one, ast.Constant | ast.BinOp | ast.Mult) for one in ast.walk(node)):
                parts = [max(factors, key=lambda one: literal_int(one) or 0)]  # 2 * 2 * 128
            else:
                scalar = isinstance(right, ast.Constant) and not isinstance(op, ast.Add | ast.Sub)
                parts = [left] if scalar else [left, right]
        case ast.List(elts=inner) | ast.Tuple(elts=inner) | ast.Dict(values=inner) | ast.Call(args=inner):
            parts = inner
        case ast.IfExp(body=one, orelse=two):
            parts = [one, two]
        case ast.Subscript(value=value) | ast.Starred(value=value):
            parts = [value]
    for part in parts:
        yield from _leaves(part)


def _bindings(source: Source) -> dict[str, list[ast.expr]]:
    """Everything that the program binds to a name, wherever it does: by assignment, as an argument, in a loop."""
    bound: dict[str, list[ast.expr]] = {}
    loops: list[tuple[ast.expr, ast.expr]] = []
    for node in ast.walk(source.tree):
        for target, value in _bound(source, node):
            if isinstance(target, str):
                bound.setdefault(target, []).append(value)
            else:
                loops.append((target, value))
    for target, over in loops:
        for name, value in _iterated(bound, target, over):
            bound.setdefault(name, []).append(value)
    return bound


def _bound(source: Source, node: ast.AST) -> Iterator[tuple[str | ast.expr, ast.expr]]:
    """(name, value) that a node binds; (target, what is gone over) for a loop."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _assigned(target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _assigned(target, value)
        case ast.For(target=target, iter=over) | ast.comprehension(target=target, iter=over):
            yield target, over
        case ast.FunctionDef(args=arguments):
            positional = [*arguments.posonlyargs, *arguments.args]
            for argument, value in zip(positional[::-1], arguments.defaults[::-1], strict=False):
                yield argument.arg, value
            for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
                if default is not None:
                    yield argument.arg, default
        case ast.Call(func=function, args=values, keywords=keywords):
            yield from ((keyword.arg, keyword.value) for keyword in keywords if keyword.arg)
            yield from zip(source.parameters.get(_name(function), ()), values, strict=False)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for one, two in zip(target.elts, value.elts, strict=True):
            yield from _assigned(one, two)
    elif _name(target):
        yield _name(target), value


def _iterated(bound: dict[str, list[ast.expr]], target: ast.expr, over: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """`for c in [16, 32]`, `for t, c in [[1, 16], [6, 24]]`, with or without enumerate, zip or a name for the list."""
    if isinstance(over, ast.Call) and isinstance(target, ast.Tuple):
        if _name(over.func) == "enumerate" and len(target.elts) == 2 and over.args:
            yield from _iterated(bound, target.elts[1], over.args[0])
        elif _name(over.func) == "zip":
            for one, two in zip(target.elts, over.args, strict=False):
                yield from _iterated(bound, one, two)
    elif isinstance(target, ast.Name):
        yield target.id, over
    elif isinstance(target, ast.Tuple):
        for rows in _lists([over, *bound.get(_name(over), ())]):
            for row in _lists(rows.elts):
                yield from ((_name(one), value) for one, value in zip(target.elts, row.elts, strict=False))


def _lists(nodes: Iterable[ast.expr]) -> list[ast.List | ast.Tuple]:
    return [node for node in nodes if isinstance(node, ast.List | ast.Tuple)]
