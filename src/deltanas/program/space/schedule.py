"""Schedules of the learning rate: within each epoch, whose length learn() knows, or over the first steps.

How many epochs there will be the program is not told. So a schedule falls within an epoch and starts anew in the next
one (I. Loshchilov, F. Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", ICLR), and ends low
whenever the training ends; or it needs no end, as a warm-up.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from deltanas.program.net_class import net_class
from deltanas.program.space.source import Change, Source, Span

_WITHIN = {
    "linear": "1 - step / {n}",
    "cosine": "0.5 + 0.5 * math.cos(math.pi * step / {n})",
    "one-cycle": "min((step + 1) / (0.3 * {n}), (1 - step / {n}) / 0.7)",
}
"""Factor of the rate at a step of an epoch of n steps."""
_WARM_UP = "min(1.0, (step + 1) / {steps})"
_WARM_UPS = (30, 100)
"""Steps of a warm-up."""
_NAME = "schedule"


def schedule_changes(source: Source) -> Iterator[Change]:
    """Where the text shows which optimizer steps, once a batch, and no rate is moved yet."""
    net = net_class(source.tree)
    optim = source.alias("torch.optim")
    if net is None or optim is None or "lr_scheduler" in source.text or _NAME in source.text:
        return
    functions = {node.name: node for node in net.body if isinstance(node, ast.FunctionDef)}
    learn, setup = functions.get("learn"), functions.get("train_setup")
    if learn is None or setup is None or len(learn.args.args) < 2:
        return
    data = learn.args.args[1].arg
    loops = [node for node in ast.walk(learn) if isinstance(node, ast.For) and _names(node.iter, data)]
    statements = [node for node in ast.walk(learn) if isinstance(node, ast.Expr)]
    steps = [(node, name) for node in statements if (name := _stepped(source, net.name, node))]
    if len(loops) != 1 or len(steps) != 1 or not source.starts_line(loops[0]):
        return
    loop, (step, optimizer) = loops[0], steps[0]
    if step not in ast.walk(loop) or not source.starts_line(step):
        return
    maker = f"{optim}.lr_scheduler.LambdaLR({optimizer}, lambda step: "
    start = source.span(loop)[0]
    for factor in _WITHIN.values():
        made = f"{_NAME} = {maker}{factor.format(n=f'len({data})')})\n{source.indentation(loop)}"
        spans = ((start, start, made), _after(source, step, f"{_NAME}.step()"))
        if (imported := _imported(source, factor)) is not None:
            yield Change("schedule", (*imported, *spans), "recipe")
    made_at = next((node for node in setup.body if _makes(source, node, optimizer)), None)
    if made_at is not None and source.starts_line(made_at):
        for count in _WARM_UPS:
            made = f"self.{_NAME} = {maker}{_WARM_UP.format(steps=count)})"
            spans = (_after(source, made_at, made), _after(source, step, f"self.{_NAME}.step()"))
            yield Change("schedule", spans, "recipe")


def _names(node: ast.AST, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))


def _stepped(source: Source, net: str, node: ast.Expr) -> str:
    """The optimizer, as in "self.optimizer", where the statement steps one of the network's own."""
    match node.value:
        case ast.Call(func=ast.Attribute(value=ast.Attribute() as owner, attr="step")):
            made = source.attributes.get((net, owner.attr)) if ast.unparse(owner.value) == "self" else None
            optimizes = isinstance(made, ast.Call) and source.dotted(made.func).startswith("torch.optim.")
            return source.of(owner) if optimizes else ""
        case _:
            return ""


def _makes(source: Source, node: ast.stmt, optimizer: str) -> bool:
    return isinstance(node, ast.Assign) and [source.of(target) for target in node.targets] == [optimizer]


def _after(source: Source, node: ast.stmt, text: str) -> Span:
    """One more statement, on a line of its own."""
    _, end = source.span(node)
    return end, end, f"\n{source.indentation(node)}{text}"


def _imported(source: Source, text: str) -> tuple[Span, ...] | None:
    """What imports the names that a text needs; None where there is no place for it."""
    if "math." not in text or source.imports.get("math") == "math":
        return ()
    first = next((node for node in source.tree.body if isinstance(node, ast.Import | ast.ImportFrom)), None)
    if first is None or "math" in source.imports or (getattr(first, "module", "") == "__future__"):
        return None
    start, _ = source.span(first)
    return ((start, start, "import math\n"),)
