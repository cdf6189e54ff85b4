"""What a table of policies says of them: noise, what is better than no transform, the best, and other tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

from benchmarks.augmentation.own import Table
from benchmarks.augmentation.table import Floats
from deltanas.intervals import Estimate, Z, wilson
from deltanas.study import holm, reliability, separation
from deltanas.study.components import Groups, components
from deltanas.study.estimate import plain
from deltanas.study.ranks import spearman

DRAWS = 2_000
TOPS = (1, 3, 10)
QUARTERS = 4


def noise(table: Table) -> dict[str, Any]:
    """Of one training: about its policy's level, and with what the seed does to all policies taken off.

    Bad policies scatter more than good ones, so it is told by quarters of the table too, and of the better half alone.
    """
    found = components(*_columns(table, table.scores))
    every, half = _centred(table), better_half(table)
    scatter, _ = errors(table)
    order = np.argsort(-table.scores.mean(1), kind="stable")
    return {
        "sd": _root(found.var_noise),
        "sd_of_policies": _root(found.var_arch),
        "snr": plain(found.snr),
        "snr_bootstrap": _resampled(table.scores),
        "snr_bootstrap_at_equal_seeds": _resampled(every),
        "quarters": [
            {"mean": float(table.scores[rows].mean()), "sd_at_equal_seeds": float(scatter[rows[0]])}
            for rows in np.array_split(order, QUARTERS)
        ],
        "better_half": {"snr_at_equal_seeds": plain(components(*_columns(half, _centred(half))).snr)},
    }


def trust(table: Table) -> dict[str, Any]:
    """The study's own verdicts on the ranking by one training and by the mean of all seeds, of all and of the good."""
    found: dict[str, Any] = {}
    for which, some in (("all", table), ("better half", better_half(table))):
        names, scores = _columns(some, _centred(some))
        for repeats in (1, len(table.seeds)):
            seen = reliability(names, scores, repeats=repeats)
            found[f"{which}, mean of {repeats}"] = {
                "spearman_predicted": plain(seen.rho_spearman_predicted),
                "verdict": seen.verdict,
            }
    half = better_half(table)
    found["the best of the better half"] = separation(*_columns(half, _centred(half)), TOPS[-1]).verdict
    middle = len(table.seeds) // 2
    one, two = table.scores[:, :middle].mean(1), table.scores[:, middle:].mean(1)
    best_half = np.argsort(-one, kind="stable")[: len(one) // 2]
    found["half the seeds against the others"] = plain(_of_means(one, two))
    found["the same in the better half"] = plain(_of_means(one[best_half], two[best_half]))
    return found


def against_none(table: Table) -> dict[str, Any]:
    """Differences to no transform at equal seeds; "better" and "worse" are beyond chance for all of them together.

    share: of the policies' levels above that of none, 95 % of draws from what the trainings leave open. above: of the
    means, as a sample of policies.
    """
    none = table.row("none")
    others = np.array([row for row in range(len(table.names)) if row != none])
    gains = np.array([table.paired(row, none).mean() for row in others])
    scatter, degrees = errors(table)
    scale = np.hypot(scatter[others], scatter[none]) / np.sqrt(len(table.seeds))
    p = holm(2 * student.sf(np.abs(gains) / scale, degrees))
    level, spread = shrunk(table)
    rng = np.random.default_rng(0)
    drawn = level[others] + rng.normal(size=(DRAWS, len(others))) * spread[others]
    own = table.scores[none].mean() + rng.normal(size=(DRAWS, 1)) * scatter[none] / np.sqrt(len(table.seeds))
    shares = (drawn > own).mean(1)
    return {
        "policies": len(others),
        "better": int(((p < 0.05) & (gains > 0)).sum()),
        "worse": int(((p < 0.05) & (gains < 0)).sum()),
        "share": plain(Estimate(float(shares.mean()), *map(float, np.quantile(shares, [0.025, 0.975])))),
        "above": plain(wilson(int((gains > 0).sum()), len(others))),
    }


def best(table: Table, count: int = 12) -> list[dict[str, Any]]:
    """The highest means, with the usual policies behind; `level` is drawn towards the mean of the better half."""
    level, spread = shrunk(table)
    scatter, degrees = errors(table)
    order = np.argsort(-table.scores.mean(1), kind="stable")
    rank = {int(place): number for number, place in enumerate(order, 1)}
    rows = [*order[:count], *(p for p in order[count:] if table.kinds[p] == "usual")]
    none, found = table.row("none"), []
    for place in map(int, rows):
        gain = float(table.paired(place, none).mean())
        error = np.hypot(scatter[place], scatter[none]) / np.sqrt(len(table.seeds))
        half = 0.0 if place == none else float(student.ppf(0.975, degrees) * error)
        found.append({
            "rank": rank[place], "policy": table.names[place], "mean": float(table.scores[place].mean()),
            "level": plain(Estimate(*(float(level[place] + z * spread[place]) for z in (0, -Z, Z)))),
            "over_none": plain(Estimate(gain, gain - half, gain + half)),
        })  # fmt: skip
    return found


def chosen_by_others(table: Table) -> dict[str, Any]:
    """The best by all seeds but one, less no transform, both with the one that is left out: mean over these seeds.

    The interval is of the noise that `errors` pools: where all choose alike, the gains of a few seeds are the winner's
    own, and how little these differ may be what made it win.
    """
    none, found = table.row("none"), {}
    scatter, degrees = errors(table)
    for top in TOPS:
        gains, variances = [], []
        for left in range(len(table.seeds)):
            order = np.argsort(-np.delete(table.scores, left, 1).mean(1), kind="stable")[:top]
            gains.append(float(table.scores[order, left].mean() - table.scores[none, left]))
            variances.append(float((scatter[order] ** 2).mean() / top + scatter[none] ** 2))
        gain = float(np.mean(gains))
        half = float(student.ppf(0.975, degrees) * np.sqrt(np.mean(variances) / len(gains)))
        found[f"best {top}"] = {"gains": gains, **_plain(Estimate(gain, gain - half, gain + half))}
    return found


def transfer(table: Table, other: Table) -> dict[str, Any]:
    """Do the means of two tables put the same policies in the same order?"""
    common = [name for name in table.names if name in other.names]
    one, two = (some.only([some.row(name) for name in common]) for some in (table, other))
    half = np.argsort(-one.scores.mean(1), kind="stable")[: len(common) // 2]
    long = max(len(table.seeds), len(other.seeds))
    names = [name for name in common for _ in range(long)]
    padded = (np.full((len(common), long), np.nan) for _ in range(2))
    columns = []
    for some, column in zip((one, two), padded, strict=True):
        column[:, : len(some.seeds)] = some.scores
        columns.append(column.ravel())
    return {
        "policies": len(common),
        "seeds": [len(table.seeds), len(other.seeds)],
        "spearman": plain(_of_means(one.scores.mean(1), two.scores.mean(1))),
        "spearman_in_better_half": plain(_of_means(one.scores.mean(1)[half], two.scores.mean(1)[half])),
        "noise_there": noise(other),
        "one training": reliability(names, columns[0], columns[1]).verdict,
        "against_none_there": against_none(other),
        "best_there": best(other, 3),
    }


def better_half(table: Table) -> Table:
    order = np.argsort(-table.scores.mean(1), kind="stable")
    return table.only([int(place) for place in order[: max(2, len(order) // 2)]])


def shrunk(table: Table) -> tuple[Floats, Floats]:
    """Each policy's level, and its standard deviation: what is as good as the better half is drawn towards its mean."""
    half, means = better_half(table).scores.mean(1), table.scores.mean(1)
    own = errors(table)[0] / np.sqrt(len(table.seeds))
    between = max(0.0, float(half.var(ddof=1) - np.sort(own)[: len(half)].mean() ** 2))
    weight = np.where(means >= half.min(), between / (between + own**2), 1.0)
    return half.mean() + weight * (means - half.mean()), np.sqrt(weight) * own


def errors(table: Table) -> tuple[Floats, int]:
    """[policies] standard deviation of a training at equal seeds, pooled by quarters of the table; degrees of each."""
    left = _centred(table)
    squares = ((left - left.mean(1, keepdims=True)) ** 2).sum(1)
    order = np.argsort(-table.scores.mean(1), kind="stable")
    found = np.zeros(len(order))
    parts = np.array_split(order, QUARTERS)
    for rows in parts:
        found[rows] = np.sqrt(squares[rows].sum() / (len(rows) * (len(table.seeds) - 1)))
    return found, min(map(len, parts)) * (len(table.seeds) - 1)


def _centred(table: Table) -> Floats:
    return np.asarray(table.scores - table.scores.mean(0) + table.scores.mean(), float)


def _columns(table: Table, scores: Floats) -> tuple[list[str], Floats]:
    return [name for name in table.names for _ in table.seeds], scores.ravel()


def _root(variance: Estimate) -> Mapping[str, float]:
    return {key: float(np.sqrt(getattr(variance, key))) for key in ("value", "low", "high")}


def _resampled(scores: Floats) -> object:
    """Signal to noise with the 95 % of draws of as many policies."""
    drawn = np.random.default_rng(0).integers(len(scores), size=(DRAWS, len(scores)))
    low, high = np.quantile([_snr(scores[some]) for some in drawn], [0.025, 0.975])
    return plain(Estimate(_snr(scores), float(low), float(high)))


def _snr(scores: Floats) -> float:
    within = scores.var(1, ddof=1).mean()
    return float(max(0.0, scores.mean(1).var(ddof=1) / within - 1 / scores.shape[1]))


def _of_means(one: Floats, two: Floats) -> Estimate:
    names = tuple(map(str, range(len(one))))
    return spearman(*(Groups(names, np.arange(len(some)), some) for some in (one, two)))


def _plain(estimate: Estimate) -> dict[str, Any]:
    return {key: getattr(estimate, key) for key in ("value", "low", "high")}


def tables_beside(table: Table, others: Sequence[tuple[str, Table]]) -> dict[str, Any]:
    return {name: transfer(table, other) for name, other in others}
