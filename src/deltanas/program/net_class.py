"""Which class of a program is its network."""

from __future__ import annotations

import ast

NET = "Net"


def net_class(tree: ast.Module) -> ast.ClassDef | None:
    """The class that the program calls `Net`: by its own name, or by `Net = OTHER` after it.

    None where the text does not tell: nothing is called so, or what is may be anything.
    """
    found: dict[str, ast.ClassDef | None] = {}
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name):
                found[name] = node
            case ast.Assign(targets=targets, value=value):
                named = found.get(value.id) if isinstance(value, ast.Name) else None
                found.update({target.id: named for target in targets if isinstance(target, ast.Name)})
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found[name] = found.get(value.id) if isinstance(value, ast.Name) else None
    return found.get(NET)


def names_bound(tree: ast.Module) -> frozenset[str]:
    """All names that the program gives to something outside its functions, under a condition too."""
    found: set[str] = set()
    todo: list[ast.AST] = [*tree.body]
    while todo:
        node = todo.pop()
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
                continue
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.alias(name=name, asname=other):
                found.add(other or name.partition(".")[0])
        todo.extend(ast.iter_child_nodes(node))
    return frozenset(found)
