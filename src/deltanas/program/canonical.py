"""The canonical form of a program: its source without what can't change its behaviour."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from itertools import count

from deltanas.program.scopes import Names, Scope, children

_LONG_NUMBER = re.compile(r"0[xob][0-9a-f_]{3000}", re.IGNORECASE)
_READS_NAMES = frozenset({"locals", "vars", "eval", "exec", "dir", "globals"})


def parsed(source: str) -> ast.Module | None:
    """The syntax tree, or None where the source does not parse. Never warns and never runs anything."""
    try:
        return tree_of(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def tree_of(source: str) -> ast.Module:
    """As `parsed`, but that it raises what `ast.parse` does.

    A number of too many digits is a SyntaxError in hexadecimals too, where Python reads it: no message could show it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    if _LONG_NUMBER.search(source):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, int):
                try:
                    str(node.value)
                except ValueError:
                    raise SyntaxError("a whole number of more than 4,300 digits", ("", node.lineno, 0, "")) from None
    return tree


def unparsed(source: str) -> tuple[int, str]:
    """The line, and why the source does not parse."""
    try:
        tree_of(source)
    except SyntaxError as error:
        return error.lineno or 1, error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        return 1, str(error) or type(error).__name__
    return 1, "it is nested too deeply"


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
            unread.extend(children(node))
    names = Names(spoken)
    names.visit(tree)
    owned = [(use, use.scope.owner(use.name)) for use in names.uses]
    kept = {use.name for use, owner in owned if owner is None}
    numbers: dict[Scope, Iterator[str]] = {}
    chosen: dict[tuple[Scope, str], str] = {}
    for use, owner in owned:
        if owner is not None:
            key = (owner, use.name)
            if key not in chosen:
                fresh = numbers.setdefault(owner.outermost(), (f"v{i}" for i in count() if f"v{i}" not in kept))
                chosen[key] = next(fresh)
            use.rename(chosen[key])
