"""From released transforms to the measured edits that a model learns from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from deltanas.errors import DataError
from deltanas.learn.measured import MeasuredEdit
from deltanas.learn.released import FEWEST_NONE, Scored, transform_edits
from deltanas.lemur import TRANSFORMS, Memory, import_tree, open_tree
from deltanas.lemur.layout import FaultError
from deltanas.lemur.shares import converted
from deltanas.lemur.transforms import HYPERPARAMETERS, SIDE, read_released
from deltanas.program.trial import Trial

Told = Callable[[str], None]
"""Told what is left out, and why."""


def is_released(place: Path) -> bool:
    """Whether a place is a wheel, or a folder with transforms as nn-gpt has them."""
    return place.suffix == ".whl" or (place / TRANSFORMS.inside).is_dir() or (place / TRANSFORMS.folders[0]).is_dir()


def wheel_edits(place: Path, told: Told) -> list[MeasuredEdit]:
    """The measured edits of a wheel or a folder, which is read and not imported."""
    shelf = Memory()
    with open_tree(place, TRANSFORMS) as tree:
        done = import_tree(tree, shelf, lambda *_: None, TRANSFORMS)
    for file in done.broken:
        told(f"{file.path}: {file.reason}")
    return released_edits(shelf.sources, shelf.trials, place.name, told)


def released_edits(texts: Mapping[str, str], trials: Sequence[Trial], origin: str, told: Told) -> list[MeasuredEdit]:
    """The measured edits of transforms, given by name with their trials; of trainings of one epoch.

    Of longer ones too few had no transform to tell a gain from, and no text was trained twice to tell the noise.

    Raises DataError where there are none.
    """
    found = transform_edits(_scored(texts, [trial for trial in trials if trial.epoch == 1], told), origin)
    if not found:
        raise DataError(
            f"{origin} holds fewer than {FEWEST_NONE} trainings of one epoch without a transform: there is nothing to "
            "tell a gain from",
            f"take the whole of it: {TRANSFORMS.fetch}",
        )
    return found


def _scored(texts: Mapping[str, str], trials: Sequence[Trial], told: Told) -> Iterator[Scored]:
    for trial in trials:
        name = trial.experiment.program
        if trial.failure is not None:
            _, _, last = trial.failure.strip().rpartition("\n")
            told(f"{name}: its training failed: {last or 'no reason is given'}")
            continue
        try:
            steps = converted(read_released(texts[name]), SIDE).steps
        except FaultError as fault:
            told(f"{name}: {fault}")
            continue
        settings = json.loads(trial.settings)
        prm = {key: float(settings[key]) for key in HYPERPARAMETERS if isinstance(settings.get(key), int | float)}
        yield Scored(name, steps, texts[name], trial.accuracy, prm)
