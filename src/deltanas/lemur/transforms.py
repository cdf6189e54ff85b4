"""The transforms that nn-gpt released with their scores: where they lie, and what their texts say.

`ab/gpt/brute/trans/{out_gen,dataset_epoch1}/NAME.py` is a transform, `{result_gen,result_epoch1}/NAME.json` its score.
A text is parsed and never executed: calls of the operations that were searched, with literal arguments.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deltanas.lemur.layout import FaultError, Layout, source_from, trial_of
from deltanas.program.canonical import parsed
from deltanas.program.trial import Experiment, Trial

Literal = int | float | str | tuple[int | float, ...]

HYPERPARAMETERS = ("batch", "dropout", "lr", "momentum")
"""What a file, or `PROTOCOL`, tells of how it was trained."""

PROTOCOL: Mapping[str, object] = {"dropout": 0.2, "nn": "ResNet"}
"""What all were trained with and their files leave out, by nn-gpt's `TransformEval.py`. `nn`: the best network of this
name that the data base held at that moment."""

SIDE = 32
"""Pixels of an image's side before the first operation: all was measured on CIFAR-10."""

_EPOCHS = {"result_gen": 1, "result_epoch1": 5}
"""Number of epochs where a file tells none. Those of the second folder do, whatever its name says."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operation as the text has it, its arguments by the names that torchvision gives them."""

    name: str
    arguments: Mapping[str, Literal]


@dataclass(frozen=True, slots=True)
class Released:
    """What a transform's text says.

    before, resize: side in pixels that images are scaled to before and after the operations; None where they are not.
    """

    calls: tuple[Call, ...]
    resize: int | None = None
    before: int | None = None


def _number(least: float, most: float) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    )  # fmt: skip


def _whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _several(count: int, one: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, tuple) and len(value) == count and all(map(one, value))


def _either(*those: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: any(one(value) for one in those)


def _range(least: float, most: float) -> Callable[[object], bool]:
    pair = _several(2, _number(least, most))
    return lambda value: pair(value) and value[0] <= value[1]  # type: ignore[index]  # a pair by now


_P = _number(0, 1)
_PIXELS = _whole(1, 4096)
_LEVEL = _whole(0, 1000)  # where the mode is not "constant" one file has 282, and one two levels
_FACTOR = _either(_number(0, 100), _range(0, 100))
_DEGREES = _either(_number(0, 360), _range(-360, 360))

CALLS: Mapping[str, Mapping[str, Callable[[object], bool]]] = {
    "CenterCrop": {"size": _PIXELS},
    "Pad": {
        "padding": _whole(0, 4096),
        "fill": _either(_LEVEL, _several(2, _LEVEL), _several(3, _LEVEL)),
        "padding_mode": lambda value: value in ("constant", "edge", "reflect", "symmetric"),
    },
    "RandomCrop": {"size": _PIXELS, "padding": _whole(0, 4096)},
    "RandomHorizontalFlip": {"p": _P},
    "RandomVerticalFlip": {"p": _P},
    "RandomResizedCrop": {"size": _PIXELS, "scale": _range(1e-6, 1), "ratio": _range(0.01, 100)},
    "ColorJitter": {
        "brightness": _FACTOR,
        "contrast": _FACTOR,
        "saturation": _FACTOR,
        "hue": _either(_number(0, 0.5), _range(-0.5, 0.5)),
    },
    "RandomRotation": {"degrees": _DEGREES},
    "RandomAffine": {
        "degrees": _DEGREES,
        "translate": _several(2, _P),
        "scale": _range(1e-6, 100),
        "shear": _either(_number(0, 180), _range(-180, 180)),
    },
    "Grayscale": {"num_output_channels": lambda value: value == 3},
    "RandomGrayscale": {"p": _P},
    "RandomPerspective": {"distortion_scale": _P, "p": _P},
    "GaussianBlur": {
        "kernel_size": lambda value: _whole(1, 101)(value) and value % 2 == 1,  # type: ignore[operator]
        "sigma": _either(_number(1e-6, 100), _range(1e-6, 100)),
    },
    "RandomInvert": {"p": _P},
    "RandomPosterize": {"bits": _whole(0, 8), "p": _P},
    "RandomSolarize": {"threshold": _number(0, 256), "p": _P},
    "RandomAdjustSharpness": {"sharpness_factor": _number(0, 100), "p": _P},
    "RandomAutocontrast": {"p": _P},
    "RandomEqualize": {"p": _P},
}
"""The operations that were searched: torchvision's parameters in its order, and which values each takes."""
_NEEDS = {name for name, known in CALLS.items() if next(iter(known)) != "p"} - {
    "ColorJitter",
    "Grayscale",
    "RandomPerspective",
}
"""Operations whose first parameter has no default."""


def read_released(text: str) -> Released:
    """What a released text says. Raises FaultError, with the line, where it holds anything else."""
    tree = parsed(text.removeprefix("\ufeff"))
    if tree is None:
        raise FaultError("it is no Python")
    try:
        return _read(tree)
    except RecursionError:
        raise FaultError("it is nested too deep") from None


def _read(tree: ast.Module) -> Released:
    body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    function = body[0] if len(body) == 1 else None
    if not isinstance(function, ast.FunctionDef) or function.name != "transform" or function.decorator_list:
        raise FaultError("it is not one function `transform` with imports before it")
    returned = function.body[0]
    composed = returned.value if isinstance(returned, ast.Return) else None
    listed = composed.args[0] if isinstance(composed, ast.Call) and len(composed.args) == 1 else None
    names = [one.arg for one in function.args.args]
    plain = len(function.body) == 1 and len(names) == 1 and isinstance(composed, ast.Call) and not composed.keywords
    if not plain or _name(composed) != "Compose" or not isinstance(listed, ast.List):
        raise FaultError(f"line {returned.lineno}: the function does more than return `transforms.Compose([...])`")
    return _released(listed.elts, names[0])


def _released(elements: list[ast.expr], norm: str) -> Released:
    rest = list(elements)
    resize, before = None, None
    for last in (f"transforms.Normalize(*{norm})", "transforms.ToTensor()"):
        if rest and ast.unparse(rest[-1]) == last:
            rest.pop()
    if rest and _name(rest[-1]) == "Resize":
        resize = _square(rest.pop())
    if rest and _name(rest[0]) == "Resize":
        before = _square(rest.pop(0))
    return Released(tuple(map(_call, rest)), resize, before)


def _square(node: ast.expr) -> int:
    size = [*node.args, *(one.value for one in node.keywords)] if isinstance(node, ast.Call) else []
    value = _literal(size[0]) if len(size) == 1 else None
    if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]:
        value = value[0]
    if not _PIXELS(value):
        raise FaultError(f"line {node.lineno}: `{ast.unparse(node)[:80]}` does not scale to a square")
    assert isinstance(value, int)
    return value


