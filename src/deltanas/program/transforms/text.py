"""The text of a transform: read into operations, and written."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from deltanas.errors import DeltanasError
from deltanas.program.canonical import tree_of
from deltanas.program.transforms.menu import MENU, Parameter, Value, value_text

MOST_STEPS = 16
"""Operations in one transform."""

_MOST_CHARACTERS = 20_000
_RANGES = ("brightness", "contrast", "saturation", "hue", "degrees", "shear")
"""Parameters of which torchvision makes a range of one number."""
_PROTOCOL = ("Resize", "ToTensor", "Normalize")
_HOMES = ("torchvision.transforms.v2.", "torchvision.transforms.", "transforms.v2.", "transforms.")
_ANNOTATION = (ast.Name, ast.Attribute, ast.Constant, ast.Subscript, ast.Tuple, ast.expr_context)
_FORM = "write `def transform(norm): return transforms.Compose([...])`, with nothing but imports before it"


@dataclass(frozen=True, slots=True)
class Step:
    """An operation with the values of its parameters, in the order of `MENU`."""

    name: str
    values: tuple[Value, ...]

    @property
    def call(self) -> str:
        """As a line of a transform has it."""
        parameters = MENU[self.name].parameters
        given = (f"{one.name}={value_text(value)}" for one, value in zip(parameters, self.values, strict=True))
        return f"transforms.{self.name}({', '.join(given)})"


class TransformError(DeltanasError):
    """A transform that is not of the menu: the message says which line and why, the hint what to write instead."""


def transform_text(steps: Iterable[Step]) -> str:
    """LEMUR's text of these operations, one a line; what `read_transform` reads back as they are."""
    lines = "".join(f"        {step.call},\n" for step in steps)
    listed = f"[\n{lines}    ]" if lines else "[]"
    head = "import torchvision.transforms as transforms\n\n\ndef transform(norm):\n"
    return f"{head}    return transforms.Compose({listed})\n"


def read_transform(text: str) -> tuple[Step, ...]:
    """The operations of a transform, none for "". Raises TransformError."""
    if not text.strip():
        return ()
    if len(text) > _MOST_CHARACTERS:
        raise TransformError(f"the transform has {len(text):,} characters; {_MOST_CHARACTERS:,} are allowed", _FORM)
    try:
        return _steps(tree_of(text.removeprefix("\ufeff")))
    except SyntaxError as error:
        raise TransformError(f"line {error.lineno or 1}: syntax error: {error.msg}", _FORM) from None
    except (ValueError, MemoryError) as error:
        raise TransformError(f"the transform does not parse ({error})", _FORM) from None
    except RecursionError:
        raise TransformError("the transform is nested too deep", _FORM) from None


def _steps(tree: ast.Module) -> tuple[Step, ...]:
    body = _undocumented(tree.body)
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    rest = [node for node in body if node not in imports]
    functions = [node for node in rest if isinstance(node, ast.FunctionDef) and node.name == "transform"]
    function = functions[0] if functions else None
    others = [node for node in rest if node is not function]
    if function is None or others or function.decorator_list:
        line = (others or functions or body or [None])[0]
        where = f"line {line.lineno}: " if line is not None else ""
        raise TransformError(f"{where}the transform is not one function `transform` with imports before it", _FORM)
    return _Reader(_imported(imports), _argument(function)).steps(function)


def transform_faults(text: str) -> tuple[str, ...]:
    """What keeps a text from being a transform, with a hint; empty where nothing does."""
    try:
        read_transform(text)
    except TransformError as error:
        return (str(error),)
    return ()


