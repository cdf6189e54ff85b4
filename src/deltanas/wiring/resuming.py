"""The settings of a run that is taken up again: which of them may differ from those that it was begun with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deltanas.config import SearchConfig, read_config
from deltanas.errors import UsageError
from deltanas.forecast import NO_TABLES
from deltanas.settings import BEFORE, flat, merged

PLACES = frozenset(
    ("dataset", "model.spec", "model.adapter", "learn.corpus", "recipes.prior", "screen", "baselines", "archive")
)
"""Settings that say where something lies. What lies there belongs to the run, the place does not (wiring/places.py)."""


def begun_config(stored: Mapping[str, Any]) -> SearchConfig:
    """The settings that a run was begun with, by a version that may not have had all of them."""
    return read_config(merged(BEFORE, stored))


def resumed_config(stored: Mapping[str, Any], given: Mapping[str, Any]) -> SearchConfig:
    """The settings of a run that is taken up again: those it was begun with, but for how the machine is used.

    The run may be lengthened: `cycles` may grow. `PLACES` may differ: the caller compares what lies there.

    Raises:
        UsageError: `given` asks for something else than the run was begun with.
    """
    begun = begun_config(stored)
    if given.get("rungs") == "auto":  # it was begun with what the data asked for
        given = {**given, "rungs": begun.rungs}
    known = begun.model_dump()
    if "rungs" in given:  # and not what follows of those that it has
        known["train"]["epochs"] = "auto"
    wanted = read_config(merged(known, given))
    settled = {
        key: getattr(begun.train, key) for key in ("device", "epochs", "crops") if getattr(wanted.train, key) == "auto"
    }
    if settled:  # it was begun with what there was
        wanted = read_config(merged(wanted.model_dump(), {"train": settled}))
    may_change = {"track", "train.workers", "train.cache", "train.unsafe", "train.executor", "train.address", *PLACES}
    may_change |= {"model.timeout", "model.retries"}
    # Where as many lessons make a step, these move it by rounding.
    may_change |= {"tuning.batch", "tuning.accumulation", "tuning.checkpointing"}
    then, now = flat(begun.model_dump()), flat(wanted.model_dump())
    if {then["screen"], now["screen"]} & NO_TABLES:  # they name no place
        may_change.remove("screen")
    for key in now:
        longer = key == "cycles" and now[key] > then[key]
        if now[key] != then.get(key) and key not in may_change and not longer:
            raise UsageError(
                f"the run was begun with `{key}` = {then.get(key)!r}, not {now[key]!r}",
                "a run keeps its settings: leave the option out to resume it, or name another --run",
            )
    lessons, was = wanted.tuning.step, begun.tuning.step
    if lessons != was:
        raise UsageError(
            f"the run was begun with `tuning.batch` x `tuning.accumulation` = {was}, not {lessons}",
            f"both may change if their product stays {was}, the lessons of a step; or name another --run",
        )
    return wanted
