"""The LEMUR contract, read off the syntax tree: nothing is executed here.

A program is one Python module with `supported_hyperparameters() -> set[str]` and a class `Net` with
`__init__(self, in_shape, out_shape, prm, device)`, `forward(self, x)`, `train_setup(self, prm)` and
`learn(self, train_data)` (NNGPT / LEMUR).
"""

from __future__ import annotations

import ast

from deltanas.program import names_bound, net_class
from deltanas.program.canonical import tree_of

MAX_CHARACTERS = 200_000
"""Longest source that is looked at; LEMUR's longest program has under 40,000 characters."""

METHODS = {
    "__init__": ("in_shape", "out_shape", "prm", "device"),
    "forward": ("x",),
    "train_setup": ("prm",),
    "learn": ("train_data",),
}


def contract_faults(source: str) -> tuple[str, ...]:
    """What keeps `source` from fulfilling the contract, each with its line; empty if it fulfils it."""
    if not source.strip():
        return ("the file is empty",)
    if len(source) > MAX_CHARACTERS:
        return (f"the source has {len(source):,} characters; the limit is {MAX_CHARACTERS:,}",)
    try:
        tree = tree_of(source)
    except SyntaxError as error:
        return (f"line {error.lineno or 1}: syntax error: {error.msg}",)
    except (ValueError, RecursionError, MemoryError) as error:
        return (f"the source can't be parsed: {error or type(error).__name__}",)
    return (*_hyperparameter_faults(tree), *_net_faults(tree))


def _hyperparameter_faults(tree: ast.Module) -> list[str]:
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    found = [node for node in functions if node.name == "supported_hyperparameters"]
    if found:
        return _argument_faults("supported_hyperparameters", found[-1], ())
    return [] if "supported_hyperparameters" in names_bound(tree) else ["no function `supported_hyperparameters()`"]


def _net_faults(tree: ast.Module) -> list[str]:
    """What can't be seen in the text, as in `Net = make()`, is seen when the network is built."""
    net = net_class(tree)
    if net is None:
        return [] if "Net" in names_bound(tree) else [_no_net(tree)]
    if not net.bases:
        return [f"line {net.lineno}: class `{net.name}` has no base; it must be a `torch.nn.Module`"]
    methods = {node.name: node for node in net.body if isinstance(node, ast.FunctionDef)}
    inherits = bool(net.decorator_list) or any(ast.unparse(base).split(".")[-1] != "Module" for base in net.bases)
    elsewhere = names_bound(ast.Module(net.body, [])) | _set_later(tree)
    faults: list[str] = []
    for name, arguments in METHODS.items():
        if name in methods:
            faults += _argument_faults(f"{net.name}.{name}", methods[name], arguments, bound=True)
        elif not inherits and name not in elsewhere:
            told = f"class `{net.name}` has no method `{name}({', '.join(('self', *arguments))})`"
            faults.append(f"line {net.lineno}: {told}")
    return faults


def _no_net(tree: ast.Module) -> str:
    """Names the class that could be meant: one that trains."""
    able = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(m, ast.FunctionDef) and m.name == "learn" for m in node.body)
    ]
    return f"no class `Net`: call `{able[-1]}` so, or end with `Net = {able[-1]}`" if able else "no class `Net`"


def _set_later(tree: ast.Module) -> set[str]:
    """Attributes of anything that the program sets outside its functions, as in `Net.learn = learn`."""
    assigned = (target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets)
    return {target.attr for target in assigned if isinstance(target, ast.Attribute)}


def _argument_faults(
    name: str, function: ast.FunctionDef, arguments: tuple[str, ...], *, bound: bool = False
) -> list[str]:
    """A fault if `function` can't be called with just these positional arguments (after `self`, if `bound`)."""
    given = len(arguments) + bound
    taken = [*function.args.posonlyargs, *function.args.args]
    least = len(taken) - len(function.args.defaults)
    needs_keywords = any(default is None for default in function.args.kw_defaults)
    if least <= given and (given <= len(taken) or function.args.vararg) and not needs_keywords:
        return []
    want = ", ".join((*(("self",) if bound else ()), *arguments))
    return [f"line {function.lineno}: `{name}` must take ({want})"]
