"""Recipes: another loss and another optimizer in place of a program's own, by replacing what makes them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from deltanas.program.canonical import parsed
from deltanas.program.net_class import net_class
from deltanas.program.recipe_flow import flow_of
from deltanas.program.recipe_losses import (
    NGL_CLASS,
    NLL_CLASS,
    base_of,
    class_text,
    constructor_text,
    inserted,
    is_already,
    kept_arguments,
    read_loss,
    require_classifier,
)
from deltanas.program.recipe_reading import RecipeError, RecipeSource, short
from deltanas.program.space.source import Change, Span

__all__ = ["LOSSES", "NATURAL_RATES", "OPTIMIZERS", "RecipeError", "recipe_of", "recipe_spans", "with_recipe"]

LOSSES = ("ce", "nll", "ngl")
OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta")
NATURAL_RATES = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001, "rmsprop": 0.01, "adagrad": 0.01, "adadelta": 1.0}
"""torch's defaults for the learning rate; of SGD the usual one with momentum."""

_CLASSES = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
}
_BETAS = ("lr", "betas", "eps", "weight_decay")
_PARAMETERS = {
    "SGD": ("lr", "momentum", "dampening", "weight_decay", "nesterov"),
    "Adam": (*_BETAS, "amsgrad"),
    "AdamW": (*_BETAS, "amsgrad"),
    "NAdam": (*_BETAS, "momentum_decay"),
    "RAdam": _BETAS,
    "Adamax": _BETAS,
    "RMSprop": ("lr", "alpha", "eps", "weight_decay", "momentum", "centered"),
    "Adagrad": ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"),
    "Adadelta": ("lr", "rho", "eps", "weight_decay"),
    "ASGD": ("lr", "lambd", "alpha", "t0", "weight_decay"),
    "Rprop": ("lr", "etas", "step_sizes"),
}
"""Positional parameters behind `params`."""
_RATES = {"SGD": "0.001", "NAdam": "0.002", "Adamax": "0.002", "Adadelta": "1.0"} | dict.fromkeys(
    ("RMSprop", "Adagrad", "ASGD", "Rprop"), "0.01"
)
"""torch's default of `lr`, where it is not 0.001."""
_UNLIKE = {"LBFGS": "evaluates its closure many times a step", "SparseAdam": "takes sparse gradients alone"}
_SHARED = frozenset({"lr", "weight_decay", "maximize", "foreach", "differentiable"})
"""Arguments that all six optimizers have, and that mean the same."""
_FAMILY = frozenset({"betas", "eps"})
_ADAMS = frozenset({"Adam", "AdamW", "NAdam", "RAdam", "Adamax"})
_FASTER = {"fused": ("SGD", "Adam", "AdamW", "Adagrad"), "capturable": ("Adam", "AdamW", "RMSprop", "Adadelta")}
_GROUP = frozenset({"params", "lr", "weight_decay", "name"})
_CYCLES = frozenset({"OneCycleLR", "CyclicLR"})
_MOMENTUM = "0.9"
_ONE_OPTIMIZER = "make one optimizer, as in `self.optimizer = torch.optim.SGD(self.parameters(), lr=prm['lr'])`"


def with_recipe(
    source: str,
    *,
    loss: str | None = None,
    optimizer: str | None = None,
    rate: float | None = None,
    scale: float = 1.0,
) -> str:
    """The program with another loss, optimizer or learning rate, all else as it was; unchanged where it has these.

    What is replaced is the call that makes the loss or the optimizer, wherever that stands. Parameter groups, the
    ratios of their rates, and all arguments that the new class has too and that mean the same, stay. "nll" and "ngl"
    are classes that take logits, and are put into the program.

    loss: one of `LOSSES`, optimizer: one of `OPTIMIZERS`; None keeps the program's. rate: the learning rate; None keeps
    the program's expression. scale: what multiplies the NGL.

    Raises RecipeError, with the line, where the text does not show that the injected recipe is what will be trained.
    """
    _require_known(loss, optimizer, rate, scale)
    text = source.replace("\r\n", "\n")
    tree = parsed(text)
    if tree is None or "\r" in text:
        raise RecipeError("the program is no Python", "`deltanas check FILE` says what is wrong with it")
    program = RecipeSource(text, tree)
    spans = recipe_spans(program, loss=loss, optimizer=optimizer, rate=rate, scale=scale)
    made = program.changed(Change("recipe", spans))
    return made.replace("\n", "\r\n") if text != source else made


