"""From a search's winners to a better model. Importing this room is cheap; a tuning loads torch and PEFT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from deltanas.learn.tuning import Packing, Tuned, Tuning
from deltanas.llm import Lesson, Model, Preference

__all__ = ["PAUSE", "Packing", "Tuned", "Tuning", "export_adapter", "tune", "tune_preferences"]

PAUSE = 60.0
"""Seconds between two times that a tuning keeps what it knows, so that a killed one loses no more."""


def tune(
    model: Model,
    lessons: Sequence[Lesson],
    settings: Tuning,
    into: Path,
    after: Path | None,
    seed: int,
    *,
    pause: float = PAUSE,
    note: Callable[[int, int, float], None] | None = None,
) -> Tuned:
    """Teach a model on this machine to answer as the lessons do: the likelihood of their completions, nothing else.

    Args:
        into: the folder of the new adapter. It appears whole or not at all. A call that was killed is taken up by the
            next one with the same arguments; where it is done already, that returns what it made.
        after: the adapter to continue; None: begin a line. seed: of the adapter's first weights, the lessons' order
            and the dropout.
        pause: seconds between two times that what was learned is kept in a file beside `into`.
        note: told after each step: how many are done, of how many, and the loss before it.

    Afterwards the model has its adapter of before. Raises ModelError where there is nothing to learn from, where
    `after` is of another base model or other sizes, where memory or the disk runs out, and for a server's model.
    """
    from deltanas.learn import lora

    return lora.tune(model, lessons, settings, lora.Place(into, after, seed, pause, note))


def tune_preferences(
    model: Model,
    pairs: Sequence[Preference],
    settings: Tuning,
    into: Path,
    after: Path | None,
    seed: int,
    *,
    beta: float = 0.1,
    pause: float = PAUSE,
    note: Callable[[int, int, float], None] | None = None,
) -> Tuned:
    """Teach a model to prefer the better of two answers (DPO: Rafailov et al., 2023, equation 7); else as `tune`.

    beta: how dear it is to move away from the model as it begins, with the adapter `after`. `Tuned.losses` are those of
    the preferences, a mean over a step's pairs; a pair goes through the model as a tree where packing is "prefix".
    """
    from deltanas.learn import lora

    return lora.tune_preferences(model, pairs, settings, lora.Place(into, after, seed, pause, note), beta)


def export_adapter(folder: Path, into: Path, base: str | None = None) -> Path:
    """Copy an adapter for a server (vLLM and others take PEFT's format), with its base model's name; return `into`.

    Models on this machine load the copy too: its lineage goes with it.

    base: what the server calls the base model; None: its name on the hub, or its folder. Raises UsageError where
    `into` exists or that name is not known, ModelError where the adapter can't be read.
    """
    from deltanas.learn import lora

    return lora.export_adapter(folder, into, base)
