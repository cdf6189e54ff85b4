"""Is a loss what a program minimises? It may be scaled, averaged and summed with other terms, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from deltanas.program.recipes.reading import RecipeSource, called

_READS = frozenset({"item", "detach", "tolist", "numpy", "isfinite", "isnan"})
"""Methods whose result has no gradient."""
_METHODS = frozenset("mean sum to float double half cuda cpu clone squeeze view reshape mul div add".split())  # noqa: SIM905
_FUNCTIONS = frozenset({"mean", "sum", "stack", "cat", "scale", "add", "fsum", "enumerate", "zip", "list", "tuple"})
_NOTHING = frozenset({"tensor", "zeros", "zeros_like", "new_zeros", "new_tensor"})
_HINT = "minimise the loss itself: it may be scaled, averaged and added to other terms"
_CHANGED = "the loss is changed here, so another one that is put in its place is not what trains"


def require_minimised(source: RecipeSource, made: ast.Call, applied: Sequence[ast.Call], hint: str) -> None:
    """Some `backward` is of what the loss gives, directly or through functions that apply it. Raises RecipeError.

    made: the call that makes it. applied: the calls that apply it. hint: where nothing is seen of it.
    """
    value = _Value(source, applied)
    found = False
    for node in source.live:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "backward":
            for part in (node.func.value, *node.args):
                if value.carries(part):
                    found = True
                    value.require_kept(part)
    if not found:
        raise source.fault(made, "no backward() is seen of what this loss gives", hint)


class _Value:
    """What is made of the value of a loss."""

    def __init__(self, source: RecipeSource, applied: Sequence[ast.Call]) -> None:
        self._source = source
        self._applied = frozenset(applied)
        functions = {getattr(source.owner(call), "name", "") for call in applied} - {""}
        calls = [(getattr(source.owner(node), "name", ""), node) for node in source.live if isinstance(node, ast.Call)]
        while more := {name for name, call in calls if called(call) in functions} - functions - {"", "learn"}:
            functions |= more
        self._functions = functions
        """Those that give it."""
        self._seen: set[ast.AST | str] = set()

    def carries(self, node: ast.AST, seen: set[str] | None = None) -> bool:
        """Whether the loss, with its gradient, is part of a value."""
        seen = set() if seen is None else seen
        match node:
            case ast.Call() if node in self._applied or called(node) in self._functions:
                return True
            case ast.Call(func=ast.Attribute(attr=name)) if name in _READS:
                return False
            case ast.Call(func=ast.Name(id="len" | "float" | "int")):
                return False
            case ast.Attribute(attr="device" | "dtype" | "shape" | "data") | ast.Compare():
                return False
            case ast.Name(id=name, ctx=ast.Load()):
                if name in seen:
                    return False
                seen.add(name)
                return any(self.carries(one, seen) for one in self._source.values(name, self._source.owner(node)))
        return any(self.carries(one, seen) for one in ast.iter_child_nodes(node))

    def require_kept(self, node: ast.expr) -> None:
        """Raises RecipeError where a value that the loss is part of is no sum of it and others."""
        if node in self._applied or node in self._seen or not self.carries(node):
            return
        self._seen.add(node)
        match node:
            case ast.Name(id=name):
                self._require_set(name, self._source.owner(node))
            case ast.Call():
                self._require_call(node)
            case ast.BinOp():
                self._require_sum(node)
            case ast.IfExp(body=body, orelse=orelse):
                self._require_all([body, orelse])
            case ast.ListComp(elt=inner) | ast.GeneratorExp(elt=inner):
                self.require_kept(inner)
            case ast.Subscript(value=inner) | ast.NamedExpr(value=inner) | ast.Starred(value=inner):
                self.require_kept(inner)
            case ast.Tuple(elts=several) | ast.List(elts=several) | ast.Dict(values=several):
                for one in several:
                    self.require_kept(one)
            case _:
                raise self._source.fault(node, _CHANGED, _HINT)

    def _require_call(self, node: ast.Call) -> None:
        match node:
            case ast.Call() if called(node) in self._functions:
                self._require_returned(called(node))
            case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in _METHODS and self.carries(inner):
                self.require_kept(inner)
                self._require_free(node, *_given(node))
            case ast.Call() if called(node) in _FUNCTIONS and not self.carries(node.func):
                for one in _given(node):
                    self.require_kept(one)
            case _:
                raise self._source.fault(node, _CHANGED, _HINT)

    def _require_sum(self, node: ast.BinOp) -> None:
        one, other = node.left, node.right
        if isinstance(node.op, ast.Mult) and not self.carries(one):
            one, other = other, one
        match node.op:
            case ast.Add():
                self.require_kept(other)
            case ast.Mult() | ast.Div() | ast.Sub():
                self._require_free(node, other)
            case _:
                raise self._source.fault(node, _CHANGED, _HINT)
        self.require_kept(one)

    def _require_free(self, node: ast.expr, *others: ast.expr) -> None:
        if any(self.carries(one) for one in others):
            raise self._source.fault(node, _CHANGED, _HINT)

    def _require_all(self, values: Sequence[ast.expr]) -> None:
        """None of the values that may be minimised is without the loss; what is 0 is no value yet."""
        for one in values:
            empty = isinstance(one, ast.Constant) or (isinstance(one, ast.Call) and called(one) in _NOTHING)
            if not empty and not self.carries(one):
                raise self._source.fault(one, "this may be minimised in place of the loss", _HINT)
            self.require_kept(one)

    def _require_set(self, name: str, function: ast.AST) -> None:
        settings = self._source.settings(name, function)
        grows = any(_grows(name, at, value) and self.carries(value) for at, value in settings)
        for at, value in settings:
            if isinstance(at, ast.AugAssign) and not isinstance(at.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
                raise self._source.fault(at, _CHANGED, _HINT)
            if isinstance(at, ast.AugAssign) and not isinstance(at.op, ast.Add):
                self._require_free(value, value)
            elif grows or isinstance(at, ast.AugAssign):
                self.require_kept(value)
            else:
                self._require_all([value])

    def _require_returned(self, name: str) -> None:
        if name not in self._seen:
            self._seen.add(name)
            for function in self._source.functions(name):
                returns = [one for one in ast.walk(function) if isinstance(one, ast.Return)]
                self._require_all([one.value for one in returns if one.value and self._source.owner(one) is function])


def _given(call: ast.Call) -> list[ast.expr]:
    """A call's arguments, by place and by name."""
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _grows(name: str, at: ast.AST, value: ast.expr) -> bool:
    """Whether a statement adds to what a name has already."""
    inside = any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(value))
    return isinstance(at, ast.AugAssign) or inside
