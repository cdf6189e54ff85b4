"""Edits that add layers: after a convolution or a hidden layer, after a block, before the classifier."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from deltanas.program.space.layers import ACTIVATION_LAYERS, CONV, NORMS
from deltanas.program.space.source import Change, Source, given

_SLOTS = frozenset({"append", "add_module"})
_HIDDEN = (64, 128, 256)
_LINEAR = ("in_features", "out_features")
_RATE = "0.1"


def structure_changes(source: Source) -> Iterator[Change]:
    nn = source.alias("torch.nn")
    if nn is None:
        return
    for node in source.walk():
        if not isinstance(node, ast.Call):
            continue
        if node is source.classifier:
            yield from _head(source, nn, node)
        elif source.layer(node) in ("Conv2d", "Linear"):
            yield from _after_layer(source, nn, node)
        elif source.layer(node) in ACTIVATION_LAYERS:
            chain = chain_of(source, node)
            if chain and not _is(source, following(chain, node), ("Dropout",)):
                yield added(source, "insert", node, [f"{nn}.Dropout({_RATE})"])
        elif isinstance(node.func, ast.Name) and node.func.id in source.classes:
            yield from _after_block(source, node)


def chain_of(source: Source, node: ast.expr) -> list[ast.expr] | None:
    """The layers that `node` is applied in line with: the arguments of a Sequential, or a list that becomes one."""
    parent = source.parents.get(node)
    if isinstance(parent, ast.Call) and source.layer(parent) == "Sequential" and node in parent.args:
        return parent.args
    if isinstance(parent, ast.List):
        above = source.parents.get(parent)
        return None if source.layer(above) == "ModuleList" else parent.elts
    return None


def following(chain: list[ast.expr], node: ast.expr) -> ast.expr | None:
    """What comes behind a layer in its chain."""
    return next(iter(chain[chain.index(node) + 1 :]), None)


def _is(source: Source, node: ast.expr | None, names: frozenset[str] | tuple[str, ...]) -> bool:
    return source.layer(node) in names


def added(source: Source, kind: str, node: ast.expr, texts: list[str]) -> Change:
    """Elements put behind `node` in its list."""
    _, end = source.span(node)
    return Change(kind, ((end, end, source.joined(["", *texts], node)),))


def wrapped(source: Source, nn: str, kind: str, node: ast.expr, texts: list[str]) -> Change | None:
    """`node` and what follows it as one Sequential, where nothing else looks into `node`."""
    parent = source.parents.get(node)
    if isinstance(parent, ast.Assign):
        target = parent.targets[0]
        if isinstance(target, ast.Name) or (isinstance(target, ast.Attribute) and target.attr in source.looked_into):
            return None
    elif isinstance(parent, ast.Call):
        if not (isinstance(parent.func, ast.Attribute) and parent.func.attr in _SLOTS):
            return None
    elif not isinstance(parent, ast.Return | ast.List):
        return None
    start, end = source.span(node)
    return Change(kind, ((start, start, f"{nn}.Sequential("), (end, end, ", ".join(["", *texts]) + ")")))


def _after_layer(source: Source, nn: str, node: ast.Call) -> Iterator[Change]:
    """Normalisation, activation or dropout right after a layer; more layers of its width after its own activation."""
    linear = source.layer(node) == "Linear"
    arguments = given(node, _LINEAR if linear else CONV)
    width_node = arguments and arguments.get("out_features" if linear else "out_channels")
    if not width_node:
        return
    width = source.of(width_node)
    norms = [f"{nn}.LayerNorm({width})"] if linear else [f"{nn}.BatchNorm2d({width})", f"{nn}.GroupNorm(1, {width})"]
    more = _more(nn, width, linear)
    chain = chain_of(source, node)
    if chain is None:
        for kind, texts in [("insert", [norm]) for norm in norms] + [
            ("depth", [f"{nn}.ReLU()", *layer]) for layer in more
        ]:
            change = wrapped(source, nn, kind, node, texts)
            if change:
                yield change
        return
    behind = following(chain, node)
    if not _is(source, behind, NORMS):
        for norm in norms:
            yield added(source, "insert", node, [norm])
        if not _is(source, behind, ACTIVATION_LAYERS) and not source.works_in_place:
            yield added(source, "insert", node, [f"{nn}.ReLU()"])
    last: ast.expr = node
    activation: str | None = None
    while behind is not None and _is(source, behind, NORMS | ACTIVATION_LAYERS):
        last = behind
        activation = source.of(behind) if _is(source, behind, ACTIVATION_LAYERS) else activation
        behind = following(chain, behind)
    for layer in more:
        # A chain that ends in a layer goes on to do so: a sum may follow.
        yield added(source, "depth", last, [*layer, activation] if activation else [f"{nn}.ReLU()", *layer])


def _more(nn: str, width: str, linear: bool) -> list[list[str]]:
    """Layers from `width` to `width` that keep the shape of a map."""
    if linear:
        return [[f"{nn}.Linear({width}, {width})"]]
    same = f"{nn}.Conv2d({width}, {width}, "
    return [
        [f"{same}kernel_size=3, padding=1)"],
        [f"{same}kernel_size=3, padding=1, bias=False)", f"{nn}.BatchNorm2d({width})"],
        [f"{same}kernel_size=3, padding=1, groups={width})"],
        [f"{same}kernel_size=1)"],
    ]


def _after_block(source: Source, node: ast.Call) -> Iterator[Change]:
    """One more of the program's own blocks, from the width that the block before it leaves."""
    if chain_of(source, node) is None or isinstance(source.parents.get(node), ast.comprehension):
        return
    init = (
        next((n for n in source.classes[node.func.id].body if _is_init(n)), None)
        if isinstance(node.func, ast.Name)
        else None
    )
    if not isinstance(init, ast.FunctionDef):
        return
    names = tuple(arg.arg for arg in init.args.args[1:])
    arguments = given(node, names)
    if not arguments:
        return
    texts = {name: source.of(value) for name, value in arguments.items()}
    outer = next((name for name in names if name.startswith(("out", "planes"))), None)
    if outer is None and len(names) > 1 and names[0].startswith("in"):
        outer = names[1]
    if outer in texts:
        texts[names[0]] = texts[str(outer)]
    for name in texts:
        if "stride" in name:
            texts[name] = "1"
    if any(word in name for name in texts for word in ("down", "growth")):
        return
    keywords = {keyword.arg for keyword in node.keywords}
    listed = [f"{name}={text}" if name in keywords else text for name, text in texts.items()]
    yield added(source, "depth", node, [f"{source.of(node.func)}({', '.join(listed)})"])


