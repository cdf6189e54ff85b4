"""Edits of the recipe: loss, optimizer, learning rate, momentum, weight decay, label smoothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress

from deltanas.program.recipes import CLASSES, LOSSES, USUAL_RATES, RecipeError, recipe_spans
from deltanas.program.recipes.reading import RecipeSource
from deltanas.program.space.source import Change, Source, given

_ADAPTIVE = ("AdamW", "Adam", "NAdam", "RMSprop", "Adagrad", "Adadelta")
_BETAS = ("AdamW", "Adam", "NAdam", "RAdam", "Adamax")
_USUAL = {CLASSES[name]: rate for name, rate in USUAL_RATES.items()}
"""The rate that suits an optimizer; of those that are not here Adam's."""
_RATES = ("0.3", "0.5", "2", "3")
_MOMENTA = ("0.8", "0.9", "0.95")
_DECAYS = ("0.0", "0.0001", "0.0005", "0.005", "0.01", "0.05")
_PAIRS = ("(0.9, 0.999)", "(0.9, 0.95)", "(0.8, 0.99)")
# torch's defaults where stating them would change nothing.
_DEFAULTS = {
    ("AdamW", "weight_decay"): "0.01",
    **{(name, "weight_decay"): "0.0" for name in ("SGD", "Adam", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta")},
    **{(name, "betas"): "(0.9, 0.999)" for name in _BETAS},
}
_SMOOTHINGS = ("0.0", "0.05", "0.1", "0.2")


def recipe_changes(source: Source) -> Iterator[Change]:
    for node in source.walk(recipe=True):
        if isinstance(node, ast.Call):
            head, _, name = source.dotted(node.func).rpartition(".")
            arguments = given(node, ("params", "lr"))
            if head == "torch.optim" and arguments and {"params", "lr"} <= set(arguments):
                texts = {key: source.of(value) for key, value in arguments.items()}
                rate = f"({texts['lr']})" if isinstance(arguments["lr"], ast.BinOp | ast.IfExp) else texts["lr"]
                for kind, optimizer, changed in _optimizers(name, texts, rate):
                    module = source.alias("torch.optim")
                    if module is not None:
                        listed = [f"{key}={value}" for key, value in changed.items() if key != "params"]
                        call = f"{module}.{optimizer}({', '.join([changed['params'], *listed])})"
                        yield source.replaced(kind, node, call, "recipe")
            elif source.dotted(node.func) == "torch.nn.CrossEntropyLoss" and not node.args:
                yield from _smoothing(source, node)
    yield from _losses(source)


def _losses(source: Source) -> Iterator[Change]:
    """Another loss, where the text shows that it would be what trains."""
    program = RecipeSource(source.text, source.tree)
    for loss in LOSSES:
        with suppress(RecipeError):
            if spans := recipe_spans(program, loss=loss):
                yield Change("loss", spans, "recipe")


def _optimizers(name: str, texts: dict[str, str], rate: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(kind, optimizer, arguments) of each edit of one call."""
    yield from (("optimizer", *other) for other in _classes(name, texts, rate))
    yield from (("rate", name, texts | {"lr": f"{rate} * {factor}"}) for factor in _RATES)
    changes = [("decay", "weight_decay", decay) for decay in _DECAYS]
    if name in ("SGD", "RMSprop"):
        changes += [("momentum", "momentum", momentum) for momentum in _MOMENTA]
    if name == "SGD" and texts.get("momentum", "0") not in ("0", "0.0"):
        changes.append(("momentum", "nesterov", "True"))
    if name in _BETAS:
        changes += [("momentum", "betas", pair) for pair in _PAIRS]
    for kind, key, value in changes:
        if texts.get(key, _DEFAULTS.get((name, key))) != value:
            yield kind, name, texts | {key: value}


def _classes(name: str, texts: dict[str, str], rate: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Another optimizer. The rate moves by as much as the rates that suit the two differ."""
    shared = {key: texts[key] for key in ("params", "lr", "weight_decay") if key in texts}
    betas = {"betas": texts["betas"]} if "betas" in texts else {}
    for other in (*_ADAPTIVE, "SGD"):
        if other != name:
            factor = _USUAL.get(other, _USUAL["Adam"]) / _USUAL.get(name, _USUAL["Adam"])
            moved = {} if factor == 1 else {"lr": f"{rate} * {factor:g}"}
            kept = shared | (betas if other in _BETAS and name in _BETAS else {}) | moved
            if other == "SGD":
                kept["momentum"] = "0.9"
                yield other, kept | {"nesterov": "True"}
            yield other, kept


def _smoothing(source: Source, call: ast.Call) -> Iterator[Change]:
    texts = {keyword.arg: source.of(keyword.value) for keyword in call.keywords if keyword.arg}
    for smoothing in _SMOOTHINGS:
        if texts.get("label_smoothing", "0.0") != smoothing and len(texts) == len(call.keywords):
            changed = texts | {"label_smoothing": smoothing}
            listed = ", ".join(f"{key}={value}" for key, value in changed.items())
            yield source.replaced("smoothing", call, f"{source.of(call.func)}({listed})", "recipe")