def recipe_spans(
    program: RecipeSource,
    *,
    loss: str | None = None,
    optimizer: str | None = None,
    rate: float | None = None,
    scale: float = 1.0,
) -> tuple[Span, ...]:
    """What `with_recipe` changes, none where the program has all of it. Raises RecipeError."""
    net = net_class(program.tree)
    if net is None:
        raise RecipeError("the program has no class Net", "`deltanas check FILE` says what is wrong with it")
    require_classifier(program, net)
    spans: list[Span] = []
    needed: list[str] = []
    if loss is not None:
        spans += _loss_spans(program, loss, scale, needed)
    if optimizer is not None or rate is not None:
        spans += _optimizer_spans(program, optimizer, rate, needed)
    if needed:
        spans.append((program.top, program.top, "".join(needed)))
    return tuple(spans)


def recipe_of(source: str) -> tuple[str, str] | None:
    """The loss and the optimizer that a program trains with, as `LOSSES` and `OPTIMIZERS` name them.

    None where the text does not tell, or they are others.
    """
    text = source.replace("\r\n", "\n")
    tree = parsed(text)
    if tree is None:
        return None
    program = RecipeSource(text, tree)
    try:
        loss, optimizer = read_loss(program).kind, _read_optimizer(program).name
    except RecipeError:
        return None
    known = [name for name, kind in _CLASSES.items() if kind == optimizer]
    return (loss, known[0]) if known else None


def _require_known(loss: str | None, optimizer: str | None, rate: float | None, scale: float) -> None:
    if loss is not None and loss not in LOSSES:
        raise RecipeError(f"no loss {loss!r}", f"known: {', '.join(LOSSES)}")
    if optimizer is not None and optimizer not in OPTIMIZERS:
        raise RecipeError(f"no optimizer {optimizer!r}", f"known: {', '.join(OPTIMIZERS)}")
    if rate is not None and not (isfinite(rate) and rate > 0):
        raise RecipeError(f"the learning rate {rate} is no positive number", "0.01, say")
    if not (isfinite(scale) and scale > 0):
        raise RecipeError(f"the scale {scale} is no positive number", "1.0, say")
    if scale != 1.0 and loss != "ngl":
        raise RecipeError("a scale is for the loss ngl alone", "leave the scale out, or take the loss ngl")


# The loss


def _loss_spans(program: RecipeSource, wanted: str, scale: float, needed: list[str]) -> Iterator[Span]:
    """needed: gets the lines that must stand before the program's first class."""
    loss = read_loss(program)
    if is_already(program, loss, wanted, scale):
        return
    kept = [f"{name}={value}" for name, value in kept_arguments(program, loss, wanted).items()]
    name = {"nll": NLL_CLASS, "ngl": NGL_CLASS}.get(wanted, "")
    there = inserted(program)
    for known, node in there.items():
        if known != name:
            start, end = program.span(node)
            yield start, end + len(program.text[end:]) - len(program.text[end:].lstrip("\n")), ""
    if name and name not in there:
        if not program.is_free(name):
            raise RecipeError(f"the program has a {name} of its own", f"give {name} another name")
        needed.append(class_text(name, _spelled(program, base_of(name), needed)) + "\n\n\n")
    if wanted == "ngl":
        kept = [] if scale == 1.0 else [repr(scale)]
    called = name or _spelled(program, "torch.nn.CrossEntropyLoss", needed)
    yield (*program.span(loss.call), constructor_text(program, loss, f"{called}({', '.join(kept)})"))


def _spelled(program: RecipeSource, dotted: str, needed: list[str]) -> str:
    """How the program can name one of torch's classes; where no import leads there, one is added to `needed`."""
    alias = program.alias(dotted)
    if alias is not None:
        return alias
    module, _, name = dotted.rpartition(".")
    if not program.is_free(name):
        raise RecipeError(f"the program calls something else {name}, and does not import {module}", "`import torch`")
    needed.insert(0, f"from {module} import {name}\n\n\n")
    return name


