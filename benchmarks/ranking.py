"""Does a model know which edits gain? Rank correlation with measured gains, on baselines that no tuning saw.

    python -m benchmarks ranking --gains benchmarks/gains [--llm smollm2] [--adapter ADAPTER]... [--edits N]

    rule      the mean gain of the edit's kind, on the baselines that are not held out
    frozen    how likely the model as it is finds the edit, where it is asked for a better network (choice "any")
    tuned     how likely the model with the adapter finds it, by adapter
    ratio     how much likelier the adapter made it: the reward that DPO learns, but for a factor

rho: Spearman's, within each held-out network (a baseline or a descendant of it), mean over them, weighted by their
edits. six: what taking the best-ranked of six edits of a network gains over taking any, over all draws of six.
Intervals: bootstrap over edits within networks, 95 %.
Noise bounds both: the gain of an edit is that of one training. `spread` is the standard deviation of all gains, `noise`
what repeated trainings alone would give; `kinds`: the mean gain of each kind of edit over all parents (t-interval).
Without --llm it asks no model. It ends with a JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import comb, sqrt
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Any, cast

import numpy as np
from scipy.stats import spearmanr

from benchmarks.compare import kinds_of, mean, measured
from deltanas.config import read_config
from deltanas.learn.corpus import Phrasing
from deltanas.learn.measured import MeasuredEdit
from deltanas.learn.sources import gains_edits
from deltanas.llm import Lesson, Tunable
from deltanas.wiring.proposing import model_of, proposer_of

DRAWS = 2_000
OFFERS = 6
Floats = np.ndarray[Any, np.dtype[np.float64]]
Statistic = Callable[[Floats, Floats], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gains", type=Path, required=True)
    parser.add_argument("--adapter", type=Path, action="append", default=[])
    parser.add_argument("--llm")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--held-out", type=float, default=0.3)
    parser.add_argument("--edits", type=int, help="so many of the held-out edits, drawn; all if not given")
    given = parser.parse_args()
    if given.adapter and not given.llm:
        parser.error("--adapter takes --llm")
    held, rule = measured(given.gains, given.held_out)
    every = gains_edits(given.gains)
    edits = [edit for edit in every if edit.family in held]
    edits = Random(0).sample(edits, min(given.edits or len(edits), len(edits)))
    kinds = kinds_of(given.gains)
    scores: dict[str, list[float]] = {"rule": [fmean(rule.get(kinds[edit.origin], [0.0])) for edit in edits]}
    if given.llm:
        scores |= _likelihoods(edits, given)
    by_kind: defaultdict[str, list[float]] = defaultdict(list)
    for edit in every:
        by_kind[kinds[edit.origin]].append(edit.gain)
    told = {
        "edits": len(every),
        "spread": round(stdev(edit.gain for edit in every), 4),
        "noise": round(sqrt(fmean((edit.noise or 0.0) ** 2 for edit in every)), 4),
        "kinds": {kind: mean(gains) for kind, gains in sorted(by_kind.items())},
        "held_out": {"baselines": held, "edits": len(edits)},
        **{name: _ranked(edits, some) for name, some in scores.items()},
    }
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


def _likelihoods(edits: Sequence[MeasuredEdit], given: argparse.Namespace) -> dict[str, list[float]]:
    """Log-likelihood of each edit as an answer. Raises where one is no answer of the strategy's."""
    config = read_config({"model": {"spec": given.llm, "dtype": given.dtype, "choice": "any"}})
    model = cast("Tunable", model_of(config))
    phrasing = cast("Phrasing", proposer_of(config, None, model))
    lessons = [phrasing.lesson(edit.ask, edit.edit, edit.goal, edit.family) for edit in edits]
    known = [lesson for lesson in lessons if isinstance(lesson, Lesson)]
    if len(known) < len(lessons):
        raise SystemExit(f"{len(lessons) - len(known)} edits can't be asked for")
    found = {"frozen": [-loss.nll for loss in model.losses(known)]}
    for adapter in given.adapter:
        model.adapt(adapter)
        tuned = found[f"tuned {adapter}"] = [-loss.nll for loss in model.losses(known)]
        found[f"ratio {adapter}"] = [now - before for now, before in zip(tuned, found["frozen"], strict=True)]
    return found


def _ranked(edits: Sequence[MeasuredEdit], scores: Sequence[float]) -> Mapping[str, object]:
    by_parent: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for edit, score in zip(edits, scores, strict=True):
        by_parent[edit.family, edit.source].append((score, edit.gain))
    tables = {parent: np.array(rows) for parent, rows in by_parent.items()}
    whole = {name: _estimate(list(tables.values()), one) for name, one in (("rho", _rho), ("six", _six))}
    rhos: defaultdict[str, list[float]] = defaultdict(list)
    for (family, _), rows in tables.items():
        rhos[family].append(round(_rho(*rows.T), 3))
    return whole | {"rho_by_baseline": rhos}


def _estimate(tables: Sequence[Floats], statistic: Statistic) -> dict[str, float]:
    def over(some: Sequence[Floats]) -> float:
        return float(np.average([statistic(*rows.T) for rows in some], weights=[len(rows) for rows in some]))

    chance = np.random.default_rng(0)
    draws = [over([rows[chance.integers(len(rows), size=len(rows))] for rows in tables]) for _ in range(DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return {"value": round(over(tables), 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _rho(scores: Floats, gains: Floats) -> float:
    if len(set(scores)) < 2 or len(set(gains)) < 2:
        return 0.0
    return float(spearmanr(scores, gains).statistic)


def _six(scores: Floats, gains: Floats) -> float:
    order, most = np.argsort(scores, kind="stable"), min(OFFERS, len(scores))
    # The one at rank r from below is the best of a draw whose others lie below it.
    chances = np.array([comb(below, most - 1) for below in range(len(scores))]) / comb(len(scores), most)
    return float(chances @ _of_equals(scores, gains)[order] - gains.mean())


def _of_equals(scores: Floats, gains: Floats) -> Floats:
    """The gains, each the mean of those with its score: equals are drawn by chance."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return np.bincount(places, gains)[places] / counts[places]


if __name__ == "__main__":
    main()
