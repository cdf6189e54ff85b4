"""Are gains foretold on families never seen? The bars of the forecast, and the table that comes with deltanas.

    python -m benchmarks forecast [--gains benchmarks/gains] [--on FOLDER] [--write FILE]
    python -m benchmarks forecast --sets benchmarks/suitability/table.jsonl

Each family of baselines (with its descendants) is foretold by a fit to all others. With `--on` it is the gains of
another folder that are foretold, as of another data set, by a fit to those of `--gains`; a family is still held out.
With `--sets` it is the edits of a table of `python -m benchmarks suitability_table`, set by set: their gains are means
over its seeds, `repeat` is rho between the gains of its first two seeds, which is the most that can be expected.

    rule      the mean gain of the edit's kind
    ridge     what deltanas fits (`src/deltanas/forecast/ridge.py`)
    tokens    the same without the kinds

rho: Spearman's with the measured gain within each parent, mean over parents, weighted by their edits. six: what taking
the best-ranked of six edits of a parent gains over taking any. Intervals: bootstrap over the families, 95 %; `over
rule` is paired. Calibration, of `ridge`: how often the measured gain lies within 1.96 standard deviations of what was
expected, where these are of deviation and noise together; the slope of the gain on what was expected; and the spread of
the errors in such deviations. Then the seconds of a fit and of ranking 30 edits. It ends with a JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path
from statistics import fmean
from time import process_time
from typing import Any, TypeVar

import numpy as np

from benchmarks.ranking import Floats, _rho, _six
from deltanas.forecast import Row, Table, fitted, rows_of, write_table
from deltanas.forecast.ridge import centred
from deltanas.learn.measured import MeasuredEdit
from deltanas.learn.sources import METHOD, gains_edits
from deltanas.seams import Expected
from deltanas.whole import read_rows
from deltanas.wiring.origin import commit_of_checkout

DRAWS = 2_000
TOLD = ("dataset", "train_size", "epochs", "prm", "torch")
R = TypeVar("R", bound=Row)
Fit = Callable[[Sequence[R], Sequence[R]], list[Expected]]
"""Of known rows and of those asked about."""
Tables = dict[str, list[tuple[float, int]]]
"""rho and six of each family, with the number of its edits."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gains", type=Path, default=Path("benchmarks/gains"))
    parser.add_argument("--on", type=Path, help="gains of `python -m benchmarks gains` that nothing is fitted to")
    parser.add_argument("--sets", type=Path, help="a table of `python -m benchmarks suitability_table`")
    parser.add_argument("--write", type=Path, help="write the table of all edits to this file")
    given = parser.parse_args()
    edits = gains_edits(given.gains)
    rows = rows_of(edits)
    if given.sets:
        sys.stdout.write(json.dumps(_on_sets(given.sets, edits, rows), indent=1) + "\n")
        return
    asked = rows_of(gains_edits(given.on)) if given.on else rows
    families = sorted({row.family for row in asked})
    sums = {name: by_family(asked, families, fit, rows) for name, fit in FITS.items()}
    told: dict[str, Any] = {"edits": len(asked), "families": len(families)}
    for name, (_, tables) in sums.items():
        told[name] = {one: estimate(tables[one]) for one in ("rho", "six")}
        if name != "rule":
            told[name]["over rule"] = {one: estimate(tables[one], sums["rule"][1][one]) for one in ("rho", "six")}
    told |= {"calibration": _calibration(asked, sums["ridge"][0]), "seconds": _seconds(rows)}
    if given.write:
        method = json.loads((given.gains / METHOD).read_text("utf-8"))
        commit = str(commit_of_checkout()[0])[:7]
        table = Table(tuple(rows), {**{key: method[key] for key in TOLD}, "edits": len(rows), "commit": commit})
        write_table(given.write, replace(table, origin={**table.origin, "digest": table.digest}))
        told["written"] = {"file": str(given.write), "bytes": given.write.stat().st_size, "digest": table.digest}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