def _call(node: ast.expr) -> Call:
    name = _name(node)
    if name not in CALLS:
        raise FaultError(f"line {node.lineno}: `{ast.unparse(node)[:80]}` is none of the operations that were searched")
    assert isinstance(node, ast.Call)
    known = CALLS[name]
    named = [(keyword.arg, keyword.value) for keyword in node.keywords]
    given = [*zip(known, node.args, strict=False), *named]
    arguments = {key: _literal(value) for key, value in given if key is not None}
    if len(node.args) > len(known) or len(arguments) < len(given) or not arguments.keys() <= known.keys():
        raise FaultError(f"line {node.lineno}: `{name}` takes {', '.join(known)}, each once")
    first = next(iter(known))
    if name in _NEEDS and first not in arguments:
        raise FaultError(f"line {node.lineno}: `{ast.unparse(node)[:80]}` has no `{first}`")
    for key, value in arguments.items():
        if value is None or not known[key](value):
            raise FaultError(f"line {node.lineno}: `{ast.unparse(node)[:80]}`: `{key}` has no value that it takes")
    return Call(name, {key: value for key, value in arguments.items() if value is not None})


def _literal(node: ast.expr) -> Literal | None:
    """The value of a number, a text, or a tuple or list of numbers; None for anything else."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    value = tuple(value) if isinstance(value, list) else value
    numbers = value if isinstance(value, tuple) else (value,)
    plain = all(isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < math.inf for one in numbers)
    return value if plain or isinstance(value, str) else None


def _name(node: ast.expr | None) -> str:
    """The name X of a call `transforms.X(...)`, "" for anything else."""
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.attr if function.value.id == "transforms" else ""
    return ""


class _Transforms:
    """The layout of nn-gpt's released transforms. A program is a transform's text; its trials name the network."""

    command = "transforms"
    inside = "ab/gpt/brute/trans/"
    folders: tuple[str, ...] = ("out_gen", "dataset_epoch1", "result_gen", "result_epoch1")
    lacks = "transforms (ab/gpt/brute/trans/out_gen/*.py)"
    where = "nn-gpt 1.0.6 holds some: pip download --no-deps nn-gpt==1.0.6"
    fetch = "pip download --no-deps nn-gpt==1.0.6"

    def program_name(self, path: str) -> str | None:
        match path.split("/"):
            case ["out_gen" | "dataset_epoch1", file] if file.endswith(".py") and file != "__init__.py":
                return file.removesuffix(".py")
            case _:
                return None

    def is_trials(self, path: str) -> bool:
        match path.split("/"):
            case [folder, file]:
                return folder in _EPOCHS and file.endswith(".json")
            case _:
                return False

    def program_of(self, path: str) -> str:
        return path.rpartition("/")[2].removesuffix(".json")

    def source(self, data: bytes) -> str:
        source = source_from(data)
        read_released(source)
        return source

    def trials(self, path: str, data: bytes) -> list[Trial]:
        row = _object(data)
        epoch = row.get("epoch", _EPOCHS[path.partition("/")[0]])
        if not _whole(1, 10**6)(epoch):
            raise FaultError(f"its epoch is {epoch!r}, no number of epochs")
        experiment = Experiment("img-classification", "cifar-10", "acc", self.program_of(path))
        trial = trial_of(experiment, int(epoch), {**PROTOCOL, **row}, "the file")
        if not 0 <= trial.accuracy <= 1:
            raise FaultError(f"its accuracy is {trial.accuracy}, no share")
        for name in HYPERPARAMETERS:
            if name in row and not _number(0, 1e9)(row[name]):
                raise FaultError(f"its {name} is {str(row[name])[:20]!r}, no number from 0 to 1e9")
        network = row.get("nn", "")
        if not isinstance(network, str) or not re.fullmatch(r"[\w.-]*", network):
            raise FaultError(f"it tells of the network {network!r}, no plain name")
        if row.get("transform") != experiment.program:
            raise FaultError(f"it tells of the transform {row.get('transform')!r}")
        return [trial]


TRANSFORMS: Layout = _Transforms()


def _object(data: bytes) -> dict[str, Any]:
    if not data.strip():
        raise FaultError("the file is empty")
    try:
        row = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FaultError(f"not JSON: {error}") from None
    if not isinstance(row, dict):
        raise FaultError("not an object")
    return row
