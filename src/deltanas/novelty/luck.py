"""A gate of seeds: a program that differs from its parent by a seed alone is the parent with other luck."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from deltanas.program import Program, Refused, Stage, canonical_source
from deltanas.program.canonical import parsed
from deltanas.program.recipes.reading import called
from deltanas.records import Draft
from deltanas.seams import Gate

SEED_ALONE = "only a seed differs from its parent: that is luck, and no change of the network"
_SEEDING = frozenset(("manual_seed", "manual_seed_all", "seed", "seed_all", "set_rng_state", "fork_rng"))
_SEEDED = frozenset(("Random", "RandomState", "default_rng", "SeedSequence"))
"""Generators that take a seed."""


class SeedGate(Gate):
    """Refuses a program whose network is that of its parent but for calls that seed, and for numbers named a seed."""

    stage: Stage = "novelty"

    def __init__(self) -> None:
        self._known: dict[str, Program] = {}

    def remember(self, drafts: Sequence[Draft]) -> None:
        self._known |= {draft.program.id: draft.program for draft in drafts}

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return [Refused("novelty", SEED_ALONE) if self._is_seed_alone(draft.program) else draft for draft in drafts]

    def _is_seed_alone(self, program: Program) -> bool:
        parent = self._known.get(program.parent or "")
        if parent is None or parent.id == program.id or parent.besides("net") != program.besides("net"):
            return False
        return unseeded(parent.net) == unseeded(program.net)


def unseeded(source: str) -> str:
    """The canonical source without calls that seed and without imports that nothing uses, and with 0 for each number
    that is named a seed."""
    tree = parsed(source)
    if tree is None:
        return source
    found = _Unseeded().visit(tree)
    used = {node.id for node in ast.walk(found) if isinstance(node, ast.Name)}
    found.body = [node for node in found.body if not _is_idle_import(node, used)]
    for node in ast.walk(found):
        if getattr(node, "body", None) == []:  # it held nothing else
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
    return canonical_source(ast.unparse(ast.fix_missing_locations(found)))


def _is_idle_import(node: ast.stmt, used: set[str]) -> bool:
    if not isinstance(node, ast.Import | ast.ImportFrom):
        return False
    return all((each.asname or each.name.partition(".")[0]) not in used for each in node.names)


class _Unseeded(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Call) and _seeds(node.value) else self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """As in `torch.Generator().manual_seed(3)`, which stays."""
        if _seeds(node) or called(node) in _SEEDED:
            node.args = [ast.Constant(0) if _is_literal(each) else each for each in node.args]
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if _is_literal(node.value) and all(_named_seed(target) for target in node.targets):
            node.value = ast.Constant(0)
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value and _is_literal(node.value) and _named_seed(node.target):
            node.value = ast.Constant(0)
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        if _is_seed(node.arg or "") and _is_literal(node.value):
            node.value = ast.Constant(0)
        return self.generic_visit(node)


def _seeds(call: ast.Call) -> bool:
    name = called(call)
    return name in _SEEDING or name.endswith("seed_everything")


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node.operand if isinstance(node, ast.UnaryOp) else node, ast.Constant)


def _named_seed(target: ast.expr) -> bool:
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    return _is_seed(name)


def _is_seed(name: str) -> bool:
    """A `seed_width` is a width."""
    return name.lower().endswith(("seed", "seeds"))
