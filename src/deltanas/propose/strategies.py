"""The strategies by name: the built-in ones, and those of other packages."""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from importlib.metadata import entry_points

from deltanas.errors import UsageError
from deltanas.propose.bandit import BANDIT
from deltanas.propose.channels import CHANNELS
from deltanas.propose.delta import DELTA
from deltanas.propose.evolution import EVOLUTION
from deltanas.propose.experts import EXPERTS
from deltanas.propose.feedback import FEEDBACK
from deltanas.propose.full import FULL
from deltanas.propose.outside import OUTSIDE
from deltanas.propose.random import RANDOM
from deltanas.propose.strategy import Strategy
from deltanas.settings import Section

STRATEGIES: dict[str, Strategy] = {
    one.name: one for one in (DELTA, FULL, FEEDBACK, CHANNELS, RANDOM, EVOLUTION, BANDIT, EXPERTS, OUTSIDE)
}

GROUP = "deltanas.strategies"
"""The group of entry points under which installed packages offer strategies."""


def strategy_named(name: str) -> Strategy:
    """A built-in strategy, one that an installed package offers by this name, or the one at `package.module:NAME`.

    Raises:
        UsageError: there is none, it is no `Strategy`, or it can't be told from a built-in one.
    """
    if ":" in name:
        return _checked(_imported(name), name)
    offered = {entry.value: entry.dist.name if entry.dist else "?" for entry in entry_points(group=GROUP, name=name)}
    if len(offered) + (name in STRATEGIES) > 1:
        places = [*(["deltanas itself"] if name in STRATEGIES else []), *offered.values()]
        raise UsageError(
            f"`strategy` = {name!r} is offered by {' and by '.join(places)}",
            f"take out all packages but one, or name the strategy by its place: {', '.join(offered)}",
        )
    if name in STRATEGIES:
        return STRATEGIES[name]
    if not offered:
        known = ", ".join([*STRATEGIES, *sorted(entry.name for entry in entry_points(group=GROUP))])
        raise UsageError(
            f"`strategy` = {name!r}: there is none of this name",
            f"known: {known}; package.module:NAME takes a strategy of your own",
        )
    return _checked(_imported(next(iter(offered))), name)


def _imported(place: str) -> object:
    """The object at `package.module:NAME`. Modules of the working directory are found too, after all others."""
    module, _, attribute = place.partition(":")
    if module.startswith("."):
        raise UsageError(f"`strategy` = {place!r}: {module!r} is a relative name", "give package.module:NAME")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = vars(importlib.import_module(module))
    except Exception as error:  # whatever the user's file raises
        absent = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
        hint = "is its package installed, or its file in this folder?" if absent else f"importing {module} fails"
        raise UsageError(f"`strategy` = {place!r}: {_said(error)}", hint) from error
    if attribute not in found:
        known = ", ".join(f"{module}:{name}" for name, one in found.items() if isinstance(one, Strategy))
        raise UsageError(f"`strategy` = {place!r}: {module} has no {attribute!r}", f"its strategies: {known or 'none'}")
    return found[attribute]


def _said(error: Exception) -> str:
    """With its type where that tells more than the message does, and the line that raised it."""
    if isinstance(error, ImportError | SyntaxError | ValueError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({frame.filename}, line {frame.lineno})"


def _checked(found: object, said: str) -> Strategy:
    if not isinstance(found, Strategy):
        raise UsageError(
            f"`strategy` = {said!r} is of type {type(found).__name__}, and no Strategy",
            "deltanas.propose.Strategy(name=..., about=..., build=...) makes one",
        )
    if STRATEGIES.get(found.name, found) is not found:
        raise UsageError(f"`strategy` = {said!r} has the name of a built-in one, {found.name!r}", "give it another")
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", found.name):
        raise UsageError(
            f"`strategy` = {said!r} has the name {found.name!r}", "lower-case letters, digits, _ and - make a name"
        )
    if found.settings is not None and not issubclass(found.settings, Section):
        raise UsageError(
            f"`strategy` = {said!r} has settings of type {found.settings.__name__}, no Section",
            "derive them from deltanas.settings.Section",
        )
    return found
