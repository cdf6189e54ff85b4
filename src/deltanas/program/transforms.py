"""The transform part: a closed menu of calls with literal arguments. It is parsed and never executed.

    def transform(norm):
        return transforms.Compose([
            transforms.RandomCrop(padding=0.125),
            transforms.RandomHorizontalFlip(p=0.5),
        ])

An operation that is added to `MENU` gets its half that works on images in `train/augment.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from deltanas.errors import DeltanasError
from deltanas.program.canonical import parsed

MOST_STEPS = 16
"""Operations in one transform."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that an operation takes: what it is where it is not given, and its least and greatest value."""

    name: str
    default: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on training images, by its name in torchvision, whose parameters are told in shares."""

    name: str
    about: str
    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        given = ", ".join(f"{one.name}={one.default:g} ({one.least:g} to {one.most:g})" for one in self.parameters)
        return f"{self.name}({given}): {self.about}"


@dataclass(frozen=True, slots=True)
class Step:
    """An operation with the values of its parameters, in the order of `MENU`."""

    name: str
    values: tuple[float, ...]


MENU: Mapping[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation(
            "RandomHorizontalFlip",
            "mirrors an image left to right with probability p",
            (Parameter("p", 0.5, 0.0, 1.0),),
        ),
        Operation(
            "RandomCrop",
            "pads an image with zeros by a share of its shorter side and cuts it back to its size at a random place",
            (Parameter("padding", 0.125, 0.0, 0.5),),
        ),
    )
}


class TransformError(DeltanasError):
    """A transform that is not of the menu. The message says which line and why, the hint what the menu holds."""

    def __init__(self, message: str) -> None:
        super().__init__(message, f"a transform is {_FORM}; operations: {'; '.join(map(str, MENU.values()))}")


_FORM = "`def transform(norm): return transforms.Compose([...])` with calls of the menu and plain numbers"


def read_transform(text: str) -> tuple[Step, ...]:
    """The operations of a transform, none for "". Raises TransformError."""
    if not text.strip():
        return ()
    tree = parsed(text)
    if tree is None:
        raise TransformError("the transform does not parse")
    body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    function = body[0] if len(body) == 1 else None
    if not isinstance(function, ast.FunctionDef) or function.name != "transform" or function.decorator_list:
        raise TransformError("the transform is not one function `transform` with imports before it")
    returned = function.body[0]
    composed = returned.value if isinstance(returned, ast.Return) else None
    if len(function.body) != 1 or not isinstance(composed, ast.Call) or _name(composed.func) != "Compose":
        raise TransformError(f"line {returned.lineno}: the function does more than return `transforms.Compose([...])`")
    listed = composed.args[0] if len(composed.args) == 1 and not composed.keywords else None
    if not isinstance(listed, ast.List | ast.Tuple):
        raise TransformError(f"line {composed.lineno}: `Compose` takes one list")
    if len(listed.elts) > MOST_STEPS:
        raise TransformError(f"line {composed.lineno}: {len(listed.elts)} operations; {MOST_STEPS} are allowed")
    return tuple(map(_step, listed.elts))


def transform_faults(text: str) -> tuple[str, ...]:
    """What keeps a text from being a transform, with the menu; empty where nothing does."""
    try:
        read_transform(text)
    except TransformError as error:
        return (str(error),)
    return ()


def _step(node: ast.expr) -> Step:
    name = _name(node.func) if isinstance(node, ast.Call) else ""
    if not isinstance(node, ast.Call) or name not in MENU:
        raise TransformError(f"line {node.lineno}: `{ast.unparse(node)[:80]}` is not an operation of the menu")
    parameters = MENU[name].parameters
    known = [one.name for one in parameters]
    given = dict(zip(known, node.args, strict=False))
    named = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg in known}
    if len(node.args) > len(known) or len(named) < len(node.keywords) or given.keys() & named.keys():
        raise TransformError(f"line {node.lineno}: `{name}` takes {', '.join(known)}, each once")
    return Step(name, tuple(_value(node, one, {**given, **named}.get(one.name)) for one in parameters))


def _value(call: ast.Call, parameter: Parameter, given: ast.expr | None) -> float:
    if given is None:
        return parameter.default
    value = given.value if isinstance(given, ast.Constant) else None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not parameter.least <= value <= parameter.most:  # type: ignore[operator]  # a number by now
        wanted = f"a plain number from {parameter.least:g} to {parameter.most:g}"
        raise TransformError(f"line {call.lineno}: `{parameter.name}` is `{ast.unparse(given)[:80]}`, not {wanted}")
    return float(value)  # type: ignore[arg-type]


def _name(function: ast.expr) -> str:
    """The last name of `transforms.X` or `X`, "" for anything else."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.attr if function.value.id == "transforms" else ""
    return function.id if isinstance(function, ast.Name) else ""
