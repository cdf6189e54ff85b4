"""One program among several in one file: its module-level names renamed by scope, its imports taken out. Pure text."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn, TypeGuard

from deltanas.errors import DeltanasError
from deltanas.program.canonical import parsed, unparsed
from deltanas.program.net_class import NET
from deltanas.program.scopes import Names, Use

_SEES_NAMES = frozenset({"globals", "eval", "exec", "sys.modules"})
_SEES_NAMES_HERE = frozenset({"locals", "vars", "dir"})
"""Without arguments they give the names of where they stand."""
_NAME = frozenset({"__name__", "__qualname__", "_get_name"})
"""What gives the name of a class or a function; the last is nn.Module's."""
_FUTURE = "__future__"
HYPERPARAMETERS = "supported_hyperparameters"


class AssemblyError(DeltanasError):
    """Programs that can't be put into one file, with the line that stands in the way."""


@dataclass(frozen=True, slots=True)
class Import:
    """An import of the module level. name: what it binds. bound: to what, with dots. text: the statement."""

    name: str
    bound: str
    text: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """A program whose module-level names all end with its number. net: its `Net`. imports: what it needs before it."""

    body: str
    net: str
    imports: tuple[Import, ...]


class Source:
    """A program, read. name: what errors call it."""

    def __init__(self, text: str, name: str) -> None:
        """Raises AssemblyError where the text does not show that the program can share a file with others."""
        self.text, self.name = text.replace("\r\n", "\n").replace("\r", "\n"), name
        tree = parsed(self.text)
        if tree is None:
            line, why = unparsed(self.text)
            self.fails(line, f"it is no Python: {why}", f"`deltanas check` says more of {name}")
        self.tree: ast.Module = tree
        self.names = Names(set())
        try:
            self.names.visit(tree)
            ast.dump(tree)
        except RecursionError:
            self.fails(1, "an expression is nested too deeply", "split it into several statements")
        self.annotations = any(isinstance(one, ast.ImportFrom) and one.module == _FUTURE for one in tree.body)
        if NET not in self.names.scope.bound:
            self.fails(1, "it defines no `Net`", "name a program that follows the LEMUR contract")
        self._refuse()
        self.imports = tuple(self._imports())
        self.shared = frozenset(one.name for one in self.imports)

    def fails(self, line: int, what: str, hint: str) -> NoReturn:
        raise AssemblyError(f"{self.name}, line {line}: {what}", hint)

    def _refuse(self) -> None:
        """Whatever shows, or might change, more than the program's own names."""
        own = self.names.scope.bound
        imported = {one.name: one.bound for node in ast.walk(self.tree)
                    if isinstance(node, ast.Import | ast.ImportFrom) for one in _bound(node)}  # fmt: skip
        bare = {id(node.func): node for node in ast.walk(self.tree) if isinstance(node, ast.Call) and not node.args}
        for use in self.names.uses:
            if not isinstance(use.node, ast.Name):
                continue
            if not use.scope.of_module(use.name) and not use.scope.owner(use.name):
                self._refuse_builtin(use, use.node, bare.keys())
            if use.scope.kind == "class" and use.name in use.scope.bound & own and _read(use.node):
                self.fails(
                    use.node.lineno,
                    f"the class reads `{use.name}`, which it binds and the module too",
                    f"give one of the two `{use.name}` another name",
                )
        for node in ast.walk(self.tree):
            self._refuse_node(node, own, imported)
        self._refuse_said()

    def _refuse_builtin(self, use: Use, node: ast.Name, bare: Container[int]) -> None:
        here = use.scope.kind != "function" and use.name in _SEES_NAMES_HERE and id(node) in bare
        if use.name in _SEES_NAMES or here:
            self._sees(node, use.name)

    def _sees(self, node: ast.expr, what: str) -> NoReturn:
        self.fails(
            node.lineno,
            f"`{what}` sees names that are renamed where programs share a file",
            f"write what it looks up without `{what}`",
        )

    def _refuse_said(self) -> None:
        """A program that asks for names of classes or functions, and says one of its own as a text."""
        nodes = list(ast.walk(self.tree))
        if not any(
            (isinstance(node, ast.Attribute) and node.attr in _NAME)
            or (isinstance(node, ast.Constant) and node.value in _NAME)  # as getattr(x, "__name__") says it
            for node in nodes
        ):
            return
        defined = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        own = defined & self.names.scope.bound
        silent = {id(part) for node in nodes for one in _never_compared(node) for part in ast.walk(one)}
        ends = {id(part) for node in nodes for one in _ends_asked(node) for part in ast.walk(one)}
        for node in nodes:
            if not isinstance(node, ast.Constant) or id(node) in silent or not isinstance(node.value, str):
                continue
            alike = own & {node.value}
            if id(node) in ends:
                alike = {name for name in own if name.endswith(node.value)}
            if alike:
                self.fails(
                    node.lineno,
                    f"the name {node.value!r} is compared with, and it is renamed",
                    f"compare with isinstance(..., {min(alike)})",
                )

    def _refuse_node(self, node: ast.AST, own: set[str], imported: Mapping[str, str]) -> None:
        whole = _dotted(node, imported)
        if isinstance(node, ast.expr) and whole.removeprefix("builtins.") in _SEES_NAMES and "." in whole:
            self._sees(node, ast.unparse(node))
        if isinstance(node, ast.expr) and (last := whole.rpartition(".")[2]).startswith("set_default_"):
            self._holds_for_all(node, last)
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(value=str(last)), *_]) if last.startswith(
                "set_default_"
            ):
                self._holds_for_all(node, last)
            case ast.Expr(value=ast.Call(func=called)) if _dotted(called, imported).endswith(".set_grad_enabled"):
                self._holds_for_all(node, "set_grad_enabled")
            case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[of, *_]) if _root(of) in imported:
                self._set(node, ast.unparse(node))
            case ast.ImportFrom(names=names) if any(alias.name == "*" for alias in names):
                self.fails(
                    node.lineno,
                    f"`from {node.module or '.'} import *` does not tell which names it binds",
                    "name what the program uses",
                )
            case ast.ImportFrom(module="__future__", names=names) if any(one.name == "barry_as_FLUFL" for one in names):
                self.fails(node.lineno, "`barry_as_FLUFL` holds for a whole file", "take the line out")
            case ast.Attribute(attr=attr) | ast.Constant(value=str(attr)) if attr.isidentifier() and any(
                attr.startswith(f"_{name.lstrip('_')}__") for name in own
            ):
                self.fails(
                    node.lineno, f"`{attr}` holds the name of a class, which is renamed", "write `self.__` there"
                )
            case ast.Attribute(ctx=ast.Store() | ast.Del()) if _root(
                node
            ) in imported and ".backends." not in ast.unparse(node):
                self._set(node, ast.unparse(node))

    def _set(self, node: ast.expr, what: str) -> NoReturn:
        self.fails(
            node.lineno,
            f"`{what}` is set, and all programs of a file share it",
            f"derive a class, or write a function, that does without `{what}`",
        )

    def _holds_for_all(self, node: ast.expr | ast.stmt, what: str) -> NoReturn:
        self.fails(node.lineno, f"`{what}` holds for all programs of a file", f"take `{what}` out")

    def _imports(self) -> Iterator[Import]:
        """Those of the module level whose names nothing else in the program binds to another object."""
        bindings = Counter(use.name for use in self.names.uses if use.scope.of_module(use.name) and not _read(use.node))
        statements = [list(_bound(node)) for node in self.tree.body if _imports_at_once(node)]
        while True:
            found = [one for statement in statements for one in statement]
            meant: dict[str, set[str]] = {}
            for one in found:
                meant.setdefault(one.name, set()).add(one.bound)
            counts = Counter(one.name for one in found)
            alone = {name for name in meant if len(meant[name]) == 1 and counts[name] == bindings[name]}
            kept = [statement for statement in statements if all(one.name in alone for one in statement)]
            if len(kept) == len(statements):
                return iter(found)
            statements = kept