def _on_sets(path: Path, edits: Sequence[MeasuredEdit], rows: Sequence[Row]) -> dict[str, Any]:
    """By data set, how well the gains of the table's edits are foretold."""
    scores: defaultdict[str, defaultdict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row in read_rows(path):
        if row["score"] is not None:
            scores[str(row["dataset"])][str(row["program"])][int(str(row["seed"]))] = float(str(row["score"]))
    places = {(edit.family, edit.origin.split()[-1]): place for place, edit in enumerate(edits)}
    families = sorted({row.family for row in rows})
    told: dict[str, Any] = {}
    for name, table in scores.items():
        gains: dict[int, list[float]] = {}
        for program, found in table.items():
            family, _, draw = program.partition("-")
            common = sorted(found.keys() & table.get(family, {}).keys())
            if (place := places.get((family, draw))) is not None and common:
                gains[place] = [found[seed] - table[family][seed] for seed in common]
        asked = [replace(rows[place], gain=fmean(each)) for place, each in gains.items()]
        there = [family for family in families if sum(row.family == family for row in asked) > 1]
        told[name] = {"edits": len(asked), "families": len(there)}
        for fit in ("rule", "ridge"):
            told[name][fit] = estimate(by_family(asked, there, FITS[fit], rows)[1]["rho"])
        twice = [(rows[place].family, each[:2]) for place, each in gains.items() if len(each) > 1]
        pairs = [np.array([each for name, each in twice if name == family]) for family in there]
        told[name]["repeat"] = estimate([(_rho(*some.T), len(some)) for some in pairs if len(some) > 1])
    return told


def _rule(known: Sequence[Row], asked: Sequence[Row]) -> list[Expected]:
    gains: defaultdict[str, list[float]] = defaultdict(list)
    for row, gain in zip(known, centred(known), strict=True):
        gains[_kind(row)].append(float(gain))
    return [Expected(fmean(gains.get(_kind(row), [0.0])), 0.0) for row in asked]


def _ridge(known: Sequence[Row], asked: Sequence[Row]) -> list[Expected]:
    return fitted(known).expected([row.features for row in asked])


def _tokens(known: Sequence[Row], asked: Sequence[Row]) -> list[Expected]:
    return _ridge([_bare(row) for row in known], [_bare(row) for row in asked])


FITS: Mapping[str, Fit[Row]] = {"rule": _rule, "ridge": _ridge, "tokens": _tokens}


def _kind(row: Row) -> str:
    return next(name for name in row.features if name.startswith("kind:"))


def _bare(row: Row) -> Row:
    return replace(row, features={name: n for name, n in row.features.items() if name.startswith("token:")})


def by_family(
    rows: Sequence[R], families: Sequence[str], fit: Fit[R], known: Sequence[R] | None = None
) -> tuple[dict[int, Expected], Tables]:
    """What is foretold of each row by the other families, and how well. known: what is fitted to, else the rows."""
    known = rows if known is None else known
    expected: dict[int, Expected] = {}
    tables: Tables = {"rho": [], "six": []}
    for family in families:
        asked = [number for number, row in enumerate(rows) if row.family == family]
        found = fit([row for row in known if row.family != family], [rows[number] for number in asked])
        expected |= dict(zip(asked, found, strict=True))
        parents: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        for number in asked:
            parents[rows[number].parent].append((expected[number].mean, rows[number].gain))
        for name, statistic in (("rho", _rho), ("six", _six)):
            values = [statistic(*np.array(pairs).T) for pairs in parents.values()]
            weights = [len(pairs) for pairs in parents.values()]
            tables[name].append((float(np.average(values, weights=weights)), sum(weights)))
    return expected, tables


def estimate(those: Sequence[tuple[float, int]], less: Sequence[tuple[float, int]] | None = None) -> dict[str, float]:
    """Mean over families, weighted by edits, with its interval by families drawn again; less another's, paired."""
    values = np.array([value for value, _ in those]) - (0 if less is None else np.array([value for value, _ in less]))
    weights = np.array([count for _, count in those], float)
    chosen = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    draws: Floats = (values * weights)[chosen].sum(1) / weights[chosen].sum(1)
    low, high = np.quantile(draws, [0.025, 0.975])
    whole = float(np.average(values, weights=weights))
    return {"value": round(whole, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _calibration(rows: Sequence[Row], expected: Mapping[int, Expected]) -> dict[str, float]:
    """Of gains less the mean of their parent's, as what is expected is."""
    means: defaultdict[str, list[float]] = defaultdict(list)
    for row in rows:
        means[row.parent].append(row.gain)
    gains = np.array([row.gain - fmean(means[row.parent]) for row in rows])
    told = np.array([expected[number].mean for number in range(len(rows))])
    spread = [sqrt(expected[number].deviation ** 2 + (row.noise or 0.0) ** 2) for number, row in enumerate(rows)]
    wrong = (gains - told) / spread
    deviation = fmean(one.deviation for one in expected.values())
    slope = float(np.cov(told, gains)[0, 1] / told.var(ddof=1))
    covered = float(np.mean(np.abs(wrong) <= 1.96))
    named = {"covered": covered, "slope": slope, "spread": float(wrong.std()), "mean_deviation": deviation}
    return {name: round(value, 4) for name, value in named.items()}


def _seconds(rows: Sequence[Row]) -> dict[str, float]:
    start = process_time()
    model = fitted(rows)
    fit = process_time() - start
    start = process_time()
    for _ in range(100):
        model.expected([row.features for row in rows[:30]])
    return {"fit": round(fit, 3), "rank_30": round((process_time() - start) / 100, 5)}


if __name__ == "__main__":
    main()
