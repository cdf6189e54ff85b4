"""The optimizer of a program: where it is made, and what another one in its place takes along of its arguments."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from deltanas.program.recipes.flow import flow_of
from deltanas.program.recipes.reading import RecipeError, RecipeSource, short
from deltanas.program.recipes.updates import require_steps_alone
from deltanas.program.space.source import Span

CLASSES = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
}
"""torch's classes by the names that a recipe has for them."""

USUAL_RATES: Mapping[str, float] = {
    "sgd": 0.01,
    "adam": 0.001,
    "adamw": 0.001,
    "rmsprop": 0.001,
    "adagrad": 0.01,
    "adadelta": 1.0,
}
"""The learning rate that suits each.

That is torch's default but for SGD, which had none until torch 2 and then .001, and RMSprop, where torch's .01 is ten
times that of others: around these, the best of five rates was the last one that was tried.
"""
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
_SETS_RATES = _CYCLES | {"SWALR"}
_FLOORS: Mapping[str, tuple[str, ...]] = {
    "CosineAnnealingLR": ("optimizer", "T_max", "eta_min", "last_epoch", "verbose"),
    "CosineAnnealingWarmRestarts": ("optimizer", "T_0", "T_mult", "eta_min", "last_epoch", "verbose"),
    "ReduceLROnPlateau": (
        *("optimizer", "mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lr", "eps"),
        "verbose",
    ),
}
"""Parameters of schedulers that may have a rate to end at."""
_ENDS = ("eta_min", "min_lr")
_MOMENTUM = "0.9"
_NOT_WHOLE = "not all of the parameter group is written down here"
_PUT_TOGETHER = "the parameter group is put together here"
_ONE_OPTIMIZER = "make one optimizer, as in `self.optimizer = torch.optim.SGD(self.parameters(), lr=prm['lr'])`"


@dataclass(frozen=True)
class Optimizer:
    call: ast.Call
    name: str
    arguments: dict[str, ast.expr]


def optimizer_spans(
    program: RecipeSource, wanted: str | None, rate: float | None, decay: float | None, needed: list[str]
) -> Iterator[Span]:
    old = read_optimizer(program)
    name = CLASSES[wanted] if wanted else old.name
    if _number(old.arguments.get("lr")) == rate:
        rate = None
    _require_moved(program, old, name, rate)
    texts = {key: program.of(value) for key, value in old.arguments.items() if key != "params"}
    arguments = _kept(old, name, texts) if wanted else dict(texts)
    params, (first, last) = program.of(old.arguments["params"]), program.span(old.arguments["params"])
    if rate is not None:
        arguments["lr"] = repr(rate)
        for start, end, text in sorted(_group_spans(program, old, repr(rate)), reverse=True):
            if first <= start < last:
                params = params[: start - first] + text + params[end - first :]
            else:
                yield start, end, text
    if decay is not None and _decay(name, old.arguments if "weight_decay" in arguments else {}) != decay:
        arguments["weight_decay"] = repr(decay)
    if arguments != texts or name != old.name:
        called = program.of(old.call.func) if name == old.name else program.spelled(f"torch.optim.{name}", needed)
        listed = [f"{key}={value}" for key, value in arguments.items()]
        text = f"{called}({', '.join([params, *listed])})"
        yield (*program.span(old.call), text)


def weight_decay(program: RecipeSource) -> float | None:
    """That of the program's optimizer; None where the text does not tell one number. Raises RecipeError."""
    optimizer = read_optimizer(program)
    if any("weight_decay" in group for group in _groups(program)):
        return None
    return _decay(optimizer.name, optimizer.arguments)


def _decay(name: str, arguments: Mapping[str, ast.expr]) -> float | None:
    if "weight_decay" in arguments:
        return _number(arguments["weight_decay"])
    return 0.01 if name == "AdamW" else 0.0


def read_optimizer(program: RecipeSource) -> Optimizer:
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
    require_steps_alone(program)
    return Optimizer(call, name, arguments)


def _kept(old: Optimizer, name: str, texts: dict[str, str]) -> dict[str, str]:
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


def _momentum(old: Optimizer, texts: dict[str, str]) -> str:
    """The first beta of one of Adam's kind, as that is what SGD calls momentum."""
    betas = old.arguments.get("betas")
    if isinstance(betas, ast.Tuple | ast.List) and len(betas.elts) == 2:
        start = betas.elts[0].col_offset - betas.col_offset
        if betas.lineno == betas.elts[0].end_lineno and texts["betas"].isascii():
            return texts["betas"][start : start + (betas.elts[0].end_col_offset or 0) - betas.elts[0].col_offset]
        return ast.unparse(betas.elts[0])
    if betas is None:
        return _MOMENTUM
    plain = isinstance(betas, ast.Name | ast.Attribute | ast.Subscript)
    return f"{texts['betas']}[0]" if plain else f"({texts['betas']})[0]"


