"""Controls of a table of `deltanas recipes run`: twins score alike, nothing differs from itself, intervals cover.

    python -m benchmarks recipes_controls TABLE... [--json]

1. Cross-entropy and NLL of the log-softmax are the same operations: the share of their trainings (fixed arm, equal
   seeds) with equal scores, and the mean difference.
2. A recipe against itself on other seeds: its trainings are split in two at random in each network, or for all networks
   alike as their seeds are the same; how often does Wilcoxon's signed-rank test over the networks reject at 5 %?
3. Tables of known effects, simulated with the noise that the seeds have in this table: how often does the interval of a
   mean difference over networks hold the truth?

Rows of several tables count together. A failed training scores as always naming the largest class.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.table import read_rows
from deltanas.errors import UsageError
from deltanas.intervals import Estimate, mean, wilson

ALPHA = 0.05
RESAMPLINGS, TABLES = 1_000, 2_000
EFFECTS = (0.0, 0.01, 0.05)
"""Mean differences of the simulated tables, as shares."""
INTERACTION = 0.02
"""Standard deviation over networks of a simulated difference."""

Row = Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path, nargs="+", metavar="TABLE")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = controls([row for table in given.tables for row in _rows(table)])
    if given.json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    for name, part in found.items():
        sys.stdout.write(f"{name}: {', '.join(f'{key} {_told(value)}' for key, value in part.items())}\n")


def controls(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """The three, each empty but for the reason where the rows do not hold it."""
    scored = [row for row in rows if row["phase"] == "score"]
    cells = cells_of(scored)
    return {
        "cross-entropy and NLL": twins(scored),
        "a recipe and itself": itself(cells),
        "simulated tables": coverage(cells),
    }


def twins(rows: Sequence[Row]) -> dict[str, Any]:
    scores: dict[tuple[str, str, str, int], dict[str, float]] = {}
    for row in rows:
        if row["arm"] == "fixed" and row["loss"] in ("ce", "nll") and row["program"] is not None:
            place = (row["network"], row["dataset"], row["optimizer"], row["seed"])
            scores.setdefault(place, {})[row["loss"]] = score_of(row)
    pairs = [(found["ce"], found["nll"]) for found in scores.values() if len(found) == 2]
    if len(pairs) < 2:
        return {"lacking": "two or more trainings by both with one seed"}
    equal = sum(one == other for one, other in pairs)
    difference = mean([one - other for one, other in pairs])
    return {
        "pairs": len(pairs),
        "equal": equal,
        "share": asdict(wilson(equal, len(pairs))),
        "difference": asdict(difference) if difference else None,
        "largest": max(abs(one - other) for one, other in pairs),
    }


Cells = dict[tuple[str, ...], list[list[float]]]
"""Scores by seed of each network, by data set, arm and recipe."""


def cells_of(rows: Sequence[Row]) -> Cells:
    """Of recipes with two seeds or more on six networks or more: with fewer the test can't reject at 5 %."""
    found: dict[tuple[str, ...], dict[str, dict[int, float]]] = {}
    for row in rows:
        if row["program"] is not None:
            place = tuple(str(row[name]) for name in ("dataset", "arm", "loss", "optimizer", "scale"))
            found.setdefault(place, {}).setdefault(row["network"], {})[row["seed"]] = score_of(row)
    cells: Cells = {}
    for place, networks in found.items():
        seeds = sorted(set.intersection(*(set(scores) for scores in networks.values())))
        if len(seeds) > 1 and len(networks) > 5:
            cells[place] = [[scores[seed] for seed in seeds] for scores in networks.values()]
    return cells


def itself(cells: Cells) -> dict[str, Any]:
    if not cells:
        return {"lacking": "a recipe with two seeds on six networks"}
    rng, each = np.random.default_rng(0), -(-RESAMPLINGS // len(cells))
    apart, alike = [], []
    for scores in map(np.array, cells.values()):
        half = scores.shape[1] // 2
        for _ in range(each):
            drawn = rng.permuted(scores, axis=1)
            apart.append(rejects(drawn[:, :half].mean(axis=1) - drawn[:, half : 2 * half].mean(axis=1)))
        for chosen in combinations(range(scores.shape[1]), half):
            rest = np.delete(scores, chosen, axis=1)
            alike.append(rejects(scores[:, chosen].mean(axis=1) - rest.mean(axis=1)))
    return {
        "recipes": len(cells),
        "resamplings": len(apart),
        "rejected": asdict(wilson(sum(apart), len(apart))),
        "splits for all networks": len(alike),
        "rejected of these": asdict(wilson(sum(alike), len(alike))),
    }


def rejects(differences: np.ndarray[Any, Any]) -> bool:
    """Wilcoxon's signed-rank test at 5 %; differences of nothing differ in nothing."""
    differences = differences.round(12)
    return bool(differences.any()) and float(stats.wilcoxon(differences, zero_method="wilcox").pvalue) < ALPHA


def coverage(cells: Cells) -> dict[str, Any]:
    """Noise: the deviations of a network's seeds from their mean, blown up to the size of single trainings."""
    if not cells:
        return {"lacking": "a recipe with two seeds on six networks"}
    rng = np.random.default_rng(0)
    noise = []
    for scores in map(np.array, cells.values()):
        seeds = scores.shape[1]
        noise += list((scores - scores.mean(axis=1, keepdims=True)) * np.sqrt(seeds / (seeds - 1)))
    networks, seeds = max(map(len, cells.values())), min(map(len, noise))
    pool = np.array([one[:seeds] for one in noise])
    found: dict[str, Any] = {"tables": TABLES, "networks": networks, "seeds": seeds}
    for effect in EFFECTS:
        places = rng.integers(len(pool), size=(TABLES, 2, networks, 1))
        luck = pool[places, rng.integers(seeds, size=(TABLES, 2, networks, seeds))].mean(axis=3)
        truth = effect + INTERACTION * rng.standard_normal((TABLES, networks))
        intervals = [mean(one) for one in truth + luck[:, 0] - luck[:, 1]]
        held = sum(one is not None and one.low <= effect <= one.high for one in intervals)
        found[f"hold {100 * effect:g} points"] = asdict(wilson(held, TABLES))
    return found


def score_of(row: Row) -> float:
    return float(row["chance"] if row["score"] is None else row["score"])


def _rows(path: Path) -> list[dict[str, object]]:
    if not path.is_file():
        raise UsageError(f"no table {path}", "benchmarks/recipes/train.sh makes some")
    return read_rows(path)


def _told(value: object) -> str:
    if isinstance(value, dict):
        shown = Estimate(**value)
        return f"{shown.value:.4f} [{shown.low:.4f}, {shown.high:.4f}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
