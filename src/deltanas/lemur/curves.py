"""What trials say of programs: curves of accuracy over epochs, ranks, and a draw by rank."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from math import inf
from random import Random

import numpy as np
from numpy.typing import NDArray

from deltanas.lemur.layout import PUBLISHED
from deltanas.program.trial import Experiment, Trial

TASK, METRIC = "img-classification", "acc"
"""What networks that a search can start from are measured on."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The trials of one program on one data set under one setting.

    Attributes:
        prm: the hyperparameters that are numbers.
        epoch: int64 [n], never falling. accuracy: float64 [n]. An epoch that occurs twice was measured in two
            trainings of the same settings; which of them a later epoch belongs to is not told.
    """

    experiment: Experiment
    prm: dict[str, float]
    epoch: NDArray[np.int64]
    accuracy: NDArray[np.float64]

    @property
    def proxies(self) -> NDArray[np.float64]:
        """float64 [k]: the accuracy after one epoch, of each training; k = 0 where none was measured then."""
        found: NDArray[np.float64] = self.accuracy[self.epoch == 1]
        return found

    def target(self, epochs: int | None = None) -> float | None:
        """Mean accuracy after `epochs` epochs, or after the longest training; None if that is one epoch, or none."""
        chosen = self.accuracy[self.epoch == (self.epoch[-1] if epochs is None else epochs)]
        return float(chosen.mean()) if chosen.size and self.epoch[-1] > 1 else None


def curves(trials: Iterable[Trial]) -> Iterator[Curve]:
    """The curves, by experiment and then by the setting's first trial. A failed training is in none.

    Args:
        trials: those of one experiment side by side.
    """
    measured = (trial for trial in trials if trial.failure is None)
    for experiment, group in groupby(measured, lambda trial: trial.experiment):
        settings: dict[str, list[Trial]] = {}
        for trial in group:
            settings.setdefault(trial.settings, []).append(trial)
        for same in settings.values():
            same.sort(key=lambda trial: trial.epoch)
            epoch = np.array([trial.epoch for trial in same], np.int64)
            yield Curve(experiment, same[0].prm, epoch, np.array([trial.accuracy for trial in same], np.float64))


CSV_COLUMNS = ("program", "seed", "proxy", "target", "task", "dataset", "metric", "setting", "epochs")
CsvRow = tuple[str, int, float | None, float | None, str, str, str, int, int]


def csv_rows(found: Iterable[Curve], epochs: int | None = None) -> Iterator[CsvRow]:
    """One row for each training that was measured after one epoch, else one for its setting without a proxy.

    `seed` numbers the rows of a program in its experiment, `setting` its settings: rows of one setting differ by chance
    alone, others by their hyperparameters too. `target` is the accuracy after `epochs`, or after the longest training;
    empty where nothing longer than one epoch was measured.
    """
    for experiment, group in groupby(found, lambda curve: curve.experiment):
        task, dataset, metric, program = experiment
        seed = 0
        for setting, curve in enumerate(group):
            proxies: list[float | None] = [*map(float, curve.proxies)]
            longest = int(curve.epoch[-1])
            for proxy in proxies or [None]:
                yield program, seed, proxy, curve.target(epochs), task, dataset, metric, setting, epochs or longest
                seed += 1


_ENOUGH = 100
"""Trials of longer trainings that a short one is compared with."""
_LONGER, _BEYOND = 5, 1.1


def scored(trials: Iterable[Trial], epoch: int) -> tuple[list[Trial], list[Trial]]:
    """The trials of classifiers after so many epochs, and those of them that are misfiled.

    Misfiled is what no training of up to five times as many epochs reaches on the data set, where there are a hundred
    of these or more, and what lies a tenth above all other networks: 2.1.2 holds one of .928 "after one epoch" on
    CIFAR-10, where the next has .780 and the best after five .858. One such row would move the label of all networks.
    """
    held = _by_epoch(trial for trial in trials if epoch <= trial.epoch <= _LONGER * epoch)
    return _parted(held, epoch)


def sifted(trials: Iterable[Trial]) -> tuple[list[Trial], list[Trial]]:
    """As `scored`, of each number of epochs that classifiers were trained for, the fewest first."""
    held = _by_epoch(trials)
    parts = [_parted(held, epoch) for epoch in sorted(held)]
    return [trial for kept, _ in parts for trial in kept], [trial for _, wrong in parts for trial in wrong]


def _by_epoch(trials: Iterable[Trial]) -> dict[int, list[Trial]]:
    """Those of classifiers that did not fail."""
    held: defaultdict[int, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.experiment[::2] == (TASK, METRIC) and trial.failure is None:
            held[trial.epoch].append(trial)
    return dict(held)


def _parted(held: Mapping[int, list[Trial]], epoch: int) -> tuple[list[Trial], list[Trial]]:
    found = held.get(epoch, [])
    longer: defaultdict[str, list[float]] = defaultdict(list)
    for length, those in held.items():
        if epoch < length <= _LONGER * epoch:
            for trial in those:
                longer[trial.experiment.dataset].append(trial.accuracy)
    best: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for trial in found:
        here, program = best[trial.experiment.dataset], trial.experiment.program
        here[program] = max(trial.accuracy, here.get(program, 0.0))
    most = {dataset: max(those) for dataset, those in longer.items() if len(those) >= _ENOUGH}
    kept: list[Trial] = []
    wrong: list[Trial] = []
    for trial in found:
        _, dataset, _, program = trial.experiment
        if trial.accuracy <= most.get(dataset, inf):
            kept.append(trial)
            continue
        others = max((score for name, score in best[dataset].items() if name != program), default=inf)
        (wrong if trial.accuracy > _BEYOND * others else kept).append(trial)
    return kept, wrong


def told_misfiled(wrong: Iterable[Trial]) -> list[str]:
    """A line for each trial that `scored` calls misfiled."""
    return [
        f"left out as misfiled: {trial.experiment.program} with {trial.accuracy:.3f} on {trial.experiment.dataset},"
        " which no longer training reaches"
        for trial in wrong
    ]


def ranked(trials: Iterable[Trial], dataset: str, epoch: int | None = 1) -> list[Trial]:
    """Each program's best trial, the best program first: of the classifiers, by accuracy after one epoch.

    epoch: another number of epochs; None takes the trials of all numbers together.

    Where `dataset` was measured, by its trials alone. Elsewhere by the mean, over the data sets where a program was
    measured, of its rank there as a share of that data set's programs; its best trial is of the one where it ranks
    highest.
    """
    best: dict[str, dict[str, Trial]] = {}
    for trial in trials:
        task, where, metric, program = trial.experiment
        if (task, metric) == (TASK, METRIC) and epoch in (None, trial.epoch) and trial.failure is None:
            here = best.setdefault(where, {})
            if program not in here or trial.accuracy > here[program].accuracy:
                here[program] = trial
    orders = {where: sorted(here.values(), key=_standing) for where, here in best.items()}
    name = PUBLISHED.get(dataset, dataset)
    if name in orders:
        return orders[name]
    shares: dict[str, list[tuple[float, str]]] = {}
    for where, order in sorted(orders.items()):
        for rank, trial in enumerate(order, 1):
            shares.setdefault(trial.experiment.program, []).append((rank / len(order), where))
    mean = {program: sum(share for share, _ in found) / len(found) for program, found in shares.items()}
    programs = sorted(shares, key=lambda program: (mean[program], program))
    return [best[min(shares[program])[1]][program] for program in programs]


def _standing(trial: Trial) -> tuple[float, str]:
    return -trial.accuracy, trial.experiment.program


def drawn(order: list[Trial], count: int, rng: Random) -> list[Trial]:
    """`count` of them without repetition, with probability proportional to 1 / rank; all, if there are no more."""
    left = dict(enumerate(order, 1))
    chosen: list[Trial] = []
    while left and len(chosen) < count:
        ranks = list(left)
        chosen.append(left.pop(rng.choices(ranks, [1 / rank for rank in ranks])[0]))
    return chosen
