"""Do the first three that `suggest` names hold a network that can't be told from the best?

Of a table of `suitability_table`: a data set in turn as if nothing had been measured on it, the built-in baselines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import comb, sqrt
from pathlib import Path
from statistics import fmean, variance

from deltanas.sources import evidence_of
from deltanas.standings import Evidence, Measured
from deltanas.suggest import suggested

FIRST = 3
_WIDE = 1.96


def first_three(table: Path) -> dict[str, object]:
    """By data set, what `told_of` tells. Sets that fewer than `FIRST` + 1 baselines were trained on are left out."""
    known = evidence_of(str(table))
    rows: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in known.rows:
        rows[row.dataset][row.program].append(row.score)
    return {name: told_of(name, held, known) for name, held in rows.items() if len(held) > FIRST and len(rows) > 1}


def told_of(dataset: str, scores: Mapping[str, Sequence[float]], known: Evidence) -> dict[str, object]:
    """The first three, their best and mean beside those of all, and beside what three drawn by chance have.

    noise: how far two networks lie apart by the luck of their seeds, in 95 % of the cases. by chance: how often three
    hold a network within noise of the best, and their mean score.
    """
    others = [row for row in known.rows if row.dataset != dataset]
    names = _names(others, known, dataset, scores)
    means = {name: fmean(held) for name, held in scores.items()}
    repeats = [held for held in scores.values() if len(held) > 1]
    spread = sqrt(fmean(map(variance, repeats))) if repeats else 0.0
    noise = _WIDE * spread * sqrt(2 / min(map(len, scores.values())))
    best = max(means.values())
    near = sum(mean >= best - noise for mean in means.values())
    reached = max(means[name] for name in names)
    return {
        "networks": len(means),
        "first": names,
        "best": max(means, key=lambda name: means[name]),
        "gap to the best": round(best - reached, 4),
        "noise": round(noise, 4),
        "within noise of the best": reached >= best - noise,
        "mean": round(fmean(means[name] for name in names), 4),
        "by chance": {
            "within noise of the best": round(1 - comb(len(means) - near, FIRST) / comb(len(means), FIRST), 3),
            "mean": round(fmean(means.values()), 4),
        },
    }


def _names(others: Sequence[Measured], known: Evidence, dataset: str, scores: Mapping[str, object]) -> list[str]:
    found = suggested([Evidence(others, known.sources, known.tuned)], {}, dataset)
    return [one.program for one in found if one.program in scores][:FIRST]
