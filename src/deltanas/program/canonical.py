"""The canonical form of a program: its source without what can't change its behaviour."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

CONTRACT_METHODS = frozenset({"__init__", "train_setup", "learn"})
"""Methods that callers outside the program may call by keyword: their parameters keep their names."""

_READS_NAMES = frozenset({"locals", "vars", "eval", "exec", "dir", "globals"})

_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def parsed(source: str) -> ast.Module | None:
    """The syntax tree, or None where the source does not parse. Never warns and never runs anything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def canonical_source(source: str) -> str:
    """The source without comments, docstrings, formatting and the names of function-local variables.

    Numbers, attribute names, strings, signatures of the contract's methods and wiring are kept: two programs with one
    canonical form compute alike. Idempotent. Source that does not parse comes back as it is, less its trailing blanks.
    """
    stripped = source.rstrip(" \t\r\n")
    tree = parsed(stripped)
    if tree is None:
        return stripped
    try:
        _drop_idle_statements(tree)
        _rename_locals(tree)
        return ast.unparse(tree)
    except (ValueError, RecursionError, MemoryError):  # nested too deep, or an f-string that has no source form
        return stripped


def _drop_idle_statements(node: ast.AST) -> None:
    """Docstrings, other bare constants and idle `pass` do nothing. Only statements hold statements."""
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if isinstance(body, list):
            kept = [statement for statement in body if not _idle(statement)]
            needs_one = name == "body" and not isinstance(node, ast.Module)
            setattr(node, name, kept or ([ast.Pass()] if needs_one else []))
            for statement in kept:
                _drop_idle_statements(statement)
    for name in ("handlers", "cases"):
        for clause in getattr(node, name, ()):
            _drop_idle_statements(clause)


def _idle(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


@dataclass(eq=False)
class _Scope:
    kind: str
    parent: _Scope | None = None
    bound: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)
    module_names: set[str] = field(default_factory=set)
    outer_names: set[str] = field(default_factory=set)

    def owner(self, name: str) -> _Scope | None:
        """The function or comprehension that `name`, read here, is local to; None: a class, the module, a builtin."""
        scope: _Scope | None = self
        while scope is not None:
            if name in scope.module_names:
                return None
            visible = scope.kind != "class" or scope is self
            if visible and name in scope.bound and name not in scope.outer_names:
                return scope if scope.kind in ("function", "comprehension") and name not in scope.kept else None
            scope = scope.parent
        return None

    def outermost(self) -> _Scope:
        """The outermost function around this one: local names are numbered once in it, so none can shadow another."""
        chain = [scope for scope in self._chain() if scope.kind in ("function", "comprehension")]
        return chain[-1]

    def _chain(self) -> Iterator[_Scope]:
        scope: _Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


@dataclass
class _Use:
    scope: _Scope
    name: str
    rename: Callable[[str], None]


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """As `ast.iter_child_nodes`, in half the time, but for what says whether a name is read or bound."""
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, ast.AST):
                    yield item
        elif isinstance(value, ast.AST) and name != "ctx":
            yield value


class _Names(ast.NodeVisitor):
    """Every use of a name in the order of the tree, with the scope it is read in, and what each scope binds."""

    def __init__(self, called_by_keyword: set[str]) -> None:
        self.scope = _Scope("module")
        self.uses: list[_Use] = []
        self._called_by_keyword = called_by_keyword

    def visit(self, node: ast.AST) -> None:
        visitor = getattr(self, f"visit_{type(node).__name__}", None)
        if visitor is not None:
            visitor(node)
        else:
            for child in _children(node):
                self.visit(child)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Holds no name."""

    def _use(self, node: ast.AST, attribute: str, name: str) -> None:
        self.uses.append(_Use(self.scope, name, lambda new: setattr(node, attribute, new)))

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

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.scope.outer_names.update(node.names)
        for i, name in enumerate(node.names):

            def rename(new: str, i: int = i) -> None:
                node.names[i] = new

            self.uses.append(_Use(self.scope, name, rename))

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
        outer, self.scope = self.scope, _Scope(kind, self.scope)
        visit()
        self.scope = outer


def _rename_locals(tree: ast.Module) -> None:
    # A parameter may be given by keyword, or through **: by a keyword or a string of the program.
    spoken: set[str] = set()
    unread: list[ast.AST] = [tree]
    while unread:
        node = unread.pop()
        if isinstance(node, ast.Name):
            if node.id in _READS_NAMES:
                return
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                spoken.add(node.value)
        else:
            if isinstance(node, ast.keyword) and node.arg is not None:
                spoken.add(node.arg)
            unread.extend(_children(node))
    names = _Names(spoken)
    names.visit(tree)
    owned = [(use, use.scope.owner(use.name)) for use in names.uses]
    kept = {use.name for use, owner in owned if owner is None}
    numbers: dict[_Scope, Iterator[str]] = {}
    chosen: dict[tuple[_Scope, str], str] = {}
    for use, owner in owned:
        if owner is not None:
            key = (owner, use.name)
            if key not in chosen:
                fresh = numbers.setdefault(owner.outermost(), (f"v{i}" for i in count() if f"v{i}" not in kept))
                chosen[key] = next(fresh)
            use.rename(chosen[key])
