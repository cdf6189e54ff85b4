"""Measured edits out of programs that others trained: two that are nearly alike, one with a higher score."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from deltanas.errors import EditError
from deltanas.learn.measured import MeasuredEdit
from deltanas.learn.noise import gain_noise, training_noise
from deltanas.program import diff
from deltanas.program.trial import Trial

TASK, METRIC = "img-classification", "acc"
NOT_OF_PROTOCOL = ("epoch", "uid")
"""What trials of one protocol may differ in: `epoch` in the settings is the number of epochs that were planned."""
BLOCK = 1_000
"""Programs that are compared with all others of their protocol at a time."""


class Protocol(NamedTuple):
    """What two programs must share for their scores to be compared: the settings are all hyperparameters."""

    dataset: str
    epoch: int
    settings: str


def lemur_edits(
    sources: Mapping[str, str], trials: Iterable[Trial], *, distance: int = 12, parents: int = 2, origin: str = "lemur"
) -> list[MeasuredEdit]:
    """The edits that lead from a program to a better one nearby, under one protocol.

    Every program is paired with the nearest programs that scored lower. Noise is that of trials that were repeated, by
    data set. A family is a set of programs that are joined by such nearness, over all protocols: what is held out is
    never near to what is learned.

    Args:
        sources: programs by name. trials: those of classifiers are taken.
        distance: lines that may differ, those taken out and those put in. parents: of one program, at most.
    """
    groups = _by_protocol(trials, sources)
    noise = training_noise(
        (protocol.dataset, scores) for protocol, group in groups.items() for scores in group.values()
    )
    families = _Families()
    found: list[tuple[str, str, str, int, Protocol, dict[str, float]]] = []
    for protocol, group in groups.items():
        names = sorted(group)
        means = {name: sum(scores) / len(scores) for name, scores in group.items()}
        for child, near in zip(names, _neighbours([sources[name] for name in names], distance), strict=True):
            for place, _ in near:
                families.join(child, names[place])
            below = [names[place] for place, lines in near if lines and means[names[place]] < means[child]]
            for parent in below[:parents]:
                found.append((child, parent, protocol.dataset, len(group[child]), protocol, means))
    edits = []
    for child, parent, dataset, count, protocol, means in found:
        try:
            edit = diff(sources[parent], sources[child])
        except EditError:  # their lines end differently
            continue
        edits.append(
            MeasuredEdit(
                families.of(child),
                sources[parent],
                edit,
                gain=means[child] - means[parent],
                accuracy=means[child],
                noise=gain_noise(noise, dataset, count, len(groups[protocol][parent])),
                before=means[parent],
                origin=f"{origin} {dataset} {parent} -> {child}",
            )
        )
    return edits


def _by_protocol(trials: Iterable[Trial], sources: Mapping[str, str]) -> dict[Protocol, dict[str, list[float]]]:
    """Scores by protocol and program; protocols of one program are left out."""
    shared: dict[str, str] = {}
    groups: dict[Protocol, dict[str, list[float]]] = {}
    for trial in trials:
        task, dataset, metric, name = trial.experiment
        if (task, metric) == (TASK, METRIC) and name in sources:
            if trial.settings not in shared:
                values = json.loads(trial.settings)
                kept = {key: value for key, value in values.items() if key not in NOT_OF_PROTOCOL}
                shared[trial.settings] = json.dumps(kept, sort_keys=True)
            protocol = Protocol(dataset, trial.epoch, shared[trial.settings])
            groups.setdefault(protocol, {}).setdefault(name, []).append(trial.accuracy)
    return {protocol: group for protocol, group in sorted(groups.items()) if len(group) > 1}


def _neighbours(texts: Sequence[str], distance: int) -> Iterator[list[tuple[int, int]]]:
    """For each text the others within `distance`, with how many lines differ, nearest first.

    Lines count as often as they occur, but not in which order they stand.
    """
    import numpy as np
    from scipy.sparse import csr_matrix  # SciPy takes a second to load

    columns: dict[tuple[str, int], int] = {}
    rows = [[columns.setdefault(key, len(columns)) for key in _lines(text)] for text in texts]
    starts = np.cumsum([0, *map(len, rows)])
    flat = np.fromiter((column for row in rows for column in row), np.int32, int(starts[-1]))
    matrix: Any = csr_matrix((np.ones(len(flat), np.int32), flat, starts), shape=(len(texts), len(columns)))
    sizes = np.diff(starts)
    for start in range(0, len(texts), BLOCK):
        shared = np.asarray((matrix[start : start + BLOCK] @ matrix.T).todense())
        apart = sizes[start : start + BLOCK, None] + sizes[None, :] - 2 * shared
        for place, lines in enumerate(apart, start):
            near = [int(other) for other in np.flatnonzero(lines <= distance) if other != place]
            yield sorted(((other, int(lines[other])) for other in near), key=lambda one: (one[1], one[0]))


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """The lines with the number of their occurrence: equal multisets give equal sets."""
    seen: Counter[str] = Counter()
    for line in text.split("\n"):
        bare = line.rstrip()
        if bare:
            yield bare, seen[bare]
            seen[bare] += 1


class _Families:
    """Sets of names that were joined; each is called by the first of its names."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def of(self, name: str) -> str:
        root = name
        while (above := self._parents.get(root, root)) != root:
            root = above
        while name != root:
            self._parents[name], name = root, self._parents[name]
        return root

    def join(self, one: str, other: str) -> None:
        low, high = sorted((self.of(one), self.of(other)))
        self._parents[high] = low
