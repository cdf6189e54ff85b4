"""What the values of an expression come out of: a softmax, say, behind whatever changes no more than their form."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from deltanas.program.recipes.reading import RecipeSource, called, short
from deltanas.program.space.source import given

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
_DEEP = 12
"""Steps from a value to what it is made of that are followed."""
_HOLDS = frozenset(
    {"ModuleList", "ModuleDict", "list", "tuple", "enumerate", "reversed", "values", "items", "children"}
)
"""Functions and methods that give layers in turn."""


def ends(source: RecipeSource, node: ast.expr, depth: int = _DEEP) -> Iterator[tuple[ast.AST, str]]:
    """(place, "softmax" and the like) of what the values of an expression come out of, as far as the text tells."""
    if depth == 0:
        return
    match node:
        case ast.Tuple(elts=several) | ast.List(elts=several):
            for one in several:
                yield from ends(source, one, depth - 1)
        case ast.Name() | ast.Attribute() if short(source.dotted(node)) in _ENDS:
            yield node, _ENDS[short(source.dotted(node))]
        case ast.IfExp(body=first, orelse=second):
            yield from ends(source, first, depth - 1)
            yield from ends(source, second, depth - 1)
        case (
            ast.Subscript(value=inner)
            | ast.NamedExpr(value=inner)
            | ast.Lambda(body=inner)
            | ast.ListComp(elt=inner)
            | ast.BinOp(left=inner, right=ast.Constant())
            | ast.BinOp(left=ast.Constant(), right=inner)
        ):
            yield from ends(source, inner, depth - 1)
        case ast.BinOp(op=ast.Div(), right=whole) if _is_sum(source, whole):
            yield node, "softmax"
        case ast.Name() | ast.Attribute(value=ast.Name(id="self")):
            for value in _set_to(source, node):
                yield from ends(source, value, depth - 1)
        case ast.Call(func=func):
            partial = called(node) == "partial" and node.args
            yield from _ends_of_call(source, node, node.args[0] if partial else func, depth)


def _end_of(source: RecipeSource, call: ast.Call, func: ast.expr, name: str) -> str:
    """What a function of torch's, a method or a layer of this name makes of values; "" where that is not known here."""
    if name == "normalize":
        by = (given(call, ("input", "p", "dim", "eps", "out")) or {}).get("p")
        return "softmax" if isinstance(by, ast.Constant) and by.value == 1 else ""
    return _ENDS.get(name, "") if isinstance(func, ast.Attribute) or source.dotted(func).startswith("torch.") else ""


def _set_to(source: RecipeSource, node: ast.Name | ast.Attribute) -> Iterator[ast.expr]:
    """What a name, or an attribute of self, may be set to where it is used."""
    if isinstance(node, ast.Name):
        yield from _last_set(source, node)
    else:
        yield from _set_in(source, source.class_of(node), node.attr)


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


def _elements(source: RecipeSource, node: ast.expr, index: ast.expr, depth: int) -> Iterator[ast.expr]:
    """What a list or a dict of layers may hold at an index: all of it where the text does not tell which."""
    if depth == 0:
        return
    match node, index:
        case ((ast.Name() | ast.Attribute(value=ast.Name(id="self"))), _):
            held = list(_set_to(source, node))
        case ast.Call(args=[*_, inner]), _ if called(node) in _HOLDS:
            held = [inner]
        case ast.Call(args=[_, _, *_]), _ if called(node) == "Sequential":
            held = [ast.List(elts=node.args)]
        case ast.Call(args=[inner]), _ if called(node) in ("Sequential", "OrderedDict"):
            held = [inner]
        case ((ast.List(elts=several) | ast.Tuple(elts=several)), ast.Constant(value=int(place))):
            yield from several[place : place + 1]
            return
        case ((ast.List(elts=[*_, last]) | ast.Tuple(elts=[*_, last])), ast.UnaryOp(ast.USub(), ast.Constant(value=1))):
            yield last
            return
        case ((ast.List(elts=several) | ast.Tuple(elts=several)), _):
            yield from several
            return
        case ast.Dict(keys=keys, values=several), _:
            named = [
                value for key, value in zip(keys, several, strict=True) if key and ast.dump(key) == ast.dump(index)
            ]
            yield from named or several
            return
        case _:
            yield node
            return
    for one in held:
        yield from _elements(source, one, index, depth - 1)


def _ends_of_call(source: RecipeSource, call: ast.Call, func: ast.expr, depth: int) -> Iterator[tuple[ast.AST, str]]:
    known = short(source.dotted(func)) or getattr(func, "id", getattr(func, "attr", ""))
    if end := _end_of(source, call, func, known):
        yield call, end
        return
    inside: list[ast.expr] = []
    owner: ast.ClassDef | ast.Module | None = None
    method = ""
    match func:
        case _ if known in _KEEPS:
            inside = call.args[:1] if source.dotted(func) else [func.value] if isinstance(func, ast.Attribute) else []
        case _ if (known == "Sequential" or known in _HOLDS) and call.args:
            inside = list(_last(source, call.args[-1]))
        case ast.Attribute(value=held) if known in _HOLDS:
            inside = [held]
        case ast.Subscript(value=held, slice=index):
            inside = list(_elements(source, held, index, depth))
        case ast.Name(id=name) if name in source.classes or name == "self":
            owner, method = source.classes.get(name) or source.class_of(call), "forward"
        case ast.Name(id=name):
            inside, owner, method = list(_last_set(source, func)), source.tree, name
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            owner, method = source.class_of(call), name
            inside = list(_set_in(source, owner, name))
    for one in inside:
        yield from ends(source, one, depth - 1)
    if owner is not None:
        yield from ends_of_method(source, owner, method, depth - 1)


def _set_in(source: RecipeSource, owner: ast.ClassDef | ast.Module | None, name: str) -> Iterator[ast.expr]:
    """What a class sets an attribute to, or puts last into it; what others do where it does not, as those it is of."""
    yield from list(_sets(ast.walk(owner) if owner else (), name)) or _sets(source.nodes, name)


def _sets(nodes: Iterable[ast.AST], name: str) -> Iterator[ast.expr]:
    for node in nodes:
        match node:
            case ast.Assign(
                targets=[
                    ast.Attribute(value=ast.Name(id="self"), attr=found)
                    | ast.Subscript(value=ast.Attribute(value=ast.Name(id="self"), attr=found))
                ],
                value=value,
            ):
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
    source: RecipeSource, owner: ast.ClassDef | ast.Module, name: str, depth: int = _DEEP
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