def _undocumented(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """Without a docstring."""
    first = body[0] if body else None
    said = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return list(body[1:] if said else body)


def _argument(function: ast.FunctionDef) -> str:
    given = function.args
    others = (*given.posonlyargs, *given.kwonlyargs, *given.defaults)
    if len(given.args) != 1 or others or given.vararg or given.kwarg:
        raise TransformError(f"line {function.lineno}: `transform` does not take one argument", _FORM)
    for said in (given.args[0].annotation, function.returns):
        if said is not None and not all(isinstance(node, _ANNOTATION) for node in ast.walk(said)):
            raise TransformError(f"line {said.lineno}: an annotation that is no plain type", "leave it out")
    return given.args[0].arg


def _imported(imports: Iterable[ast.Import | ast.ImportFrom]) -> Mapping[str, str]:
    """The full name of each name that the imports bind."""
    names: dict[str, str] = {}
    for node in imports:
        for one in node.names:
            if isinstance(node, ast.ImportFrom):
                names[one.asname or one.name] = f"{'.' * node.level}{node.module or ''}.{one.name}"
            else:
                first = one.name.partition(".")[0]
                names[one.asname or first] = one.name if one.asname else first
    return names


@dataclass(frozen=True, slots=True)
class _Reader:
    """imported: names as in `_imported`. argument: the name that stands for the mean and deviation."""

    imported: Mapping[str, str]
    argument: str

    def steps(self, function: ast.FunctionDef) -> tuple[Step, ...]:
        body = _undocumented(function.body)
        returned = body[0] if body else function
        composed = returned.value if isinstance(returned, ast.Return) else None
        if len(body) != 1 or not isinstance(composed, ast.Call) or self._name(composed.func) != "Compose":
            told = f"line {returned.lineno}: the function does more than return `transforms.Compose([...])`"
            raise TransformError(told, _FORM)
        listed = composed.args[0] if len(composed.args) == 1 and not composed.keywords else None
        if not isinstance(listed, ast.List | ast.Tuple):
            raise TransformError(f"line {composed.lineno}: `Compose` takes one list", _FORM)
        elements = list(listed.elts)
        while elements and self._is_protocol(elements[-1]):
            elements.pop()
        if len(elements) > MOST_STEPS:
            told = f"line {composed.lineno}: {len(elements)} operations; {MOST_STEPS} are allowed"
            raise TransformError(told, f"leave {len(elements) - MOST_STEPS} of them out")
        stray = [one for one in elements[-1:] if isinstance(one, ast.Call) and self._name(one.func) in _PROTOCOL]
        return tuple(map(self._step, stray or elements))

    def _is_protocol(self, node: ast.expr) -> bool:
        """`Resize` with plain values, `ToTensor()` and `Normalize(*norm)`."""
        if not isinstance(node, ast.Call):
            return False
        name, given = self._name(node.func), [*node.args, *(one.value for one in node.keywords if one.arg)]
        if name == "Resize":
            known = {one.arg for one in node.keywords} <= {"size", "interpolation", "max_size", "antialias"}
            return known and 0 < len(given) <= 4 and all(map(_is_plain, given))
        said = [ast.unparse(one) for one in node.args]
        return not node.keywords and (name, said) in (("ToTensor", []), ("Normalize", [f"*{self.argument}"]))

    def _step(self, node: ast.expr) -> Step:
        name = self._name(node.func) if isinstance(node, ast.Call) else ""
        if not isinstance(node, ast.Call) or name not in MENU:
            told = f"line {node.lineno}: `{ast.unparse(node)[:80]}` is not an operation of the menu"
            raise TransformError(told, self._instead(node))
        operation = MENU[name]
        known = [one.name for one in operation.parameters]
        given = dict(zip(known, node.args, strict=False))
        named = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg in known}
        placed = len(known) if operation.by_place else 0
        if len(node.args) > placed or len(named) < len(node.keywords) or given.keys() & named.keys():
            how = "each once" if operation.by_place else "each once and by its name"
            takes = f"{', '.join(known)}, {how}" if known else "nothing"
            raise TransformError(f"line {node.lineno}: `{name}` takes {takes}", f"for instance `{operation.call}`")
        given |= {str(key): value for key, value in named.items()}
        return Step(name, tuple(_value(one, given.get(one.name)) for one in operation.parameters))

    def _instead(self, node: ast.expr) -> str:
        function = node.func if isinstance(node, ast.Call) else node
        name = self._name(function)
        if name in _PROTOCOL:
            last = f"Normalize(*{self.argument})"
            return f"Resize(...) of plain values, ToTensor() and {last} stand at the end or are left out"
        said = name or ast.unparse(function).rpartition(".")[2]
        bare = {_bare(one): one for one in reversed(MENU)}
        like = get_close_matches(_bare(said), bare, n=1, cutoff=0.75)
        near = [said] if said in MENU else [bare[one] for one in like]
        return f"for instance `{MENU[near[0]].call}`" if near else f"the menu: {', '.join(MENU)}"

    def _name(self, function: ast.expr) -> str:
        """The name in torchvision's transforms, "" for anything else."""
        dotted = ast.unparse(function) if isinstance(function, ast.Name | ast.Attribute) else ""
        first, dot, rest = dotted.partition(".")
        full = f"{self.imported.get(first, first)}{dot}{rest}"
        name = next((full.removeprefix(home) for home in _HOMES if full.startswith(home)), full)
        foreign = first == self.argument or (first in self.imported and not full.startswith("torchvision."))
        return name if name.isidentifier() and not foreign else ""


def _bare(name: str) -> str:
    return name.lower().removeprefix("random")


def _value(parameter: Parameter, given: ast.expr | None) -> Value:
    if given is None:
        return parameter.default
    value = _literal(given)
    if value is None or not _fits(parameter, value):
        told = f"line {given.lineno}: `{parameter.name}` is `{ast.unparse(given)[:80]}`, not {parameter.bounds}"
        raise TransformError(told, f"for instance `{parameter.assigned}`{_meant(parameter, value)}")
    return value


def _meant(parameter: Parameter, value: Value | None) -> str:
    """What torchvision makes of one number where a range is asked for."""
    if not isinstance(value, float) or parameter.name not in _RANGES:
        return ""
    middle = 1.0 if parameter.name in ("brightness", "contrast", "saturation") else 0.0
    meant = (max(0.0, middle - value) if middle else -value, middle + value)
    return f"; torchvision takes {value_text(value)} for {value_text(meant)}" if _fits(parameter, meant) else ""


def _fits(parameter: Parameter, value: Value) -> bool:
    if parameter.choices:
        return value in parameter.choices
    if isinstance(value, str) or isinstance(value, tuple) != isinstance(parameter.default, tuple):
        return False
    numbers = value if isinstance(value, tuple) else (value,)
    within = all(parameter.least <= one <= parameter.most for one in numbers)
    return (
        within
        and (not isinstance(parameter.default, tuple) or len(numbers) == len(parameter.default))
        and (not parameter.ordered or list(numbers) == sorted(numbers))
        and (not parameter.whole or all(one.is_integer() for one in numbers))
    )


def _literal(node: ast.expr) -> Value | None:
    """A number, a word, or a tuple or list of numbers; None for anything else."""
    if isinstance(node, ast.Tuple | ast.List):
        numbers = [_literal(one) for one in node.elts]
        return tuple(one for one in numbers if isinstance(one, float)) if all(map(_is_number, numbers)) else None
    signed = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd)
    negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    constant = node.operand if isinstance(node, ast.UnaryOp) and signed else node
    value = constant.value if isinstance(constant, ast.Constant) else None
    if isinstance(value, str):
        return None if signed else value
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e9:
        return None
    return -float(value) if negative else float(value)


def _is_plain(node: ast.expr) -> bool:
    """A literal, True, False or None."""
    return isinstance(node, ast.Constant) or _literal(node) is not None


def _is_number(value: object) -> bool:
    return isinstance(value, float)
