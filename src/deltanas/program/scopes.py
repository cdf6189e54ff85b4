"""Names of a program and the scopes that they belong to, as the language resolves them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

CONTRACT_METHODS = frozenset({"__init__", "train_setup", "learn"})
"""Methods that callers outside the program may call by keyword: their parameters keep their names."""

_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(eq=False)
class Scope:
    """kind: "module", "class", "function" or "comprehension"."""

    kind: str
    parent: Scope | None = None
    bound: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    module_names: set[str] = field(default_factory=set)
    outer_names: set[str] = field(default_factory=set)

    def owner(self, name: str) -> Scope | None:
        """The function or comprehension that `name`, read here, is local to; None: a class, the module, a builtin."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.module_names:
                return None
            visible = scope.kind != "class" or scope is self
            if visible and name in scope.bound and name not in scope.outer_names:
                return scope if scope.kind in ("function", "comprehension") and name not in scope.kept else None
            scope = scope.parent
        return None

    def of_module(self, name: str) -> bool:
        """Whether `name`, read here, is one that the module binds."""
        scope: Scope = self
        while scope.parent is not None:
            if name in scope.module_names:
                break
            visible = scope.kind != "class" or scope is self
            if visible and name in scope.bound and name not in scope.outer_names:
                return False
            scope = scope.parent
        return name in self.module.bound

    @property
    def module(self) -> Scope:
        return list(self._chain())[-1]

    def outermost(self) -> Scope:
        """The outermost function around this one: local names are numbered once in it, so none can shadow another."""
        chain = [scope for scope in self._chain() if scope.kind in ("function", "comprehension")]
        return chain[-1]

    def _chain(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


@dataclass
class Use:
    """A place where a name is read or bound. node: the tree's node that holds it. rename: puts another one there."""

    scope: Scope
    name: str
    node: ast.AST
    rename: Callable[[str], None]


def children(node: ast.AST) -> Iterator[ast.AST]:
    """As `ast.iter_child_nodes`, in half the time, but for what says whether a name is read or bound."""
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, ast.AST):
                    yield item
        elif isinstance(value, ast.AST) and name != "ctx":
            yield value


class Names(ast.NodeVisitor):
    """Every use of a name in the order of the tree, with the scope it is read in, and what each scope binds."""

    def __init__(self, called_by_keyword: set[str]) -> None:
        self.scope = Scope("module")
        self.uses: list[Use] = []
        self._called_by_keyword = called_by_keyword

    def visit(self, node: ast.AST) -> None:
        visitor = getattr(self, f"visit_{type(node).__name__}", None)
        if visitor is not None:
            visitor(node)
        else:
            for child in children(node):
                self.visit(child)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Holds no name."""

    def _use(self, node: ast.AST, attribute: str, name: str) -> None:
        self.uses.append(Use(self.scope, name, node, lambda new: setattr(node, attribute, new)))

    def _bind(self, node: ast.AST, attribute: str, name: str | None, *, keep: bool = False) -> None:
        if name is not None:
            self.scope.bound.add(name)
            if keep or (name.startswith("__") and name.endswith("__")):
                self.scope.kept.add(name)
            self._use(node, attribute, name)

    def _visit_all(self, *nodes: ast.AST | None) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._use(node, "id", node.id)
        else:
            self._bind(node, "id", node.id)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        scope = self.scope
        while scope.kind == "comprehension" and scope.parent is not None:
            scope = scope.parent
        scope.bound.add(node.target.id)
        self._use(node.target, "id", node.target.id)

    def visit_Global(self, node: ast.Global) -> None:
        self.scope.module_names.update(node.names)
        self.scope.module.bound.update(node.names)
        self._use_all(node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.scope.outer_names.update(node.names)
        self._use_all(node)

    def _use_all(self, node: ast.Global | ast.Nonlocal) -> None:
        for i, name in enumerate(node.names):

            def rename(new: str, i: int = i) -> None:
                node.names[i] = new

            self.uses.append(Use(self.scope, name, node, rename))

    def visit_alias(self, node: ast.alias) -> None:
        if node.asname is not None:
            self._bind(node, "asname", node.asname)
        else:
            self._bind(node, "name", node.name.split(".")[0], keep=True)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._visit_all(node.type)
        self._bind(node, "name", node.name)
        self._visit_all(*node.body)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self._visit_all(node.pattern)
        self._bind(node, "name", node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        self._bind(node, "name", node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self._visit_all(*node.keys, *node.patterns)
        self._bind(node, "rest", node.rest)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._visit_all(*node.decorator_list, *node.bases, *node.keywords)
        self._bind(node, "name", node.name, keep=True)
        self._inside("class", lambda: self._visit_all(*node.body))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._visit_all(*node.decorator_list)
        self._bind(node, "name", node.name)
        in_class = self.scope.kind == "class"
        self._function(node.args, node.body, keep_parameters=in_class and node.name in CONTRACT_METHODS)
        self._visit_all(node.returns)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node.args, [node.body], keep_parameters=False)

    def _function(self, given: ast.arguments, body: list[ast.stmt] | list[ast.expr], *, keep_parameters: bool) -> None:
        self._visit_all(*given.defaults, *given.kw_defaults)
        positional = [*given.posonlyargs, *given.args]
        stars = [arg for arg in (given.vararg, given.kwarg) if arg is not None]
        self._visit_all(*(arg.annotation for arg in [*positional, *given.kwonlyargs, *stars]))

        def inside() -> None:
            for arg in positional:
                self._bind(arg, "arg", arg.arg, keep=keep_parameters or arg.arg in self._called_by_keyword)
            for arg in given.kwonlyargs:
                self._bind(arg, "arg", arg.arg, keep=True)
            for arg in stars:
                self._bind(arg, "arg", arg.arg)
            self._visit_all(*body)

        self._inside("function", inside)

    def _comprehension(self, node: _Comprehension) -> None:
        self.visit(node.generators[0].iter)  # evaluated outside, as the language has it

        def inside() -> None:
            for i, generator in enumerate(node.generators):
                self._visit_all(generator.iter if i else None, generator.target, *generator.ifs)
            if isinstance(node, ast.DictComp):
                self._visit_all(node.key, node.value)
            else:
                self.visit(node.elt)

        self._inside("comprehension", inside)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815

    def _inside(self, kind: str, visit: Callable[[], None]) -> None:
        outer, self.scope = self.scope, Scope(kind, self.scope)
        visit()
        self.scope = outer
