"""What a program's recipe turns out to be when it is built in the sandbox, and what it should be."""

from __future__ import annotations

import ast
import json
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from deltanas.program import Program, Refused
from deltanas.program.recipes.losses import NGL_CLASS, NLL_CLASS
from deltanas.seams import Builds

Array = NDArray[np.float64]
CLASSES = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
}
TOLERANCE = 1e-6
_ADAMS = ("Adam", "AdamW", "NAdam", "RAdam", "Adamax")
_LABELS = np.array([4, 0, 2])
_LOGITS = np.round(np.random.default_rng(7).normal(0, 1.5, (3, 5)), 3)
_WORD = "RecipeFound"
_SPEAKS = """

class RecipeFound(Exception):
    pass


def _recipe_audit(net, prm, setup=Net.train_setup, shape=None):
    import base64, json, zlib, torch
    from torch.optim import optimizer as module

    made, stepped, losses = [], [], []
    init, backward, forward = module.Optimizer.__init__, torch.Tensor.backward, type(net).forward
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)

    def noted(self, *args, **kwargs):
        init(self, *args, **kwargs)
        made.append(self)

    def back(self, *args, **kwargs):
        result = backward(self, *args, **kwargs)
        losses.append((float(self), logits.grad.flatten().tolist()))
        for value in net.parameters():  # no weight had a part in it
            value.grad = torch.zeros_like(value) if value.grad is None and value.requires_grad else value.grad
        return result

    module.Optimizer.__init__ = noted
    setup(net, prm)
    hook = module.register_optimizer_step_pre_hook(lambda one, args, kwargs: stepped.append(one))
    trained = [value for value in net.parameters() if value.requires_grad]
    groups = [group for one in made for group in one.param_groups]
    inside = [id(value) for group in groups for value in group["params"]]
    plain = [
        {key: value for key, value in group.items() if key not in ("params", "initial_lr")} for group in groups
    ]
    torch.Tensor.backward = back
    type(net).forward = lambda self, *args, **kwargs: END(logits)
    net.double()
    images = torch.zeros(len(logits), *SHAPE)
    net.learn([(images, torch.tensor(LABELS))])
    found = {
        "class": [type(one).__name__ for one in made],
        "steps": len(stepped),
        "own": all(one in made for one in stepped),
        "once": len(set(inside)) == len(inside) and {id(value) for value in trained} <= set(inside),
        "first": plain[0],
        "others": [{key: one[key] for key in one if one[key] != plain[0].get(key)} for one in plain[1:]],
        "losses": [(f"{value:.12g}", [float(f"{one:.9g}") for one in gradient]) for value, gradient in losses],
    }
    text = json.dumps(found, separators=(",", ":"))
    raise RecipeFound(base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode())


Net.train_setup = _recipe_audit
""".replace("LOGITS", repr(_LOGITS.tolist())).replace("LABELS", repr(_LABELS.tolist()))
"""Stands behind a program: builds it, trains it one step on fixed logits, and tells what happened as an error."""


@dataclass(frozen=True)
class Found:
    """A recipe as it was built.

    Attributes:
        optimizer: class. first: arguments of its first group. rates: of all groups. once: whether each trainable
            parameter is in exactly one group. stepped: whether this optimizer is what steps, and the only one.
        loss, gradient: of the fixed logits.
    """

    optimizer: str
    first: Mapping[str, Any]
    rates: tuple[float, ...]
    once: bool
    stepped: bool
    loss: float
    gradient: tuple[float, ...]


def audited(program: Program, shape: Sequence[int], *, log_softmax: bool = False) -> Program:
    """The program with the audit behind it. log_softmax: its network ends in one, so its fixed output does too."""
    end = "(lambda x: x.log_softmax(1))" if log_softmax else ""
    text = _SPEAKS.replace("SHAPE", repr(tuple(shape))).replace("END", end)
    return Program({**program.parts, "net": program.net + text})


def found_in(answer: object) -> Found | str:
    """What an audit tells, or why it tells nothing."""
    if not isinstance(answer, Refused):
        return "the audit did not run"
    _, word, text = answer.reason.partition(f"{_WORD}: ")
    if not word:
        return answer.reason
    try:
        told = json.loads(zlib.decompress(urlsafe_b64decode(text)))
    except (ValueError, zlib.error):
        return "the audit's answer is cut short"
    if len(told["class"]) != 1 or len(told["losses"]) != 1:
        return f"{len(told['class'])} optimizers and {len(told['losses'])} backward passes"
    ((loss, gradient),) = told["losses"]
    rates = tuple(one.get("lr", told["first"]["lr"]) for one in ({}, *told["others"]))
    stepped = told["own"] and told["steps"] == 1
    return Found(told["class"][0], told["first"], rates, told["once"], stepped, float(loss), tuple(gradient))