# The optimizer


@dataclass(frozen=True)
class _Optimizer:
    call: ast.Call
    name: str
    arguments: dict[str, ast.expr]


def _optimizer_spans(
    program: RecipeSource, wanted: str | None, rate: float | None, needed: list[str]
) -> Iterator[Span]:
    old = _read_optimizer(program)
    name = _CLASSES[wanted] if wanted else old.name
    _require_moved(program, old, name, rate)
    texts = {key: program.of(value) for key, value in old.arguments.items() if key != "params"}
    arguments = _kept(old, name, texts)
    if rate is not None and _number(old.arguments.get("lr")) != rate:
        arguments["lr"] = repr(rate)
        yield from _group_spans(program, old, repr(rate))
    if arguments != texts or name != old.name:
        called = program.of(old.call.func) if name == old.name else _spelled(program, f"torch.optim.{name}", needed)
        listed = [f"{key}={value}" for key, value in arguments.items()]
        text = f"{called}({', '.join([program.of(old.arguments['params']), *listed])})"
        yield (*program.span(old.call), text)


def _read_optimizer(program: RecipeSource) -> _Optimizer:
    """The one optimizer that the program makes and steps. Raises RecipeError."""
    made = program.calls(frozenset(_PARAMETERS) | set(_UNLIKE))
    for node in program.classes.values():
        if any(program.dotted(base).startswith("torch.optim") for base in node.bases):
            raise program.fault(node, f"{node.name} is an optimizer of the program's own", _ONE_OPTIMIZER)
    if not made:
        raise RecipeError("the program makes no optimizer of torch.optim", _ONE_OPTIMIZER)
    if len(made) > 1:
        lines = ", ".join(str(call.lineno) for call in made)
        raise program.fault(made[-1], f"the program makes several optimizers (lines {lines})", _ONE_OPTIMIZER)
    (call,) = made
    name = short(program.dotted(call.func))
    if name in _UNLIKE:
        raise program.fault(call, f"{name} {_UNLIKE[name]}, unlike the six", _ONE_OPTIMIZER)
    arguments = program.arguments(call, ("params", *_PARAMETERS[name]))
    if "params" not in arguments:
        raise program.fault(call, "the optimizer gets no parameters", _ONE_OPTIMIZER)
    flow = flow_of(program, call)
    if flow.rivals:
        raise program.fault(flow.rivals[0], "this may stand in the place of the optimizer", _ONE_OPTIMIZER)
    steps = any(read.attr == "step" for read in flow.read)
    steps |= any(isinstance(one.func, ast.Attribute) and one.func.attr == "step" for one in flow.given)
    if call not in program.live or not steps:
        raise program.fault(call, "no step is seen of the optimizer that is made here", _ONE_OPTIMIZER)
    return _Optimizer(call, name, arguments)


def _kept(old: _Optimizer, name: str, texts: dict[str, str]) -> dict[str, str]:
    """Arguments of the new call, less its parameters: the rate first, then what stays."""
    lr = {"lr": texts.get("lr", _RATES.get(old.name, "0.001"))}
    if name == old.name:
        kept = dict(texts)
    else:
        stays = _SHARED | (_FAMILY if {name, old.name} <= _ADAMS else frozenset())
        stays |= {"amsgrad"} if {name, old.name} == {"Adam", "AdamW"} else frozenset()
        stays |= {key for key, owners in _FASTER.items() if name in owners}
        kept = lr | {key: value for key, value in texts.items() if key in stays}
    if name == "SGD" and _number(old.arguments.get("momentum", ast.Constant(0))) == 0:
        rest = {key: value for key, value in kept.items() if key not in ("lr", "momentum")}
        kept = {"lr": kept.get("lr", lr["lr"]), "momentum": _momentum(old, texts), **rest}
    elif name == "SGD" and old.name == "RMSprop":
        kept["momentum"] = texts["momentum"]
    return kept


