"""Edits of the forward pass: residual sums put in, weakened or taken out, and extra statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from deltanas.program.space.layers import ACTIVATION_LAYERS, CONV, FUNCTIONALS, NORMS
from deltanas.program.space.source import Change, Source, given, literal_int

_IN_PLACE = ACTIVATION_LAYERS | NORMS | {"Identity", "Dropout", "Dropout2d", "Sigmoid"}


def wiring_changes(source: Source) -> Iterator[Change]:
    nn = source.alias("torch.nn")
    functional = source.alias("torch.nn.functional") or (nn and f"{nn}.functional")
    for node in source.walk():
        if source.function_of(node) == "forward" and isinstance(node, ast.Assign | ast.Return) and node.value:
            if isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.Add):
                yield from _sum(source, node.value)
            elif isinstance(node.value, ast.Call):
                yield from _residual(source, node.value)
                if isinstance(node, ast.Assign) and functional and nn:
                    yield from _statement(source, functional, node, node.value)
                    yield from _excited(source, nn, node, node.value)
            elif isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.Mult):
                yield from _gate(source, node, node.value)


def _sum(source: Source, node: ast.BinOp) -> Iterator[Change]:
    """x + f(x): f alone, or f at half weight."""
    sides = (node.left, node.right)
    calls = [side for side in sides if any(isinstance(n, ast.Call) for n in ast.walk(side))]
    if not calls or not all(isinstance(side, ast.Name | ast.Call | ast.Subscript) for side in sides):
        return
    start, _ = source.span(calls[-1])
    yield Change("residual", ((start, start, "0.5 * "),))
    if any(isinstance(side, ast.Name) for side in sides):
        yield source.replaced("residual", node, source.of(calls[-1]))


def _residual(source: Source, call: ast.Call) -> Iterator[Change]:
    """f(x) to x + f(x), where f is seen to keep the shape of x."""
    if len(call.args) == 1 and not call.keywords and isinstance(call.args[0], ast.Name):
        function = made_by(source, call)
        if function is not None and keeps_shape(source, function):
            start, _ = source.span(call)
            yield Change("residual", ((start, start, f"{call.args[0].id} + "),))


def made_by(source: Source, call: ast.Call) -> ast.expr | None:
    """What `self.name` of `self.name(x)` was set to."""
    owner = source.class_of(call)
    if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "self" and owner:
        return source.attributes.get((owner.name, call.func.attr))
    return None


def keeps_shape(source: Source, node: ast.expr) -> bool:
    """Whether a layer is seen to give what shape it takes."""
    flow = _flow(source, node)
    return flow is not None and flow[0] == flow[1] != ""


def _flow(source: Source, node: ast.expr) -> tuple[str, str] | None:
    """The texts of the widths that a layer takes and gives, ("", "") if it takes any; None if it moves the shape."""
    name = source.layer(node)
    if not isinstance(node, ast.Call) or name in _IN_PLACE:
        return ("", "") if name in _IN_PLACE else None
    if name == "Linear":
        arguments = given(node, ("in_features", "out_features")) or {}
        sides = [arguments.get("in_features"), arguments.get("out_features")]
        return (source.of(sides[0]), source.of(sides[1])) if sides[0] and sides[1] else None
    if name == "Conv2d":
        return _conv_flow(source, node)
    if name == "Sequential":
        return _sequential_flow(source, node)
    return None


def _conv_flow(source: Source, node: ast.Call) -> tuple[str, str] | None:
    arguments = given(node, CONV) or {}
    stride = literal_int(arguments["stride"]) if "stride" in arguments else 1
    dilation = literal_int(arguments["dilation"]) if "dilation" in arguments else 1
    padding = literal_int(arguments["padding"]) if "padding" in arguments else 0
    kernel = literal_int(arguments.get("kernel_size"))
    wide, out = arguments.get("in_channels"), arguments.get("out_channels")
    if not wide or not out or stride != 1 or kernel is None or padding is None or dilation is None:
        return None
    return (source.of(wide), source.of(out)) if 2 * padding == dilation * (kernel - 1) else None


def _sequential_flow(source: Source, node: ast.Call) -> tuple[str, str] | None:
    if len(node.args) == 1 and isinstance(node.args[0], ast.Starred):
        # The same block again and again takes what it gives.
        made = node.args[0].value
        if (
            isinstance(made, ast.ListComp)
            and len(made.generators) == 1
            and isinstance(made.generators[0].target, ast.Name)
        ):
            names = {n.id for n in ast.walk(made.elt) if isinstance(n, ast.Name)}
            return ("same", "same") if made.generators[0].target.id not in names else None
        return None
    flow = ("", "")
    for element in node.args:
        step = _flow(source, element)
        if step is None:
            return None
        if step != ("", ""):
            flow = (flow[0] or step[0], step[1])
    return flow


def _statement(source: Source, functional: str, node: ast.Assign, call: ast.Call) -> Iterator[Change]:
    """One more statement on the same variable, unless the logits pass here."""
    target = node.targets[0]
    if (
        len(node.targets) != 1
        or not isinstance(target, ast.Name)
        or target.id not in {ast.unparse(a) for a in call.args}
    ):
        return
    made = made_by(source, call)
    if made is None or any(n is source.classifier for n in ast.walk(made)):
        return
    _, end = source.span(node)
    texts = [f"{functional}.dropout({target.id}, 0.1, self.training)"]
    computed = source.layer(made) in ("Conv2d", "Linear") or source.layer(made) in NORMS
    if computed and not source.works_in_place:
        texts += [f"{functional}.{name}({target.id})" for name in FUNCTIONALS[:3]]
    for text in texts:
        yield Change("insert", ((end, end, f"\n{source.indentation(node)}{target.id} = {text}"),))


def _excited(source: Source, nn: str, node: ast.Assign, call: ast.Call) -> Iterator[Change]:
    """Squeeze and excitation (Hu et al., 2018): a gate in `__init__`, and a product behind the layer that it weighs."""
    made, target = made_by(source, call), node.targets[0]
    assigned = source.parents.get(made) if made else None
    width = _width_after(source, made) if made else None
    if not isinstance(assigned, ast.Assign) or not isinstance(target, ast.Name) or width is None or len(call.args) != 1:
        return
    gate = f"{ast.unparse(call.func)}_gate"
    for reduction in ("4", "8"):
        inner = f"max(1, {width} // {reduction})"
        layers = [
            f"{nn}.AdaptiveAvgPool2d(1)",
            f"{nn}.Conv2d({width}, {inner}, kernel_size=1)",
            f"{nn}.ReLU()",
            f"{nn}.Conv2d({inner}, {width}, kernel_size=1)",
            f"{nn}.Sigmoid()",
        ]
        (_, behind), (_, end) = source.span(assigned), source.span(node)
        lines = f",\n{source.indentation(assigned)}    ".join(layers)
        new = f"{gate} = {nn}.Sequential(\n{source.indentation(assigned)}    {lines}\n{source.indentation(assigned)})"
        product = f"\n{source.indentation(node)}{target.id} = {target.id} * {gate}({target.id})"
        yield Change("excite", ((behind, behind, f"\n{source.indentation(assigned)}{new}"), (end, end, product)))


def _width_after(source: Source, made: ast.expr) -> str | None:
    """The channels that a layer or a chain of layers gives, as written where it is made; None for no convolution."""
    if source.layer(made) == "Sequential" and isinstance(made, ast.Call):
        widths = [width for element in made.args if (width := _width_after(source, element))]
        known = all(source.layer(element) for element in made.args)
        return widths[-1] if widths and known else None
    arguments = given(made, CONV) if isinstance(made, ast.Call) and source.layer(made) == "Conv2d" else None
    text = source.of(arguments["out_channels"]) if arguments and "out_channels" in arguments else None
    return text if text is None or text.isidentifier() or text.isdigit() else f"({text})"


def _gate(source: Source, statement: ast.Assign | ast.Return, node: ast.BinOp) -> Iterator[Change]:
    """x * f(x): x alone, which needs no statement where it is x already."""
    for one, two in ((node.left, node.right), (node.right, node.left)):
        if isinstance(one, ast.Name) and isinstance(two, ast.Call) and one.id in {ast.unparse(a) for a in two.args}:
            same = isinstance(statement, ast.Assign) and [ast.unparse(t) for t in statement.targets] == [one.id]
            span = source.without(statement) if same else None
            yield Change("excite", (span,)) if span else source.replaced("excite", node, one.id)
