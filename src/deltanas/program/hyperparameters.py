"""Hyperparameters that a program declares, read from its syntax tree, and the usual values of some."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from deltanas.program.canonical import parsed

USUAL: Mapping[str, float] = MappingProxyType(
    {
        "attention_dropout": 0.0,
        "dropout": 0.2,
        "dropout_aux": 0.7,
        "norm_eps": 1e-6,
        "norm_momentum": 0.1,
        "norm_std": 0.02,
        "patch_size": 0.25,
        "stochastic_depth_prob": 0.1,
    }
)
"""Values of names that LEMUR's classifiers declare. patch_size: a share of the image's height.

They come from the 111,332 trials of `nn-dataset==1.2.6` (docs/results.md): a value that many trials share where there
is one, which is that of the publication or of torch, as other values were drawn at random.
"""

SHOWN = frozenset(("lr", "momentum", "dropout"))
"""Hyperparameters that act through the program's own code alone, so that two training steps show them, if it reads
them."""

_FUNCTION = "supported_hyperparameters"


def declared(source: str) -> frozenset[str]:
    """The names that `supported_hyperparameters()` returns as text; none where the source does not parse."""
    tree = parsed(source)
    return frozenset() if tree is None else frozenset(_declared(tree))


def assumed(source: str, given: Mapping[str, float]) -> dict[str, float]:
    """Usual values of what a program declares and reads, and `given` lacks.

    A name that the program itself has a default for, `prm.get("dropout", 0.1)`, is left to the program.
    """
    lacking = [name for name in USUAL if name not in given and name in source]
    tree = parsed(source) if lacking and _FUNCTION in source else None
    if tree is None:
        return {}
    names = set(_declared(tree)) & set(_read(tree))
    return {name: USUAL[name] for name in lacking if name in names}


def unshown(prm: str) -> str:
    """Those hyperparameters that two training steps may not show: the batch, and all that are not known here."""
    return json.dumps({name: value for name, value in sorted(json.loads(prm).items()) if name not in SHOWN})


def prm_faults(text: str) -> tuple[str, ...]:
    """Why a text is no hyperparameters of a program, in words; nothing where it is."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        return (f"the hyperparameters are no JSON: {error}",)
    if not isinstance(values, dict):
        return ("the hyperparameters are no JSON object of names and numbers",)
    return tuple(
        f"hyperparameter {name!r} is {value!r}: {rule}"
        for name, value in values.items()
        if (rule := _rule(name, value))
    )


def _rule(name: str, value: object) -> str:
    """What the value of a hyperparameter breaks."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        return "a finite number is needed"
    if name == "batch" and not (value >= 1 and value == int(value)):
        return "a whole number of images, 1 or more, is needed"
    return "a rate above 0 is needed" if name == "lr" and value <= 0 else ""


def _declared(tree: ast.Module) -> Iterator[str]:
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and function.name == _FUNCTION:
            returns = (node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value)
            yield from (name for value in returns for node in ast.walk(value) for name in _text(node))


def _read(tree: ast.Module) -> Iterator[str]:
    """Names that are looked up where a missing one has no default."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(slice=key, ctx=ast.Load()):
                yield from _text(key)
            case ast.Call(func=ast.Attribute(attr="get" | "pop"), args=[key], keywords=[]):
                yield from _text(key)


def _text(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
