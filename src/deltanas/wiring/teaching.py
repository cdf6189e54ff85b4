"""From settings to what a model is taught: who learns, from which measured edits, put in which words."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import cast

from deltanas.archive import POINTER, read_folder
from deltanas.config import SearchConfig
from deltanas.errors import UsageError
from deltanas.learn import tune
from deltanas.learn.corpus import Phrasing
from deltanas.learn.learner import LoraLearner, Teaching
from deltanas.learn.measured import MeasuredEdit, read_measured
from deltanas.learn.near import lemur_edits
from deltanas.learn.sources import EDITS, gains_edits, own_edits
from deltanas.llm import Model, Tunable, parse_spec
from deltanas.propose import STRATEGIES
from deltanas.seams import Archive, Listener, Proposer, Stepped
from deltanas.task import task_of
from deltanas.wiring.released import Told, is_released, released_edits, wheel_edits


def require_tunable(config: SearchConfig) -> None:
    """Raises UsageError where the settings name no model that could be tuned."""
    if not config.proposing.taught:
        known = " | ".join(name for name, one in STRATEGIES.items() if one.taught)
        raise UsageError(
            f"strategy {config.strategy} has no model that learns", f"learning goes with --strategy {known}"
        )
    if parse_spec(config.model.spec).kind == "openai":
        raise UsageError(
            f"{config.model.spec} can't be tuned: its weights are on a server",
            "name a model on this machine: smollm2, hub:OWNER/NAME, path:DIR",
        )


def learner_of(
    teaching: Teaching | None,
    model: Model | None,
    proposer: Proposer,
    archive: Archive,
    folder: Path,
    listener: Listener,
) -> LoraLearner | None:
    """Who tunes the model after each cycle, None where nothing is to be learned. folder: the run's.

    model, proposer: of settings that `teaching_of` took.
    """
    if teaching is None:
        return None
    tuning = partial(tune, note=lambda *step: listener(Stepped(*step)))
    known, phrasing = cast("Tunable", model), cast("Phrasing", proposer)
    return LoraLearner(known, phrasing, archive, listener, folder, teaching, tuning)


def teaching_of(config: SearchConfig) -> Teaching:
    """What is learned, and how. Raises UsageError, DataError where the settings or a corpus don't allow it."""
    require_tunable(config)
    start, places = config.model.adapter, config.learn.corpus
    more = tuple(edit for place in places for edit in measured_edits(Path(place).expanduser()))
    return Teaching(config.learn, config.tuning, config.seed, more, Path(start).expanduser() if start else None)


def measured_edits(place: Path, told: Told = lambda _: None, **near: int) -> list[MeasuredEdit]:
    """The measured edits of a run, of imported programs or transforms, of a wheel of transforms, of the folder of
    `python -m benchmarks gains`, or of a file.

    told: told what of transforms is left out. near: with imported programs, `distance` and `parents` of `lemur_edits`.

    Raises UsageError, DataError, ArchiveError where there are none or they can't be read.
    """
    if is_released(place):
        return wheel_edits(place, told)
    if not place.is_dir():
        return read_measured(place)
    if (place / EDITS).exists():
        return gains_edits(place)
    if not (place / POINTER).exists():
        raise UsageError(f"{place} holds no measured edits", f"name a run, a file, or a folder with {EDITS}")
    with read_folder(place).open() as run:
        if "config" in run.manifest:
            return own_edits(run.candidates(), run.name, task_of(run.manifest).metric)
        if run.trials.part == "transform":
            return released_edits(run.trials.sources(), run.trials.trials(), run.name, told)
        # After one epoch, as candidates of a search are scored; later ones would tell of the same pairs again.
        trials = run.trials.trials(task="img-classification", epoch=1)
        return lemur_edits(run.trials.sources(), trials, origin=run.name, **near)