def _read(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _dotted(node: ast.AST, imported: Mapping[str, str]) -> str:
    """What the text names, by what its imports stand for; "" where that is not told."""
    match node:
        case ast.Attribute(value=value, attr=attr):
            return f"{_dotted(value, imported)}.{attr}"
        case ast.Name(id=name):
            return imported.get(name, name)
    return ""


def _never_compared(node: ast.AST) -> Iterator[ast.expr]:
    """Where a class may be named by a text: in annotations, and in what the module says that it exports."""
    match node:
        case ast.arg(annotation=one) | ast.AnnAssign(annotation=one) | ast.FunctionDef(returns=one) if one:
            yield one
        case ast.Assign(targets=[ast.Name(id="__all__")], value=one):
            yield one


def _ends_asked(node: ast.AST) -> Iterator[ast.expr]:
    """What a text is asked to end with."""
    match node:
        case ast.Call(func=ast.Attribute(attr="endswith" | "removesuffix"), args=asked):
            yield from asked


def _imports_at_once(node: ast.stmt) -> TypeGuard[ast.Import | ast.ImportFrom]:
    return isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != _FUTURE)


def _bound(node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    for alias in node.names:
        said = alias.name if alias.asname in (None, alias.name) else f"{alias.name} as {alias.asname}"
        if isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield Import(alias.asname or alias.name, f"{module}.{alias.name}", f"from {module} import {said}")
        elif alias.asname:
            yield Import(alias.asname, alias.name, f"import {said}")
        else:
            yield Import(alias.name.split(".")[0], alias.name.split(".")[0], f"import {said}")


@lru_cache(maxsize=512)
def source_of(text: str, name: str) -> Source:
    """Read once."""
    return Source(text, name)


@lru_cache(maxsize=1024)
def renamed(text: str, name: str, number: int, own: frozenset[str]) -> Renamed:
    """The program as the `number`th of a file.

    own: names of imports that stand for something else in another program, and so get the number too.

    Raises AssemblyError, which calls it `name`.
    """
    source = Source(text, name)
    imports, shared = source.imports, source.shared - own
    taken = {use.name for use in source.names.uses}
    fresh = {old: _fresh(old, number, taken) for old in sorted(source.names.scope.bound) if old not in shared}
    gone = [node for node in source.tree.body if _goes(node, source)]
    edit = _Edit(source.text)
    for use in source.names.uses:
        if use.name in fresh and use.scope.of_module(use.name):
            _rename(source, edit, use, fresh[use.name], gone)
    for node in gone:
        edit.drop(node)
        source.tree.body.remove(node)
    body = edit.text()
    if (read := parsed(body)) is None or ast.dump(read) != ast.dump(source.tree):
        body = ast.unparse(source.tree)  # some name was not where it seemed to be
    moved = [new for one in imports for new in (_moved(one, fresh[one.name]) if one.name in fresh else [one])]
    return Renamed(body.strip("\n"), fresh[NET], tuple(moved))


def _fresh(name: str, number: int, taken: set[str]) -> str:
    if name.startswith("__") and name.endswith("__"):  # else a class would read it as its own private name
        return f"{name[:-2]}_{number}__"
    new = f"{name}_{number}"
    while new in taken:
        new = f"{new.removesuffix(str(number))}_{number}"
    return new


def _moved(one: Import, name: str) -> list[Import]:
    """The import under another name."""
    said = one.text.split(" as ")[0]
    whole = said.removeprefix("import ")
    if " as " in one.text or one.text.startswith("from ") or "." not in whole:
        return [Import(name, one.bound, f"{said} as {name}")]
    loaded = (
        f"{whole.replace('.', '_')}_{name}"  # a module of the package, that the program reaches through the package
    )
    return [
        Import(name, one.bound, f"import {one.bound} as {name}"),
        Import(loaded, whole, f"import {whole} as {loaded}"),
    ]


def _goes(node: ast.stmt, source: Source) -> bool:
    """What the file has once, or has no use for: imports, the docstring, the hyperparameters that are declared."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return not _imports_at_once(node) or all(one.name in source.shared for one in _bound(node))
        case ast.Expr(value=ast.Constant(value=str())):
            return True
        case ast.FunctionDef(name=name) if name == HYPERPARAMETERS:
            return sum(use.name == name for use in source.names.uses) == 1
    return False


def _rename(source: Source, edit: _Edit, use: Use, new: str, gone: Sequence[ast.stmt]) -> None:
    """In the tree and in the text."""
    node = use.node
    if not isinstance(node, ast.alias):
        edit.name(node, use.name, new)
        use.rename(new)
    elif not any(node in statement.names for statement in gone if isinstance(statement, ast.Import | ast.ImportFrom)):
        if node.asname is None and "." in node.name:
            source.fails(
                node.lineno,
                f"`import {node.name}` binds `{use.name}` on a condition, or beside others",
                f"write `import {node.name} as ...`, with a name of its own",
            )
        node.asname = new
        edit.replace(*edit.span(node), f"{node.name} as {new}")


class _Edit:
    """Replacements in a text, at the places of the nodes of its tree."""

    def __init__(self, text: str) -> None:
        self._data = text.encode("utf-8", "surrogatepass")
        self._lines = [0, *(place + 1 for place, byte in enumerate(self._data) if byte == 10)]
        self._changes: list[tuple[int, int, bytes]] = []

    def span(self, node: ast.expr | ast.alias) -> tuple[int, int]:
        end = (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        return self._at(node.lineno, node.col_offset), self._at(*end)

    def name(self, node: ast.AST, old: str, new: str) -> None:
        """The first place in the node's text at which the name stands."""
        begin = self._at(node.lineno, node.col_offset)  # type: ignore[attr-defined]
        found = re.compile(rb"(?<![\w.])%s(?!\w)" % re.escape(old.encode())).search(self._data, begin)
        if found:
            self.replace(*found.span(), new)

    def replace(self, begin: int, end: int, new: str) -> None:
        self._changes.append((begin, end, new.encode()))

    def drop(self, node: ast.stmt) -> None:
        """The lines of a statement, and the empty ones after it."""
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        end = self._at((node.end_lineno or node.lineno) + 1, 0)
        blank = re.compile(rb"(?:[ \t]*\n)*").match(self._data, end)
        self.replace(self._at(first, 0), blank.end() if blank else end, "")

    def text(self) -> str:
        """A change within another one goes with it."""
        pieces: list[bytes] = []
        done = 0
        for begin, end, new in sorted(self._changes, key=lambda one: (one[0], -one[1])):
            if begin >= done:
                pieces += [self._data[done:begin], new]
                done = end
        return b"".join([*pieces, self._data[done:]]).decode("utf-8", "surrogatepass")

    def _at(self, line: int, column: int) -> int:
        return self._lines[line - 1] + column if line <= len(self._lines) else len(self._data)
