"""Where an object that a program makes goes: the names that it gets, what is called and read of it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Literal

from deltanas.program.recipes.reading import RecipeSource, assigned, set_by, short

_SAME = frozenset({"to", "cuda", "cpu", "float", "double", "half", "eval", "train"})
"""Methods that give the object itself back."""
_HOLDERS = frozenset({"ModuleList", "ModuleDict", "tuple", "list", "dict", "iter", "next", "enumerate", "reversed"})


@dataclass
class Flow:
    """What is done with an object.

    Attributes:
        called: calls of it. read: its attributes that are read. given: calls that get it as an argument.
        strays: places behind which the text does not tell where it goes. rivals: values that one of its names, or one
            of the functions that give it, may have instead.
    """

    called: list[ast.Call] = field(default_factory=list)
    read: list[ast.Attribute] = field(default_factory=list)
    given: list[ast.Call] = field(default_factory=list)
    strays: list[ast.AST] = field(default_factory=list)
    rivals: list[ast.expr] = field(default_factory=list)


def flow_of(source: RecipeSource, made: ast.expr) -> Flow:
    """What becomes of what `made` makes. An attribute is known by its name alone, whatever object has it."""
    tracer = _Tracer(source)
    tracer.climb(made)
    while tracer.fresh:
        tracer.follow(*tracer.fresh.pop())
    tracer.flow.rivals = sorted(tracer.rivals(), key=lambda value: (value.lineno, value.col_offset))
    return tracer.flow


_Kind = Literal["attribute", "name", "maker"]


class _Tracer:
    def __init__(self, source: RecipeSource) -> None:
        self._source = source
        self.flow = Flow()
        self.fresh: list[tuple[_Kind, str, ast.AST]] = []
        self._known: set[tuple[_Kind, str, ast.AST]] = set()
        self._climbed: set[ast.AST] = set()

    def rivals(self) -> set[ast.expr]:
        """Constants left out: nothing that could stand in the object's place, such as None."""
        values: list[ast.expr | None] = []
        for node in self._climbed:
            match node:
                case ast.IfExp(body=one, orelse=other):
                    values += [one, other]
                case (
                    ast.BoolOp(values=several)
                    | ast.Dict(values=several)
                    | ast.Tuple(elts=several)
                    | ast.List(elts=several)
                ):
                    values += several
        for kind, name, scope in self._known:
            for node in ast.walk(scope):
                values += [value for target, value in set_by(node) if self._is(target, kind, name, scope)]
                match node:
                    case ast.Return(value=value) if kind != "name":
                        values += [value] if getattr(self._source.owner(node), "name", "") == name else []
                    case ast.Call() if kind == "attribute":
                        values += _set_by_text(node, name)
        return {one for one in values if one and one not in self._climbed and not isinstance(one, ast.Constant)}

    def _is(self, target: ast.expr, kind: _Kind, name: str, scope: ast.AST) -> bool:
        """Whether an assignment to the target sets the name."""
        return any(
            kind == "attribute" and one.attr == name
            if isinstance(one, ast.Attribute)
            else kind == "name" and one.id == name and self._source.owner(one) is scope
            for one in assigned(target)
        )

    def follow(self, kind: _Kind, name: str, scope: ast.AST) -> None:
        """Each use of a name of the object inside `scope`, or of a function that gives it (a maker)."""
        for node in ast.walk(scope):
            match node:
                case ast.Name(id=found, ctx=ast.Load()) if found == name and kind != "attribute":
                    pass
                case ast.Attribute(attr=found, ctx=ast.Load()) if found == name and kind != "name":
                    pass
                case _:
                    continue
            parent = self._source.parents.get(node)
            if kind != "maker":
                self.climb(node)
            elif isinstance(parent, ast.Call) and parent.func is node:
                self.climb(parent)

    def climb(self, node: ast.expr) -> None:
        if node in self._climbed:
            return
        self._climbed.add(node)
        parent = self._source.parents.get(node)
        match parent:
            case ast.Call(func=func) if func is node:
                self.flow.called.append(parent)
            case ast.Call():
                self._argument(parent, node, "")
            case ast.keyword(arg=name) if isinstance(call := self._source.parents.get(parent), ast.Call):
                self._argument(call, node, name or "")
            case ast.Attribute(attr=name):
                above = self._source.parents.get(parent)
                self.flow.read.append(parent)
                if name in _SAME | {"values", "items"} and isinstance(above, ast.Call) and above.func is parent:
                    self.climb(above)
            case ast.Subscript(value=value) if value is node:
                self.climb(parent)
            case ast.Tuple() | ast.List() | ast.Dict() | ast.IfExp() | ast.Starred() | ast.BoolOp():
                self._held(parent, node)
            case ast.Assign() | ast.AnnAssign() | ast.NamedExpr() | ast.For() | ast.comprehension():
                self._bound(parent)
            case ast.Return():
                self._returned(parent)
            case ast.Compare() | ast.Expr() | ast.If() | ast.UnaryOp() | ast.Delete():
                pass
            case _:
                self.flow.strays.append(node)

    def _argument(self, call: ast.Call, node: ast.expr, keyword: str) -> None:
        self.flow.given.append(call)
        func, source = call.func, self._source
        name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
        place = call.args.index(node) if node in call.args else -1
        if name in source.parameters:
            names = source.parameters[name]
            bound = keyword if place < 0 else names[place] if place < len(names) else ""
            if bound in names:
                for function in source.functions(name):
                    self._name("name", bound, function)
                return
        elif (short(source.dotted(func)) or name) in _HOLDERS:
            self.climb(call)
            return
        elif name == "setattr" and place == 2 and isinstance(call.args[1], ast.Constant):
            self._name("attribute", str(call.args[1].value), source.tree)
            return
        elif name in ("isinstance", "print", "type", "id", "hasattr"):
            return
        self.flow.strays.append(node)

    def _bound(self, node: ast.Assign | ast.AnnAssign | ast.NamedExpr | ast.For | ast.comprehension) -> None:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            self._named(target)

    def _named(self, target: ast.expr) -> None:
        named = list(assigned(target))
        if not named:
            self.flow.strays.append(target)
        for one in named:
            if isinstance(one, ast.Attribute):
                self._name("attribute", one.attr, self._source.tree)
            else:
                self._name("name", one.id, self._source.owner(one))

    def _held(self, several: ast.expr, node: ast.expr) -> None:
        """One of several values: where an assignment names as many it is the one name's, else the whole is followed."""
        above = self._source.parents.get(several)
        own = [target for target, value in set_by(above) if value is node] if above else []
        for target in own:
            self._named(target)
        if not own:
            self.climb(several)

    def _returned(self, node: ast.Return) -> None:
        function = self._source.owner(node)
        if isinstance(function, ast.FunctionDef):
            self._name("attribute" if function.decorator_list else "maker", function.name, self._source.tree)
        else:
            self.flow.strays.append(node)

    def _name(self, kind: _Kind, name: str, scope: ast.AST) -> None:
        if (kind, name, scope) not in self._known:
            self._known.add((kind, name, scope))
            self.fresh.append((kind, name, scope))


def _set_by_text(call: ast.Call, name: str) -> list[ast.expr]:
    """What a call sets an attribute to that it names as a text."""
    match call:
        case ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Constant(value=text), value]) if text == name:
            return [value]
        case ast.Call(
            func=ast.Attribute(attr="add_module" | "register_module" | "__setattr__"),
            args=[ast.Constant(value=text), value],
        ) if text == name:
            return [value]
        case ast.Call(func=ast.Attribute(attr="__setattr__"), args=[_, ast.Constant(value=text), value]):
            return [value] if text == name else []
    return []