def _number(node: ast.expr | None) -> float | None:
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= sys.float_info.max else None


def _groups(program: RecipeSource) -> list[dict[str, ast.expr]]:
    """The parameter groups that the program writes down, wherever. Raises RecipeError where one is put together."""
    found = []
    for node in program.nodes:
        match node:
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                named = {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}
                if "params" in named and len(named) < len(keys):
                    raise program.fault(node, _NOT_WHOLE, "write its keys down")
            case ast.Call(func=ast.Name(id="dict"), args=positional, keywords=keywords):
                named = {keyword.arg: keyword.value for keyword in keywords if keyword.arg}
                if "params" in named and (positional or len(named) < len(keywords)):
                    raise program.fault(node, _NOT_WHOLE, "write its keys down")
            case ast.Subscript(slice=ast.Constant(value="params"), ctx=ast.Store()):
                raise program.fault(node, _PUT_TOGETHER, "write it as {'params': ...}")
            case ast.Subscript(value=group, slice=ast.Constant(), ctx=ast.Store()) if _has_params(program, group):
                raise program.fault(node, _PUT_TOGETHER, "write all of it as {'params': ..., 'lr': ...}")
            case ast.Call(func=ast.Attribute(value=group, attr="update" | "setdefault")) if _has_params(program, group):
                raise program.fault(node, _PUT_TOGETHER, "write all of it as {'params': ..., 'lr': ...}")
            case _:
                continue
        if "params" in named:
            found.append(named)
    return found


def _has_params(program: RecipeSource, node: ast.expr) -> bool:
    """Whether a value may be a parameter group that the function writes down."""
    keys = [key for one in program.origin(node) if isinstance(one, ast.Dict) for key in one.keys]
    return any(isinstance(key, ast.Constant) and key.value == "params" for key in keys)


def _group_spans(program: RecipeSource, old: Optimizer, rate: str) -> Iterator[Span]:
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


def _require_moved(program: RecipeSource, old: Optimizer, name: str, rate: float | None) -> None:
    """Nothing in the program sets or needs what the new optimizer has otherwise. Raises RecipeError."""
    _require_scheduled(program, old, name, rate)
    for node in program.nodes:
        match node:
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


def _reaches(node: ast.AST, name: str, program: RecipeSource, old: Optimizer) -> bool:
    """Whether an attribute, or a text that names one, is what an optimizer keeps its rates and its state in."""
    own = name in ("defaults", "state", "load_state_dict") and node in flow_of(program, old.call).read
    return own or name == "param_groups"


def _require_scheduled(program: RecipeSource, old: Optimizer, name: str, rate: float | None) -> None:
    """No scheduler sets rates, or a momentum, that the new recipe has otherwise. Raises RecipeError."""
    if rate is None and name == old.name:
        return
    asked = [node for node in program.nodes if isinstance(node, ast.Call) and program.of(node.func) == "isinstance"]
    types = frozenset(one for node in asked for one in ast.walk(node))
    for call in program.calls(_SETS_RATES, types):
        scheduler = short(program.dotted(call.func))
        if rate is not None:
            why = f"{scheduler} sets the learning rate itself"
            raise program.fault(call, why, "leave the rate as the program has it")
        still = any(one.arg == "cycle_momentum" and _is_false(one.value) for one in call.keywords)
        if scheduler in _CYCLES and not still and name not in ("SGD", "Adam", "AdamW"):
            why = f"{scheduler} moves a momentum, and {name} has none"
            raise program.fault(call, why, "write cycle_momentum=False")
    for call in program.calls(frozenset(_FLOORS), types) if rate is not None else ():
        scheduler = short(program.dotted(call.func))
        for word, floor in program.arguments(call, _FLOORS[scheduler]).items():
            if word in _ENDS and _number(floor) != 0:
                why = f"{scheduler} goes down to a rate of its own, where the new one may be no multiple of it"
                raise program.fault(call, why, f"leave {word} out, or the rate as the program has it")
    if rate is not None:
        _require_unnamed(program, old)


def _require_unnamed(program: RecipeSource, old: Optimizer) -> None:
    """No schedule is written with the rate that is replaced. Raises RecipeError."""
    base = old.arguments.get("lr")
    if base is None:
        return
    forms = [base, *(program.values(base.id, program.owner(base)) if isinstance(base, ast.Name) else ())]
    rates = {ast.dump(one) for one in forms if not isinstance(one, ast.Constant)}
    for call in program.nodes:
        if isinstance(call, ast.Call) and program.dotted(call.func).startswith("torch.optim.lr_scheduler."):
            for value in [*call.args[1:], *(one.value for one in call.keywords if one.arg != "optimizer")]:
                if any(ast.dump(one) in rates for one in program.origin(value)):
                    why = "the schedule is written with the rate, and would keep the one that is replaced"
                    raise program.fault(call, why, "write it without the rate, or leave the rate as the program has it")


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
