"""LEMUR's layout: where programs and trials lie below `ab/nn`, and how they are written.

`nn/NAME.py` is a program, `stat/train/TASK_DATASET_METRIC_NAME/EPOCH.json` a list of trials; up to nn-dataset 1.2.6
the trials lay in `stat/` itself. In `stat/run/` newer wheels keep times on telephones, which are no trials.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from deltanas.program.trial import Experiment, Trial

PUBLISHED = {"cifar10": "cifar-10", "cifar100": "cifar-100"}
"""LEMUR's names of data sets where they differ from ours."""

_LARGEST = 2**63 - 1
"""Largest integer that the archive holds."""


class FaultError(Exception):
    """A file that is not what its place says; the message says why."""


class Layout(Protocol):
    """Where programs and their trials lie in a wheel or a folder, and how they are read.

    Attributes:
        command: the group of commands that imports it. inside: the folder that all lies in. folders: those in it that
            are read.
        lacks: what is missed where there is no program. where: what holds some. fetch: the command that fetches it.
    """

    command: str
    inside: str
    folders: tuple[str, ...]
    lacks: str
    where: str
    fetch: str

    def program_name(self, path: str) -> str | None:
        """The program whose source lies at `path`, None if no program's does."""

    def is_trials(self, path: str) -> bool: ...
    def program_of(self, path: str) -> str:
        """The program of the trials at `path` (where `is_trials`). Raises FaultError."""

    def source(self, data: bytes) -> str:
        """A program's text, to the byte. Raises FaultError."""

    def trials(self, path: str, data: bytes) -> list[Trial]:
        """The trials of a file. Raises FaultError, with the first fault: a file is taken whole or not at all."""


class _Programs:
    """The layout of nn-dataset."""

    command = "lemur"
    inside = "ab/nn/"
    folders: tuple[str, ...] = ("nn", "stat")
    lacks = "programs (ab/nn/nn/*.py)"
    where = (
        "nn-dataset 1.2.6 and 2.1.2 hold programs and trials, 2.2.11 holds none: "
        "pip download --no-deps nn-dataset==2.1.2"
    )
    fetch = "pip download --no-deps nn-dataset==1.2.6"

    def program_name(self, path: str) -> str | None:
        match path.split("/"):
            case ["nn", file] if file.endswith(".py") and file != "__init__.py":
                return file.removesuffix(".py")
            case _:
                return None

    def is_trials(self, path: str) -> bool:
        match path.split("/"):
            case ["stat", "train", _, file]:
                return file.endswith(".json")
            case ["stat", folder, file]:
                return folder not in {"train", "run"} and file.endswith(".json")
            case _:
                return False

    def program_of(self, path: str) -> str:
        return trials_place(path)[0].program

    def source(self, data: bytes) -> str:
        return source_from(data)

    def trials(self, path: str, data: bytes) -> list[Trial]:
        experiment, epoch = trials_place(path)
        if not data.strip():
            raise FaultError("the file is empty")
        try:
            rows = json.loads(data)
            if not isinstance(rows, list):
                raise FaultError("not a list of trials")
            if not rows:
                raise FaultError("it holds no trial")
            return [trial_of(experiment, epoch, row, f"trial {number}") for number, row in enumerate(rows, 1)]
        except (ValueError, RecursionError) as error:  # no UTF-8 and numbers too long are ValueErrors too
            raise FaultError(f"not JSON: {error}") from None


PROGRAMS: Layout = _Programs()


def trials_place(path: str) -> tuple[Experiment, int]:
    """The experiment and the epoch of the trials at `path` (where `is_trials`). Raises FaultError."""
    *_, folder, file = path.split("/")
    fields = folder.split("_", 3)
    if len(fields) != 4 or not all(fields):
        raise FaultError("its folder is not named TASK_DATASET_METRIC_PROGRAM")
    stem = file.removesuffix(".json")
    if not (stem.isascii() and stem.isdigit() and len(stem) <= 9 and int(stem) > 0):
        raise FaultError("its name is not the number of an epoch")
    return Experiment(*fields), int(stem)


def source_from(data: bytes) -> str:
    """A program's text, to the byte. Raises FaultError."""
    if b"\0" in data:
        raise FaultError(f"not a text file: a NUL byte at offset {data.index(0)}")
    try:
        source = data.decode()
    except UnicodeDecodeError as error:
        raise FaultError(f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}") from None
    if not source.strip():
        raise FaultError("the file is empty")
    return source


def trial_of(experiment: Experiment, epoch: int, row: object, which: str) -> Trial:
    """The trial that an object of a file tells. Raises FaultError."""
    if not isinstance(row, dict):
        raise FaultError(f"{which} is not an object")
    accuracy, duration = row.get("accuracy"), row.get("duration")
    if isinstance(accuracy, bool) or not isinstance(accuracy, int | float) or not abs(accuracy) <= _LARGEST:
        raise FaultError(f"{which} has no accuracy that is a number")
    told = isinstance(duration, int) and not isinstance(duration, bool) and 0 <= duration <= _LARGEST
    rest = {key: value for key, value in row.items() if key != "accuracy" and not (told and key == "duration")}
    return Trial(experiment, epoch, float(accuracy), duration if told else None, json.dumps(rest, sort_keys=True))


def program_path(name: str) -> str:
    return f"nn/{name}.py"


def transform_path(name: str) -> str:
    return f"transform/{name}.py"


def trials_path(experiment: Experiment, epoch: int) -> str:
    return f"stat/train/{'_'.join(experiment)}/{epoch}.json"


def trials_text(trials: Iterable[Trial]) -> str:
    """The file of the trials of one experiment and epoch, as LEMUR writes it."""
    return json.dumps([dict(sorted(_row(trial).items())) for trial in trials], indent=4)


def _row(trial: Trial) -> Mapping[str, Any]:
    duration = {} if trial.duration is None else {"duration": trial.duration}
    return {**json.loads(trial.settings), "accuracy": trial.accuracy, **duration}