def _is_init(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__init__"


def _head(source: Source, nn: str, node: ast.Call) -> Iterator[Change]:
    """Dropout, normalisation or a hidden layer before the classifier."""
    lazy = source.layer(node) == "LazyLinear"
    arguments = given(node, ("out_features",) if lazy else _LINEAR)
    if not arguments or "out_features" not in arguments:
        return
    texts = {name: source.of(value) for name, value in arguments.items()}
    kept = [f"{name}={text}" for name, text in texts.items() if name not in _LINEAR]
    before = [[f"{nn}.Dropout({rate})"] for rate in ("0.1", "0.3")]
    if not lazy:
        before.append([f"{nn}.LayerNorm({texts['in_features']})"])
    wholes = [[*layers, source.of(node)] for layers in before]
    for hidden in _HIDDEN:
        first = f"{nn}.LazyLinear({hidden})" if lazy else f"{nn}.Linear({texts['in_features']}, {hidden})"
        last = f"{nn}.Linear({', '.join([str(hidden), texts['out_features'], *kept])})"
        wholes += [[first, f"{nn}.{activation}()", last] for activation in ("ReLU", "GELU")]
    target = source.parents.get(node)
    inline = chain_of(source, node) is not None
    if isinstance(target, ast.Assign) and any(getattr(t, "attr", None) in source.looked_into for t in target.targets):
        return
    for layers in wholes:
        text = source.joined(layers, node) if inline else f"{nn}.Sequential({', '.join(layers)})"
        yield source.replaced("head", node, text)
