"""What the values of an expression come out of: a softmax, say, behind whatever changes no more than their form."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from deltanas.program.recipes.reading import RecipeSource, called, short

_KEEPS = frozenset(
    """view reshape squeeze unsqueeze flatten contiguous float double half to cpu cuda clone clamp clip dropout log
    Dropout""".split()  # noqa: SIM905
)
"""Functions and methods that change no more than the form of values, or little of them."""
_ENDS = {
    "softmax": "softmax",
    "Softmax": "softmax",
    "sigmoid": "sigmoid",
    "Sigmoid": "sigmoid",
    "softmin": "softmax",
    "Softmin": "softmax",
    "log_softmax": "log_softmax",
    "LogSoftmax": "log_softmax",
    "interpolate": "interpolate",
    "Upsample": "interpolate",
}
"""Functions, methods and layers that say what the values are that come out of them."""


def ends(source: RecipeSource, node: ast.expr, depth: int = 8) -> Iterator[tuple[ast.AST, str]]:
    """(place, "softmax" and the like) of what the values of an expression come out of, as far as the text tells."""
    if depth == 0:
        return
    match node:
        case ast.Tuple(elts=several) | ast.List(elts=several):
            for one in several:
                yield from ends(source, one, depth - 1)
        case ast.IfExp(body=first, orelse=second):
            yield from ends(source, first, depth - 1)
            yield from ends(source, second, depth - 1)
        case (
            ast.Subscript(value=inner)
            | ast.NamedExpr(value=inner)
            | ast.Lambda(body=inner)
            | ast.BinOp(left=inner, right=ast.Constant())
            | ast.BinOp(left=ast.Constant(), right=inner)
        ):
            yield from ends(source, inner, depth - 1)
        case ast.BinOp(op=ast.Div(), right=whole) if _is_sum(source, whole):
            yield node, "softmax"
        case ast.Name():
            for value in _last_set(source, node):
                yield from ends(source, value, depth - 1)
        case ast.Call(func=func):
            yield from _ends_of_call(source, node, func, depth)


def _is_sum(source: RecipeSource, node: ast.expr) -> bool:
    """Whether what is divided by this becomes shares of a sum."""
    found = list(_last_set(source, node)) if isinstance(node, ast.Name) else [node]
    return any(isinstance(one, ast.Call) and called(one) == "sum" for one in found)


def _last_set(source: RecipeSource, use: ast.Name) -> Iterator[ast.expr]:
    """What a name may be set to where it is used; of a list what is appended to it too."""
    function = source.owner(use)
    found = source.settings(use.id, function)
    for node in ast.walk(function):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=use.id), attr="append"), args=[value]):
                found.append((source.parents[node], value))
    found = [one for one in found if source.span(one[1])[1] <= source.span(use)[0]]
    for statement, value in sorted(found, key=lambda one: source.span(one[1]), reverse=True):
        yield value
        if source.parents.get(statement) is function or not isinstance(statement, ast.stmt):
            return


def _last(source: RecipeSource, node: ast.expr) -> Iterator[ast.expr]:
    """The last layer of some that are given to a Sequential."""
    match node:
        case ast.List(elts=[*_, last]) | ast.Tuple(elts=[*_, last]) | ast.Dict(values=[*_, last]):
            yield from _last(source, last)
        case ast.Call(func=ast.Name(id="OrderedDict") | ast.Attribute(attr="OrderedDict"), args=[inner]):
            yield from _last(source, inner)
        case ast.Starred(value=inner):
            yield from _last(source, inner)
        case ast.Name():
            for value in _last_set(source, node):
                yield from _last(source, value)
        case _:
            yield node


def _ends_of_call(source: RecipeSource, call: ast.Call, func: ast.expr, depth: int) -> Iterator[tuple[ast.AST, str]]:
    known = short(source.dotted(func)) or called(call)
    if known in _ENDS and (isinstance(func, ast.Attribute) or source.dotted(func).startswith("torch.")):
        yield call, _ENDS[known]
        return
    inside: list[ast.expr] = []
    owner: ast.ClassDef | ast.Module | None = None
    method = ""
    match func:
        case _ if known in _KEEPS:
            inside = call.args[:1] if source.dotted(func) else [func.value] if isinstance(func, ast.Attribute) else []
        case _ if known == "Sequential" and call.args:
            inside = list(_last(source, call.args[-1]))
        case ast.Name(id=name) if name in source.classes or name == "self":
            owner, method = source.classes.get(name) or source.class_of(call), "forward"
        case ast.Name(id=name):
            inside, owner, method = list(_last_set(source, func)), source.tree, name
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            owner, method = source.class_of(call), name
            inside = list(_set_in(owner, name))
    for one in inside:
        yield from ends(source, one, depth - 1)
    if owner is not None:
        yield from ends_of_method(source, owner, method, depth - 1)


def _set_in(owner: ast.ClassDef | ast.Module | None, name: str) -> Iterator[ast.expr]:
    """What a class sets an attribute to, or puts last into it."""
    for node in ast.walk(owner) if owner else ():
        match node:
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=found)], value=value):
                pass
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Attribute(value=ast.Name(id="self"), attr=found), attr="append" | "add_module"
                ),
                args=[*_, value],
            ):
                pass
            case _:
                continue
        if found == name:
            yield value


def ends_of_method(
    source: RecipeSource, owner: ast.ClassDef | ast.Module, name: str, depth: int = 8
) -> Iterator[tuple[ast.AST, str]]:
    """As `ends`, of what a method, its class's own or inherited, or a function of the module, returns."""
    methods = [one for one in owner.body if isinstance(one, ast.FunctionDef) and one.name == name]
    for method in methods:
        for node in ast.walk(method):
            if isinstance(node, ast.Return) and node.value is not None:
                yield from ends(source, node.value, depth)
    if not methods and depth > 0:
        for base in getattr(owner, "bases", ()):
            if isinstance(base, ast.Name) and base.id in source.classes:
                yield from ends_of_method(source, source.classes[base.id], name, depth - 1)
