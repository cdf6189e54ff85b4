"""Edits of one layer that keep its shape: activations, kernels, pools, normalisation, dropout rates."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from deltanas.program.space.source import Change, Source, given, literal_int

ACTIVATIONS = {
    "ReLU": "ReLU()",
    "GELU": "GELU()",
    "SiLU": "SiLU()",
    "ELU": "ELU()",
    "LeakyReLU": "LeakyReLU(0.1)",
    "Hardswish": "Hardswish()",
    "Mish": "Mish()",
}
ACTIVATION_LAYERS = frozenset(ACTIVATIONS) | {"ReLU6", "PReLU", "SELU", "CELU", "Softplus", "Tanh"}
FUNCTIONALS = ("relu", "gelu", "silu", "elu", "leaky_relu", "hardswish", "mish")
FUNCTIONAL_ACTIVATIONS = frozenset(FUNCTIONALS) | {"relu6", "selu", "celu", "softplus"}
NORMS = frozenset(
    {"BatchNorm1d", "BatchNorm2d", "GroupNorm", "LayerNorm", "InstanceNorm2d", "RMSNorm", "LazyBatchNorm2d"}
)
CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode")
_POOL = ("kernel_size", "stride", "padding", "ceil_mode")
_KERNELS = (1, 3, 5, 7)
_DROPOUTS = ("0.0", "0.05", "0.1", "0.2", "0.3", "0.5")


def layer_changes(source: Source) -> Iterator[Change]:
    nn = source.alias("torch.nn")
    if nn is None:
        return
    functional = source.alias("torch.nn.functional") or f"{nn}.functional"
    for node in source.walk():
        if isinstance(node, ast.Call):
            name = source.layer(node)
            if name:
                yield from _activation(source, nn, node, name)
                yield from _kernel(source, node, name)
                yield from _pool(source, nn, node, name)
                yield from _norm(source, nn, node, name)
                yield from _dropout(source, node, name)
            else:
                yield from _functional(source, functional, node)
                yield from _mean(source, node)
        elif isinstance(node, ast.Attribute | ast.Name):
            yield from _reference(source, nn, functional, node)


def _activation(source: Source, nn: str, call: ast.Call, name: str) -> Iterator[Change]:
    if name in ACTIVATION_LAYERS:
        for other, text in ACTIVATIONS.items():
            if other != name:
                yield source.replaced("activation", call, f"{nn}.{text}")


def _functional(source: Source, functional: str, call: ast.Call) -> Iterator[Change]:
    """F.relu(x), torch.relu(x): only the first argument goes on, the others belong to the old activation."""
    head, _, name = source.dotted(call.func).rpartition(".")
    if head in ("torch", "torch.nn.functional") and name in FUNCTIONAL_ACTIVATIONS and call.args:
        for other in FUNCTIONALS:
            if other != name:
                yield source.replaced("activation", call, f"{functional}.{other}({source.of(call.args[0])})")
    if head == "torch.nn.functional":
        for one, two in (("max_pool2d", "avg_pool2d"), ("adaptive_max_pool2d", "adaptive_avg_pool2d")):
            if name in (one, two) and given(call, ("input", *_POOL[:3])) is not None:
                other = two if name == one else one
                yield source.replaced("pooling", call.func, f"{functional}.{other}")


def _mean(source: Source, call: ast.Call) -> Iterator[Change]:
    """x.mean(dim=...) in a forward pass is a pool too."""
    method = call.func
    if source.works_in_place:
        return
    if isinstance(method, ast.Attribute) and method.attr in ("mean", "amax") and not source.dotted(method):
        arguments = given(call, ("dim", "keepdim"))
        if source.function_of(call) == "forward" and arguments and "dim" in arguments and len(arguments) <= 2:
            _, end = source.span(method)
            other = "amax" if method.attr == "mean" else "mean"
            yield Change("pooling", ((end - len(method.attr), end, other),))


def _reference(source: Source, nn: str, functional: str, node: ast.Attribute | ast.Name) -> Iterator[Change]:
    """Layers and functions that are passed on uncalled: act=nn.ReLU, norm=nn.BatchNorm2d, self.act = F.relu."""
    parent = source.parents.get(node)
    if not isinstance(node.ctx, ast.Load) or isinstance(parent, ast.Attribute):
        return
    # As a base class, an annotation or the class of isinstance it builds nothing.
    if not (
        isinstance(parent, ast.keyword | ast.Assign | ast.arguments | ast.Dict | ast.List) or _argument(node, parent)
    ):
        return
    head, _, name = source.dotted(node).rpartition(".")
    if head == "torch.nn" and name in ACTIVATION_LAYERS and "inplace" not in source.text:
        for other in ACTIVATIONS:
            if other != name:
                yield source.replaced("activation", node, f"{nn}.{other}")
    elif head in ("torch", "torch.nn.functional") and name in FUNCTIONAL_ACTIVATIONS:
        for other in FUNCTIONALS:
            if other != name:
                yield source.replaced("activation", node, f"{functional}.{other}")
    elif head == "torch.nn" and name == "BatchNorm2d":
        yield source.replaced("normalisation", node, f"{nn}.InstanceNorm2d")


def _argument(node: ast.expr, parent: ast.AST | None) -> bool:
    return isinstance(parent, ast.Call) and node in parent.args and ast.unparse(parent.func) != "isinstance"


def _kernel(source: Source, call: ast.Call, name: str) -> Iterator[Change]:
    """Another kernel with the padding that keeps 2 * padding - dilation * (kernel - 1), hence the output's size."""
    arguments = given(call, CONV) if name in ("Conv1d", "Conv2d", "Conv3d") else None
    kernel = literal_int(arguments.get("kernel_size")) if arguments else None
    if arguments is None or kernel is None:
        return
    dilation = 1 if "dilation" not in arguments else literal_int(arguments["dilation"])
    padding_node = arguments.get("padding")
    same = isinstance(padding_node, ast.Constant) and padding_node.value == "same"
    padding = 0 if padding_node is None else literal_int(padding_node)
    if dilation is None or (padding is None and not same):
        return
    for other in _KERNELS if kernel % 2 else (kernel - 2, kernel + 2):
        if other == kernel or other < 1:
            continue
        spans = [(*source.span(arguments["kernel_size"]), str(other))]
        if padding is not None:
            doubled = 2 * padding + dilation * (other - kernel)
            if doubled < 0:
                continue
            if padding_node is not None:
                spans.append((*source.span(padding_node), str(doubled // 2)))
            else:
                spans.append(source.appended(call, f"padding={doubled // 2}"))
        yield Change("kernel", tuple(spans))


def _pool(source: Source, nn: str, call: ast.Call, name: str) -> Iterator[Change]:
    pairs = (("MaxPool2d", "AvgPool2d"), ("AdaptiveMaxPool2d", "AdaptiveAvgPool2d"), ("MaxPool1d", "AvgPool1d"))
    for one, two in pairs:
        if name in (one, two):
            arguments = given(call, _POOL[:3])
            if arguments is not None and set(arguments) <= {*_POOL, "output_size"}:
                yield source.replaced("pooling", call.func, f"{nn}.{two if name == one else one}")
                kernel, stride = (literal_int(arguments.get(key)) for key in ("kernel_size", "stride"))
                if kernel == 2 and (stride == 2 or "stride" not in arguments) and "padding" not in arguments:
                    # Windows that overlap leave a map of the same size.
                    rest = "".join(f", {k}={source.of(arguments[k])}" for k in ("ceil_mode",) if k in arguments)
                    overlapping = f"{source.of(call.func)}(kernel_size=3, stride=2, padding=1{rest})"
                    yield source.replaced("pooling", call, overlapping)


def _norm(source: Source, nn: str, call: ast.Call, name: str) -> Iterator[Change]:
    others: tuple[str, ...] = ()
    if name in ("BatchNorm2d", "InstanceNorm2d", "GroupNorm"):
        arguments = given(call, ("num_groups", "num_channels") if name == "GroupNorm" else ("num_features",))
        width = arguments and arguments.get("num_channels" if name == "GroupNorm" else "num_features")
        if width:
            c = source.of(width)
            others = (f"BatchNorm2d({c})", f"GroupNorm(1, {c})", f"InstanceNorm2d({c}, affine=True)", "Identity()")
    elif name in ("LayerNorm", "RMSNorm"):
        arguments = given(call, ("normalized_shape",))
        if arguments and "normalized_shape" in arguments:
            c = source.of(arguments["normalized_shape"])
            others = (f"LayerNorm({c})", f"RMSNorm({c})", "Identity()")
    elif name == "BatchNorm1d":
        arguments = given(call, ("num_features",))
        if arguments and "num_features" in arguments:
            others = (f"LayerNorm({source.of(arguments['num_features'])})", "Identity()")
    for other in others:
        if not other.startswith(f"{name}("):
            yield source.replaced("normalisation", call, f"{nn}.{other}")


def _dropout(source: Source, call: ast.Call, name: str) -> Iterator[Change]:
    if name in ("Dropout", "Dropout1d", "Dropout2d"):
        rate = (given(call, ("p", "inplace")) or {}).get("p")
        if isinstance(rate, ast.Constant) and isinstance(rate.value, int | float):
            for other in _DROPOUTS:
                if float(other) != rate.value:
                    yield source.replaced("dropout", rate, other)
