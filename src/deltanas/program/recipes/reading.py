"""What a program's text tells of its recipe: where losses and optimizers are made, and what their values come from."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property

from deltanas.errors import DeltanasError
from deltanas.program.net_class import net_class
from deltanas.program.space.source import Source, given

_TRAINS = ("train_setup", "learn")
"""Methods of the contract that a class which is no network may have without being trained by them."""
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class RecipeError(DeltanasError):
    """A recipe that can't be injected. The message says where and why, the hint what to write there instead."""


@contextmanager
def not_too_deep() -> Iterator[None]:
    """Code that is nested too deeply to be read is a RecipeError."""
    try:
        yield
    except RecursionError:
        why = "the program is nested too deeply to be read"
        raise RecipeError(why, "write a long sum as several statements") from None


class RecipeSource(Source):
    """A program's text as the injection reads it."""

    def fault(self, node: ast.AST, why: str, hint: str) -> RecipeError:
        return RecipeError(f"line {getattr(node, 'lineno', 1)}: {why}", hint)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """All of the tree, outer ones first."""
        return tuple(ast.walk(self.tree))

    # Names

    @cached_property
    def imports(self) -> dict[str, str]:
        """As in `Source`, without names that the program also gives to something else."""
        targets: dict[str, set[str]] = {}
        for name, dotted in self._imported(self.nodes):
            targets.setdefault(name, set()).add(dotted)
        return {name: min(found) for name, found in targets.items() if len(found) == 1 and name not in self._bound}

    @cached_property
    def _bound(self) -> frozenset[str]:
        """Names that something else than an import binds, anywhere."""
        found: set[str] = set()
        for node in self.nodes:
            match node:
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                    found.add(name)
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(name)
        return frozenset(found)

    @staticmethod
    def _imported(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    head = alias.name.partition(".")[0]
                    yield (alias.asname, alias.name) if alias.asname else (head, head)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)

    @cached_property
    def _global(self) -> dict[str, str]:
        """Imported names that all of the module sees."""
        return {name: self.imports[name] for name, _ in self._imported(self.tree.body) if name in self.imports}

    def alias(self, dotted: str) -> str | None:
        found = [name for name, target in self._global.items() if target == dotted]
        if found:
            return found[0]
        head, _, last = dotted.rpartition(".")
        parent = self.alias(head) if head else None
        return f"{parent}.{last}" if parent else None

    def spelled(self, dotted: str, needed: list[str]) -> str:
        """How the program can name one of torch's classes; where no import leads there, one is added to `needed`.

        Raises RecipeError where the name is taken.
        """
        alias = self.alias(dotted)
        if alias is not None:
            return alias
        module, _, name = dotted.rpartition(".")
        if not self.is_free(name):
            why = f"the program calls something else {name}, and does not import {module}"
            raise RecipeError(why, "`import torch`")
        needed.insert(0, f"from {module} import {name}\n\n\n")
        return name

    def is_free(self, name: str) -> bool:
        """Whether the program has no such name."""
        return name not in self._bound and all(name != known for known, _ in self._imported(self.nodes))

    def place_of(self, text: str) -> int:
        """Where classes can be put, in characters: behind docstring and imports, also later ones of what they name."""
        names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        bound = [names & {name for name, _ in self._imported([node])} for node in self.tree.body]
        first = max((place for place, found in enumerate(bound, 1) if found), default=0)
        above = (self.tree.body[first - 1].end_lineno or 0) if first else 0
        for node in self.tree.body[first:]:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            decorators: list[ast.expr] = getattr(node, "decorator_list", [])
            line: int = min([node.lineno, *(one.lineno for one in decorators)])
            if not docstring and not isinstance(node, ast.Import | ast.ImportFrom) and line > above:
                while line - 1 > above and self.lines[line - 2].startswith("#"):
                    line -= 1
                return self._starts[line - 1]
            above = node.end_lineno or line
        return len(self.text)

    # Code

    def owner(self, node: ast.AST) -> ast.AST:
        """The innermost function around a node, else the module."""
        above = self.parents.get(node)
        while above is not None and not isinstance(above, _FUNCTIONS):
            above = self.parents.get(above)
        return above or self.tree

    def functions(self, name: str) -> list[ast.FunctionDef]:
        """The functions and methods of a name; of a class its `__init__`."""
        return [
            node
            for node in self.nodes
            if isinstance(node, ast.FunctionDef)
            and (node.name == name or (node.name == "__init__" and getattr(self.parents[node], "name", "") == name))
        ]

    @cached_property
    def live(self) -> frozenset[ast.AST]:
        """Code that can run: the module's own, the network's methods, and what these name, by turns."""
        net = net_class(self.tree)
        found: set[ast.AST] = set()
        network = net.name if net else "Net"
        own = {one.name for one in net.body if isinstance(one, ast.FunctionDef)} if net else set[str]()
        names = {network} | (set(_TRAINS) - own)
        waiting: list[tuple[str, str, ast.AST]] = []
        for node in self.tree.body:
            if isinstance(node, ast.ClassDef):
                inner = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.FunctionDef)]
                waiting += [(node.name, one.name, one) for one in inner]
                waiting += [(node.name, "", one) for one in ast.iter_child_nodes(node) if one not in inner]
            elif isinstance(node, ast.FunctionDef):
                waiting.append((node.name, "", node))
            else:
                waiting.append(("", "", node))
        while True:
            ready = [one for one in waiting if _runs(one, names) or one[:2] in ((network, each) for each in _TRAINS)]
            if not ready:
                return frozenset(found)
            waiting = [one for one in waiting if one not in ready]
            for _, _, unit in ready:
                inside = set(ast.walk(unit))
                found |= inside
                names |= {name for one in inside if (name := _named(one))}

    def calls(self, names: frozenset[str], besides: frozenset[ast.AST] = frozenset()) -> list[ast.Call]:
        """Calls of torch's classes or functions of these names, by line; any other mention of one is refused.

        besides: what is not looked at.
        """
        found = []
        for node in self.nodes:
            if not isinstance(node, ast.Name | ast.Attribute) or short(self.dotted(node)) not in names:
                continue
            if node in besides:
                continue
            parent = self.parents.get(node)
            if isinstance(parent, ast.Call) and parent.func is node:
                found.append(parent)
            elif not self._annotates(node):
                raise self.fault(
                    node,
                    f"{self.of(node)} is named without being called, so what is made of it can't be seen",
                    "call it where it is named, with its arguments",
                )
        return sorted(found, key=lambda call: (call.lineno, call.col_offset))

    def arguments(self, call: ast.Call, names: tuple[str, ...]) -> dict[str, ast.expr]:
        """A call's arguments by name, its positional ones named by `names`.

        Raises RecipeError where stars hide one, or where one sets a name, which would be lost with it.
        """
        found = given(call, names)
        if found is None:
            raise self.fault(
                call, f"the arguments of {self.of(call.func)} can't be told apart", "give each by its name"
            )
        for node in ast.walk(call):
            if isinstance(node, ast.NamedExpr):
                raise self.fault(node, f"{self.of(node.target)} is set within a call", "set it on a line of its own")
        return found

    def _annotates(self, node: ast.AST) -> bool:
        above: ast.AST | None = self.parents.get(node)
        below = node
        while isinstance(above, ast.expr):
            below, above = above, self.parents.get(above)
        return below in (getattr(above, "annotation", None), getattr(above, "returns", None))

    # Values

    def values(self, name: str, function: ast.AST) -> list[ast.expr]:
        """All that a name is set to in a function."""
        return [value for _, value in self.settings(name, function)]

    def settings(self, name: str, function: ast.AST) -> list[tuple[ast.AST, ast.expr]]:
        """(statement, value) of each place that sets a name in a function, by line."""
        found: list[tuple[ast.AST, ast.expr]] = []
        for node in ast.walk(function):
            for target, value in set_by(node):
                if any(isinstance(one, ast.Name) and one.id == name for one in assigned(target)):
                    found.append((node, value))
        return sorted(found, key=lambda one: getattr(one[1], "lineno", 0))

    def origin(self, node: ast.expr) -> frozenset[ast.AST]:
        """All nodes that a value is made of, through the names that its function sets."""
        function, seen, found, todo = self.owner(node), set[str](), set[ast.AST](), [node]
        while todo:
            inside = set(ast.walk(todo.pop()))
            found |= inside
            names = {one.id for one in inside if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)} - seen
            seen |= names
            todo += [value for name in names for value in self.values(name, function)]
        return frozenset(found)

    def made_through(self, node: ast.expr) -> Iterator[ast.AST]:
        """As `origin`, with all of the program's functions and classes that are called there, directly or not."""
        seen = {""}
        todo: list[Iterable[ast.AST]] = [self.origin(node)]
        while todo:
            inside = list(todo.pop())
            yield from inside
            names = {called(one) for one in inside if isinstance(one, ast.Call)} - seen
            seen |= names
            todo += [ast.walk(one) for name in names for one in self._meant(name)]

    def _meant(self, name: str) -> list[ast.AST]:
        """What the program may mean by a name that it calls."""
        values = [value for node in self.nodes for target, value in set_by(node) if _is_called(target, name)]
        own = [self.classes[name]] if name in self.classes else self.functions(name)
        return [*own, *(value for value in values if isinstance(value, ast.Lambda | ast.Call))]


