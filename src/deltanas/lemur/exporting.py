"""Programs and trials in LEMUR's layout: imported ones as they came, a search's own as its contributors give them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from deltanas.errors import DataError, UsageError
from deltanas.lemur.layout import PUBLISHED, program_path, transform_path, trials_path, trials_text
from deltanas.lemur.shares import pixels_text
from deltanas.program import Program, Trained
from deltanas.program.transforms import read_transform
from deltanas.program.trial import Experiment, Trial
from deltanas.records import RunView
from deltanas.task import Sorts, task_of
from deltanas.train.data import meaning_of

MEANING = "config.json"


def write_layout(
    folder: Path,
    sources: Mapping[str, str],
    trials: Iterable[Trial],
    meant: Mapping[str, object] | None = None,
    transforms: Mapping[str, str] | None = None,
) -> tuple[int, int]:
    """Write `ab/nn` into a new or empty folder; how many programs and trials were written.

    Args:
        trials: those of one experiment and epoch side by side. meant: what stands in a file beside `ab`.
        transforms: texts by the names that trials have for them.

    Raises:
        UsageError: the folder holds something.
        DataError: it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder", "name another one with --out")
    root, count = folder / "ab" / "nn", 0
    try:
        for name, source in sources.items():
            _write(root / program_path(name), source)
        for name, text in (transforms or {}).items():
            _write(root / transform_path(name), text)
        for (experiment, epoch), group in groupby(trials, lambda trial: (trial.experiment, trial.epoch)):
            same = list(group)
            _write(root / trials_path(experiment, epoch), trials_text(same))
            count += len(same)
        if meant:
            _write(folder / MEANING, json.dumps(meant, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise DataError(
            f"{error.filename or folder} can't be written: {error.strerror}", "name another --out"
        ) from None
    return len(sources), count


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())  # as it is: text mode would change line ends


def of_networks(trials: Iterable[Trial]) -> list[Trial]:
    """Trials of imported transforms as trials of the network that was trained, as LEMUR files them."""
    found = []
    for trial in trials:
        settings = json.loads(trial.settings)
        experiment = trial.experiment._replace(program=settings.pop("nn"))
        found.append(replace(trial, experiment=experiment, settings=json.dumps(settings, sort_keys=True)))
    return sorted(found, key=lambda trial: (trial.experiment, trial.epoch))


def own_meaning(view: RunView) -> dict[str, object] | None:
    """What pixels and outputs mean for a search's programs, as an export's `config.json` has it; None if not known."""
    data, config = view.manifest.get("data"), view.manifest.get("config")
    if not (isinstance(data, dict) and isinstance(config, dict) and isinstance(task_of(view.manifest), Sorts)):
        return None
    found = meaning_of(data, config.get("train"))
    return found.config() if found else None


@dataclass(frozen=True, slots=True)
class Own:
    """What a search trained: networks and transforms by name, and what each program scored."""

    sources: Mapping[str, str]
    transforms: Mapping[str, str]
    trials: Sequence[Trial]


def own_programs(view: RunView) -> Own:
    """A search's trained programs by name, and what each scored.

    A name is `deltanas-` and the MD5 of the source, as LEMUR names what was generated. The accuracy is the one on the
    validation split, after the epochs of its longest training; a candidate of several such trainings counts once, with
    their mean.

    Raises:
        DataError: the run says neither data set nor epochs; it is no search.
    """
    dataset, epochs, fed = _protocol(view.manifest)
    sources: dict[str, str] = {}
    transforms: dict[str, str] = {}
    trials: list[Trial] = []
    for candidate in view.candidates:
        program, outcome = candidate.program, candidate.outcome
        if program is None or not isinstance(outcome, Trained):
            continue
        name = f"deltanas-{_md5(program.net)}"
        sources[name] = program.net
        experiment = Experiment("img-classification", PUBLISHED.get(dataset, dataset), "acc", name)
        duration = round(outcome.seconds * 1e9)
        used = fed
        if program.transform:
            text = _transform_text(program, view)
            used = f"deltanas-{_md5(text)}"
            transforms[used] = text
        trials.append(Trial(experiment, outcome.epochs or epochs, outcome.score, duration, _settings(program, used)))
    return Own(sources, transforms, sorted(trials, key=lambda trial: (trial.experiment, -trial.accuracy)))


def _transform_text(program: Program, view: RunView) -> str:
    """The transform as LEMUR has it: sizes in pixels of the run's images."""
    manifest: Mapping[str, Any] = view.manifest
    try:
        channels, height, width = manifest["data"]["shape"]
        train = manifest["config"]["train"]
        resized, colour = train["resize"] is not None, train.get("colour")
    except (KeyError, TypeError, ValueError):
        raise DataError("the run does not say what size its images have", "name another RUN") from None
    return pixels_text(read_transform(program.transform), (channels, height, width), resized=resized, colour=colour)


def _protocol(manifest: Mapping[str, Any]) -> tuple[str, int, str]:
    """Data set, epochs of a training, and the LEMUR transform that comes closest to how images are fed."""
    try:
        config = manifest["config"]
        train = config["train"]
        dataset, epochs, resize = str(config["dataset"]), int(train["epochs"]), train["resize"]
    except (KeyError, TypeError, ValueError):
        raise DataError("the run is no search: it says neither data set nor epochs", "name another RUN") from None
    kind, _, path = dataset.partition(":")
    name = (Path(path).stem if path else kind).replace("_", "-")  # `_` parts the fields of a folder's name
    return name, epochs, f"norm_{resize}" if resize else "norm"


def _settings(program: Program, transform: str) -> str:
    values: dict[str, object] = {**program.hyperparameters, "transform": transform}
    # LEMUR's `uid`: the hash of the hyperparameters as Python prints them, in the order of their names.
    values["uid"] = _md5(str(dict(sorted(values.items()))))
    return json.dumps(values, sort_keys=True)


def _md5(text: str) -> str:
    """As LEMUR names by content: blanks don't count."""
    return hashlib.md5(re.sub(r"\s", "", text).encode(), usedforsecurity=False).hexdigest()