def audits(programs: Sequence[Program], builds: Builds, shape: Sequence[int]) -> list[Found | str]:
    return [found_in(answer) for answer in builds.build([audited(one, shape) for one in programs])]


def reference(loss: str, scale: float = 1.0) -> tuple[float, Array]:
    """Value and gradient of a loss of the fixed logits, by formulas worked out by hand."""
    z, n = _LOGITS, len(_LOGITS)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    y = np.eye(z.shape[1])[_LABELS]
    if loss != "ngl":
        return float(-np.log(p[np.arange(n), _LABELS]).mean()), (p - y) / n
    grown, sine = np.exp(2.4092 - p - p * y), np.sin(p)
    slope = -(1 + y) * grown - np.sin(np.cos(sine)) * np.sin(sine) * np.cos(p)
    slope *= scale / p.size
    value = scale * float((grown - np.cos(np.cos(sine))).mean())
    return value, p * (slope - (slope * p).sum(1, keepdims=True))


def expected(base: Found, optimizer: str, rate: float) -> dict[str, Any]:
    """The arguments of the first group: torch's defaults but for the rate and for what the base gives and means."""
    kind = CLASSES[optimizer]
    given = {
        key: value for key, value in base.first.items() if value != _defaults(base.optimizer).get(key) and key != "lr"
    }
    if kind.__name__ == base.optimizer:
        kept = dict(given)
    else:
        kept = {key: given[key] for key in ("weight_decay", "maximize") if key in given}
        if {kind.__name__, base.optimizer} <= set(_ADAMS):
            kept |= {key: given[key] for key in ("betas", "eps") if key in given}
    if optimizer == "sgd":
        kept["momentum"] = base.first.get("betas", [base.first.get("momentum") or 0.9])[0]
    wanted = _defaults(kind.__name__) | kept | {"lr": rate}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in wanted.items()}


def _defaults(name: str) -> dict[str, Any]:
    kind = getattr(torch.optim, name)
    defaults = kind([torch.nn.Parameter(torch.zeros(1))]).defaults
    return {key: list(value) if isinstance(value, tuple) else value for key, value in defaults.items()}


def fault(base: Found, found: Found, *, loss: str, optimizer: str, rate: float, scale: float = 1.0) -> str:
    """What of a recipe is not as it should be; "" for nothing."""
    value, gradient = reference(loss, scale)
    wanted = expected(base, optimizer, rate)
    if found.optimizer != CLASSES[optimizer].__name__:
        return f"the optimizer is {found.optimizer}"
    if dict(found.first) != wanted:
        keys = sorted(key for key in {*wanted, *found.first} if wanted.get(key) != found.first.get(key))
        return "; ".join(f"{key} is {found.first.get(key)}, not {wanted.get(key)}" for key in keys)
    if not found.once:
        return "not each trainable parameter is in exactly one group"
    if not found.stepped:
        return "another optimizer steps"
    before, after = ([one / rates[0] for one in rates] for rates in (base.rates, found.rates))
    if len(before) != len(after) or not np.allclose(before, after, rtol=1e-9):
        return f"the groups' rates are {found.rates}"
    if not isclose(found.loss, value, abs_tol=TOLERANCE):
        return f"the loss is {found.loss}, not {value}"
    worst = float(np.abs(np.array(found.gradient) - gradient.ravel()).max())
    return f"the gradient differs by {worst:.3g}" if worst > TOLERANCE else ""


class _Blank(ast.NodeTransformer):
    """Takes the calls away that make a loss or an optimizer, and what an injection puts in."""

    made = frozenset(kind.__name__ for kind in CLASSES.values()) | {"CrossEntropyLoss", "NLLLoss", NLL_CLASS, NGL_CLASS}

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return ast.Name("RECIPE", ast.Load()) if name in self.made else node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST | None:
        self.generic_visit(node)
        return None if node.name in (NLL_CLASS, NGL_CLASS) else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        inserted = node.module in ("torch.optim", "torch.nn") and {one.name for one in node.names} <= self.made
        return None if inserted else node


def differs_elsewhere(base: str, made: str) -> bool:
    """Whether the programs differ in more than the calls and what an injection puts in."""
    return ast.dump(_Blank().visit(ast.parse(base))) != ast.dump(_Blank().visit(ast.parse(made)))
