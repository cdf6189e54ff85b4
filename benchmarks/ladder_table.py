"""Edits that were measured after a short and after a long training, as a world in which searches are replayed."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, cast

from benchmarks.length_draws import program_of
from benchmarks.table import Row
from deltanas.config import TrainConfig
from deltanas.errors import DataError
from deltanas.program import Program, Trained
from deltanas.search import training_seed
from deltanas.train.data import Dataset, Images
from deltanas.whole import append_rows, read_rows
from deltanas.wiring import builtin_programs
from deltanas.wiring.pools import load_dataset, open_pool, settled_training

FAMILIES = 5
"""Of a search."""
SHORT, LONG = "short", "long"
FRESH = 100
"""Number of the first seed that no row of the table has."""


@dataclass(frozen=True)
class Chosen:
    """What a search hands over, and the baseline that it is to surpass: the best of its own by the table."""

    name: str
    rival: str


@dataclass(frozen=True)
class Measured:
    """A network. scores, seconds: by the number of epochs of a rung, one a seed; None where it failed."""

    family: str
    scores: Mapping[int, Sequence[float | None]]
    seconds: Mapping[int, float]


@dataclass(frozen=True)
class Table:
    """networks: by the identity of the program. roots: of each family. lengths: short and long, in epochs."""

    networks: Mapping[str, Measured]
    roots: Mapping[str, str]
    programs: Mapping[str, Program]
    lengths: tuple[int, int]
    method: Mapping[str, Any]

    @property
    def mean_seconds(self) -> float:
        return fmean(one.seconds[self.lengths[1]] for one in self.networks.values())

    @classmethod
    def read(cls, folder: Path) -> Table:
        if not (folder / "meta.json").exists():
            raise DataError(f"{folder} holds no table", "measure one: python -m benchmarks lengths --out FOLDER")
        described = json.loads((folder / "meta.json").read_text("utf-8"))
        lengths = (described["lengths"][SHORT][0], described["lengths"][LONG][0])
        builtin = builtin_programs({})
        edits = {str(row["program"]): row for row in read_rows(folder / "edits.jsonl")}
        made: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in read_rows(folder / "trainings.jsonl"):
            made[str(row["program"])][str(row["what"])].append(row)
        known = {name: _measured(rows, lengths) for name, rows in made.items() if SHORT in rows and LONG in rows}
        families = {family: program.id for family, program in builtin.items() if program.id in known}
        programs = {
            name: builtin[one.family] if name not in edits else program_of(edits[name], builtin[one.family])
            for name, one in known.items()
            if name in edits or name in families.values()
        }
        return cls({name: known[name] for name in programs}, families, programs, lengths, described)

    def world(self, key: str) -> Replayed:
        return Replayed(self, key)

    def best(self, names: Sequence[str]) -> str:
        """By the mean of the long trainings; one that failed is the worst."""
        scores = {name: self.networks[name].scores[self.lengths[1]] for name in names}
        return max(names, key=lambda name: fmean(score or 0.0 for score in scores[name]))


def _measured(rows: Mapping[str, Sequence[Row]], lengths: tuple[int, int]) -> Measured:
    scores, seconds = {}, {}
    for what, epochs in zip((SHORT, LONG), lengths, strict=True):
        made = sorted(rows[what], key=lambda row: int(str(row["seed"])))
        scores[epochs] = [_end(row, epochs) for row in made]
        seconds[epochs] = fmean(float(str(row["cpu_seconds"])) for row in made)
    return Measured(str(rows[LONG][0]["family"]), scores, seconds)


def _end(row: Row, epochs: int) -> float | None:
    """Accuracy after the whole training, by averaged weights where they are known, as a search scores."""
    found = None
    for one in sorted(cast("list[dict[str, Any]]", row["readings"]), key=lambda one: bool(one["averaged"])):
        if one["epochs"] == epochs:
            found = cast("float | None", one["accuracy"])
    return found


class Replayed:
    """A search's families and the order of their edits; each edit is drawn once, and all are edits of the baselines."""

    def __init__(self, table: Table, key: str) -> None:
        self._table = table
        rng = Random(key)
        chosen = rng.sample(sorted(table.roots), min(FAMILIES, len(table.roots)))
        self.roots = [table.roots[family] for family in chosen]
        self._open: dict[str, list[str]] = {}
        for family in chosen:
            edits = [name for name, one in table.networks.items() if one.family == family and name not in self.roots]
            self._open[family] = rng.sample(sorted(edits), len(edits))

    def child(self, parent: str, place: str) -> str | None:
        family = self._table.networks[parent].family
        if not self._open[family]:
            family = Random(place).choice([each for each in self._open if self._open[each]] or [family])
        return self._open[family].pop() if self._open[family] else None

    def score(self, name: str, epochs: int, repeat: int) -> float | None:
        known = self._table.networks[name].scores[epochs]
        return known[min(repeat, len(known) - 1)]

    def seconds(self, name: str, epochs: int) -> float:
        return self._table.networks[name].seconds[epochs]


def fresh_scores(table: Table, names: Sequence[str], seeds: int, out: Path, deadline: float) -> dict[str, float] | None:
    """Mean over fresh seeds after the long training; None where there was no time for all. A failure scores 0."""
    epochs, images, _ = table.method["lengths"][LONG]
    config = TrainConfig(size=images, validation_size="all", epochs=epochs, workers=1, threads=1, timeout=240 * epochs)
    dataset = load_dataset(table.method["dataset"], config)
    config = settled_training(config, dataset, {})
    most = table.method["validation"]
    kept = Images(dataset.test.x[:most], dataset.test.y[:most])
    done = {(row["program"], row["seed"]): float(str(row["score"])) for row in read_rows(out)}
    with open_pool(_validated(dataset, kept), config) as pool:
        for number in range(FRESH, FRESH + seeds):
            missing = [name for name in names if (name, number) not in done]
            programs = [table.programs[name] for name in missing]
            for place, outcome in pool.train(programs, seed=training_seed(0, repeat=number)):
                score = outcome.score if isinstance(outcome, Trained) else 0.0
                row: Row = {"program": missing[place], "seed": number, "score": score}
                append_rows(out, [{**row, "cpu_seconds": round(outcome.cpu_seconds, 2)}])
                done[missing[place], number] = score
                sys.stderr.write(f"{len(done)} of {len(names) * seeds}\n")
                if time.monotonic() > deadline:
                    return None
    return {name: fmean(done[name, number] for number in range(FRESH, FRESH + seeds)) for name in names}


def _validated(dataset: Dataset, images: Images) -> Dataset:
    """The data set with other validation images: those of the test split, which no score of the table has seen."""
    return replace(dataset, validation=images)
