"""What searches pick on a table of policies, trained with fresh seeds and scored on the test images."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.augmentation.own import AUTOMATIC, Table, arms, boards, picked
from benchmarks.augmentation.table import Floats
from benchmarks.table import Row
from deltanas.intervals import mean, paired
from deltanas.program import Trained
from deltanas.study.estimate import plain
from deltanas.task import Task

REFERENCES = ("none", "flip", "crop+flip")
"""Beside the automatic ones."""


def finalists(table: Table) -> dict[str, list[str]]:
    """Names of policies to train again, each with what it is there for.

    An arm's pick is that of the first replay on the first seed, among the enumerated policies.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for name, steps in zip(table.names, table.steps, strict=True):
        if name in REFERENCES or {step.name for step in steps} & {*AUTOMATIC}:
            found[name].append("reference")
    searched = table.enumerated
    board = boards(searched, "all seeds")[0]
    for name, arm in arms(searched, {}).items():
        found[searched.names[picked(board, arm, name, 0)[0]]].append(name)
    found[searched.names[int(np.argmax(searched.scores.mean(1)))]].append("highest mean of the table")
    return dict(found)


def kept(outcome: Trained) -> str | None:
    return None if outcome.per_image is None else b64encode(outcome.per_image).decode()


def compared(task: Task, rows: Sequence[Row], purposes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Each pick less each reference: intervals for other images, paired over them, and for other seeds, paired too.

    Policies with fewer than two trainings so far are left out.
    """
    images: dict[str, dict[int, Floats]] = defaultdict(dict)
    for row in rows:
        if row["per_image"] is not None:
            values = task.unpacked(b64decode(str(row["per_image"])), int(str(row["n"])))
            images[str(row["policy"])][int(str(row["seed"]))] = np.asarray(values, float)
    found: dict[str, Any] = {}
    for name, why in purposes.items():
        scores = [float(values.mean()) for values in images[name].values()]
        if len(scores) < 2:
            continue
        against = {
            other: _difference(images[name], images[other])
            for other, reasons in purposes.items()
            if "reference" in reasons and other != name
        }
        found[name] = {"for": list(why), "seeds": len(scores), "test": plain(mean(scores)), "over": against}
    return found


def _difference(one: Mapping[int, Floats], other: Mapping[int, Floats]) -> dict[str, Any] | None:
    """With the seeds that both have; None for fewer than two."""
    common = [seed for seed in one if seed in other]
    if len(common) < 2:
        return None
    mine, theirs = (np.mean([some[seed] for seed in common], axis=0) for some in (one, other))
    gains = [float(one[seed].mean() - other[seed].mean()) for seed in common]
    return {"images": plain(paired(mine, theirs)), "seeds": plain(mean(gains)), "won": sum(gain > 0 for gain in gains)}