def _is_called(target: ast.expr, name: str) -> bool:
    return name in (getattr(target, "id", ""), getattr(target, "attr", ""))


def _runs(unit: tuple[str, str, ast.AST], names: set[str]) -> bool:
    owner, method, _ = unit
    return (not owner or owner in names) and (
        not method or method in names or method == "forward" or method.startswith("__")
    )


def _named(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
            return name
    return ""


def assigned(target: ast.expr) -> Iterator[ast.Name | ast.Attribute]:
    """What an assignment sets; of `self.a[k] = ...` what holds it."""
    match target:
        case ast.Name() | ast.Attribute():
            yield target
        case ast.Subscript(value=value) | ast.Starred(value=value):
            yield from assigned(value)
        case ast.Tuple(elts=several) | ast.List(elts=several):
            for one in several:
                yield from assigned(one)


def set_by(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """(target, value) of all that a statement, a loop or the like sets."""
    match node:
        case ast.Assign(targets=targets, value=value):
            return [pair for target in targets for pair in _matched(target, value)]
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.AugAssign(target=target, value=value)
            | ast.NamedExpr(target=target, value=value)
            | ast.withitem(context_expr=value, optional_vars=ast.expr() as target)
        ):
            return [(target, value)]
        case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
            return _matched(target, value)
    return []


def _matched(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    """Targets of an assignment with their values, as far as the text pairs them."""
    match target, value:
        case ast.Tuple(elts=names), ast.Tuple(elts=values) if len(names) == len(values):
            if not any(isinstance(one, ast.Starred) for one in (*names, *values)):
                return [pair for each in zip(names, values, strict=True) for pair in _matched(*each)]
    return [(target, value)]


def called(call: ast.Call) -> str:
    """The last name of what is called; "" where it has none."""
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def short(dotted: str) -> str:
    """The last word of a name of torch's; "" for any other."""
    return dotted.rpartition(".")[2] if dotted.startswith("torch.") else ""