def _momentum(old: _Optimizer, texts: dict[str, str]) -> str:
    """The first beta of one of Adam's kind, as that is what SGD calls momentum."""
    betas = old.arguments.get("betas")
    if isinstance(betas, ast.Tuple) and len(betas.elts) == 2:
        start = betas.elts[0].col_offset - betas.col_offset
        if betas.lineno == betas.elts[0].end_lineno and texts["betas"].isascii():
            return texts["betas"][start : start + (betas.elts[0].end_col_offset or 0) - betas.elts[0].col_offset]
        return ast.unparse(betas.elts[0])
    return _MOMENTUM


def _number(node: ast.expr | None) -> float | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _groups(program: RecipeSource) -> list[dict[str, ast.expr]]:
    """The parameter groups that the program writes down, wherever. Raises RecipeError where one is put together."""
    found = []
    for node in program.nodes:
        match node:
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                named = {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}
                if "params" in named and len(named) < len(keys):
                    raise program.fault(
                        node, "not all of the parameter group is written down here", "write its keys down"
                    )
            case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
                named = {keyword.arg: keyword.value for keyword in keywords if keyword.arg}
            case ast.Subscript(slice=ast.Constant(value="params"), ctx=ast.Store()):
                raise program.fault(node, "the parameter group is put together here", "write it as {'params': ...}")
            case _:
                continue
        if "params" in named:
            found.append(named)
    return found


def _group_spans(program: RecipeSource, old: _Optimizer, rate: str) -> Iterator[Span]:
    """The rates of groups, with the new one where the program's stands: their ratios stay."""
    base = old.arguments.get("lr")
    for group in _groups(program):
        own = group.get("lr")
        if own is None:
            continue
        same = [node for node in ast.walk(own) if base is not None and ast.dump(node) == ast.dump(base)]
        multiple = own in same
        if isinstance(own, ast.BinOp) and isinstance(own.op, ast.Mult | ast.Div):
            multiple = own.left in same and _number(own.right) is not None
        if len(same) != 1 or not multiple:
            why = "the rate of a parameter group is no multiple of the optimizer's, so their ratio can't be kept"
            raise program.fault(own, why, "write it as a multiple, as in {'params': ..., 'lr': prm['lr'] * 10}")
        (place,) = same
        assert isinstance(place, ast.expr)
        yield (*program.span(place), rate)


def _require_moved(program: RecipeSource, old: _Optimizer, name: str, rate: float | None) -> None:
    """Nothing in the program sets or needs what the new optimizer has otherwise. Raises RecipeError."""
    for node in program.nodes:
        match node:
            case ast.Call():
                _require_scheduled(program, node, old, name, rate)
            case ast.keyword(arg="sparse", value=ast.Constant(value=True)) if name not in ("SGD", "Adagrad"):
                raise program.fault(node.value, f"{name} takes no sparse gradients", "leave sparse=True out")
            case ast.Attribute(attr=read) | ast.Constant(value=str(read)) if _reaches(node, read, program, old):
                if name != old.name or rate is not None:
                    why = f"the optimizer's {read} is read or set here, which another recipe may not have"
                    raise program.fault(node, why, "leave that to a scheduler of torch.optim.lr_scheduler")
    if name != old.name:
        for group in _groups(program):
            for key, value in group.items():
                if key not in _GROUP:
                    why = f"a parameter group has a {key}, which {name} has not, or means something else by"
                    raise program.fault(value, why, f"leave {key} out")


def _reaches(node: ast.AST, name: str, program: RecipeSource, old: _Optimizer) -> bool:
    """Whether an attribute, or a text that names one, is what an optimizer keeps its rates and its state in."""
    own = name in ("defaults", "state", "load_state_dict") and node in flow_of(program, old.call).read
    return own or name == "param_groups"


def _require_scheduled(program: RecipeSource, call: ast.Call, old: _Optimizer, name: str, rate: float | None) -> None:
    scheduler = short(program.dotted(call.func))
    if scheduler not in _CYCLES and scheduler != "SWALR":
        return
    if rate is not None:
        raise program.fault(call, f"{scheduler} sets the learning rate itself", "leave the rate as the program has it")
    still = any(one.arg == "cycle_momentum" and _is_false(one.value) for one in call.keywords)
    if scheduler in _CYCLES and not still and name != old.name and name not in ("SGD", "Adam", "AdamW"):
        why = f"{scheduler} moves a momentum, and {name} has none"
        raise program.fault(call, why, "write cycle_momentum=False")


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
