"""Edits of named sizes: what is computed from the name follows, so one literal moves a width with its consumers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from deltanas.program.space.source import Change, Source, literal_int

_WIDTH = re.compile(
    r"width|channel|dim|hidden|embed|feature|filter|planes|stem|growth|units|mlp|neurons|(^|_)(c|ch|w|nf|d_model)\d*$",
    re.I,
)
_COUNT = re.compile(r"depth|blocks|layers|repeat|columns|stages|num_convs|n_convs", re.I)
_FACTOR = re.compile(r"expansion|ratio|mult|reduction|cardinality", re.I)
_NEITHER = re.compile(
    r"head|class|group|^in_|^out_|^n?out|image|img|patch|kernel|stride|pad|token|device|seed|drop|(^|_)axis$", re.I
)
_FACTORS = (0.5, 0.75, 1.5, 2.0)


def size_changes(source: Source) -> Iterator[Change]:
    for node in source.walk():
        for name, value in _named(source, node):
            if _NEITHER.search(name):
                continue
            if _COUNT.search(name):
                yield from _counted(source, "depth", value)
            elif _FACTOR.search(name):
                yield from _counted(source, "width", value)
            elif _WIDTH.search(name):
                yield from _scaled(source, value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            yield from _range(source, node)


def _named(source: Source, node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names that a class, a module or an `__init__` sets to a literal, and defaults of its parameters."""
    if isinstance(node, ast.FunctionDef) and node.name == "__init__":
        positional = [*node.args.posonlyargs, *node.args.args]
        defaults = node.args.defaults
        pairs = zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
        yield from ((arg.arg, default) for arg, default in pairs)
        yield from ((a.arg, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d)
    elif isinstance(node, ast.Assign) and source.function_of(node) in ("", "__init__"):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                if len(target.elts) == len(node.value.elts):
                    yield from ((ast.unparse(t), v) for t, v in zip(target.elts, node.value.elts, strict=True))
            elif isinstance(target, ast.Name | ast.Attribute):
                yield ast.unparse(target).removeprefix("self."), node.value
    elif isinstance(node, ast.AnnAssign) and node.value and source.function_of(node) in ("", "__init__"):
        yield ast.unparse(node.target).removeprefix("self."), node.value


def _literals(node: ast.expr) -> list[tuple[ast.expr, int]]:
    """The integers of a literal, or of a tuple or list of literals (nested too); empty where anything else is in it."""
    if isinstance(node, ast.Tuple | ast.List):
        parts = [_literals(element) for element in node.elts]
        return [one for part in parts for one in part] if all(parts) else []
    value = literal_int(node)
    return [(node, value)] if value is not None and value > 0 else []


def _scaled(source: Source, node: ast.expr) -> Iterator[Change]:
    literals = _literals(node)
    for factor in _FACTORS:
        spans = tuple((*source.span(at), str(max(8, round(value * factor / 8) * 8))) for at, value in literals)
        if spans:
            yield Change("width", spans)


def _counted(source: Source, kind: str, node: ast.expr) -> Iterator[Change]:
    """One more or one less, of each count alone."""
    for at, value in _literals(node):
        for other in (value - 1, value + 1):
            if other >= 1:
                yield source.replaced(kind, at, str(other))


def _range(source: Source, call: ast.Call) -> Iterator[Change]:
    """`for _ in range(3)` builds one thing three times."""
    parent = source.parents.get(call)
    looped = parent.target if isinstance(parent, ast.For | ast.comprehension) else None
    idle = isinstance(looped, ast.Name) and looped.id.startswith("_")
    if idle and len(call.args) == 1 and source.function_of(call) == "__init__":
        yield from _counted(source, "depth", call.args[0])
