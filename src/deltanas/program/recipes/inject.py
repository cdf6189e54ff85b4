"""A recipe is put into a program's text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from math import isfinite

from deltanas.program.canonical import parsed
from deltanas.program.net_class import net_class
from deltanas.program.recipes.losses import (
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
from deltanas.program.recipes.optimizers import CLASSES, optimizer_spans, read_optimizer, weight_decay
from deltanas.program.recipes.reading import RecipeError, RecipeSource, not_too_deep
from deltanas.program.recipes.updates import require_read
from deltanas.program.space.source import Change, Span

LOSSES = ("ce", "nll", "ngl")
OPTIMIZERS = tuple(CLASSES)


def with_recipe(
    source: str,
    *,
    loss: str | None = None,
    optimizer: str | None = None,
    rate: float | None = None,
    scale: float = 1.0,
    decay: float | None = None,
) -> str:
    """The program with another loss, optimizer or learning rate, all else as it was; unchanged where it has these.

    What is replaced is the call that makes the loss or the optimizer, wherever that stands. Parameter groups, the
    ratios of their rates, and all arguments that the new class has too and that mean the same, stay. "nll" and "ngl"
    are classes that take logits, and are put into the program.

    loss: one of `LOSSES`, optimizer: one of `OPTIMIZERS`; None keeps the program's. rate: the learning rate; None keeps
    the program's expression. scale: what multiplies the NGL. decay: the weight decay, of all parameters but those of
    groups that give their own; None keeps the program's.

    Raises RecipeError, with the line, where the text does not show that the injected recipe is what will be trained.
    """
    _require_known(loss, optimizer, rate, scale)
    if decay is not None and not (isfinite(decay) and decay >= 0):
        raise RecipeError(f"the weight decay {decay} is no number from 0 on", "0.01, say")
    text = source.replace("\r\n", "\n")
    tree = parsed(text)
    if tree is None or "\r" in text:
        raise RecipeError("the program is no Python", "`deltanas check FILE` says what is wrong with it")
    program = RecipeSource(text, tree)
    spans = recipe_spans(program, loss=loss, optimizer=optimizer, rate=rate, scale=scale, decay=decay)
    made = program.changed(Change("recipe", spans))
    return made.replace("\n", "\r\n") if text != source else made


@not_too_deep()
def recipe_spans(
    program: RecipeSource,
    *,
    loss: str | None = None,
    optimizer: str | None = None,
    rate: float | None = None,
    scale: float = 1.0,
    decay: float | None = None,
) -> tuple[Span, ...]:
    """What `with_recipe` changes, none where the program has all of it. Raises RecipeError."""
    require_classifier(program, _read_net(program))
    spans: list[Span] = []
    needed: list[str] = []
    if loss is not None:
        spans += _loss_spans(program, loss, scale, needed)
    if optimizer is not None or rate is not None or decay is not None:
        spans += optimizer_spans(program, optimizer, rate, decay, needed)
    if needed:
        text = "".join(needed)
        place = program.place_of(text)
        spans.append((place, place, text if place < len(program.text) else f"\n\n\n{text.rstrip()}\n"))
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
        with not_too_deep():
            _read_net(program)
            loss, optimizer = read_loss(program), read_optimizer(program).name
        if loss.kind == "nll" and not is_already(program, loss, "nll", 1.0):
            return None
    except RecipeError:
        return None
    known = [name for name, kind in CLASSES.items() if kind == optimizer]
    return (loss.kind, known[0]) if known else None


def _read_net(program: RecipeSource) -> ast.ClassDef:
    """The network. Raises RecipeError where its methods may be others than those that are read."""
    net = net_class(program.tree)
    if net is None:
        raise RecipeError("the program has no class Net", "`deltanas check FILE` says what is wrong with it")
    require_read(program)
    for name in ("forward", "train_setup", "learn"):
        methods = [one for one in net.body if isinstance(one, ast.FunctionDef) and one.name == name]
        if len(methods) > 1:
            raise program.fault(methods[1], f"{name} stands there twice", "keep the one that is meant")
        for node in program.nodes:
            if isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Store):
                raise program.fault(node, f"{name} is set to something else here", f"write it as Net's method {name}")
    return net


def decay_of(source: str) -> float | None:
    """The weight decay that a program's optimizer has; None where the text does not tell one number."""
    tree = parsed(source)
    try:
        with not_too_deep():
            return None if tree is None else weight_decay(RecipeSource(source, tree))
    except RecipeError:
        return None


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
        needed.append(class_text(name, program.spelled(base_of(name), needed)) + "\n\n\n")
    if wanted == "ngl":
        kept = [] if scale == 1.0 else [repr(scale)]
    called = name or program.spelled("torch.nn.CrossEntropyLoss", needed)
    yield (*program.span(loss.call), constructor_text(program, loss, f"{called}({', '.join(kept)})"))
