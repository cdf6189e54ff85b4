"""What others measured: the score of a named program under some settings after some epochs. LEMUR's unit of data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

NO_HYPERPARAMETER = frozenset({"epoch", "transform", "uid"})
"""What stands among the settings of a trial and is no hyperparameter of the program."""


class Experiment(NamedTuple):
    """What was measured on what: LEMUR's task, data set and metric, and the program's name there."""

    task: str
    dataset: str
    metric: str
    program: str


@dataclass(frozen=True, slots=True)
class Trial:
    """One score of one training.

    Attributes:
        epoch: how many epochs the training had taken.
        accuracy: the value of the experiment's metric; LEMUR calls it so whatever the metric is.
        duration: nanoseconds since the training began, None where it is not told.
        settings: all else that is told of the training, as JSON text with sorted keys: hyperparameters (`batch`, `lr`,
            ...), the name of the `transform`, `uid` (a hash of the others). Equal for the epochs of one training.
    """

    experiment: Experiment
    epoch: int
    accuracy: float
    duration: int | None
    settings: str

    @property
    def failure(self) -> str | None:
        """Why the training failed, None where it did not; `accuracy` says nothing then."""
        values: dict[str, object] = json.loads(self.settings) if '"error"' in self.settings else {}
        return str(values["error"]) if values.get("error") else None

    @property
    def prm(self) -> dict[str, float]:
        """The hyperparameters that are numbers."""
        values: dict[str, object] = json.loads(self.settings)
        return {
            name: value
            for name, value in values.items()
            if isinstance(value, int | float) and name not in NO_HYPERPARAMETER
        }
