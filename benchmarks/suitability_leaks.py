"""Does a division by families leak, and one by rows? Suitability's predictors on labels that nothing can tell.

    python -m benchmarks suitability_leaks LEMUR [--epoch N] [--label relative|quantile] [--deals D]

LEMUR is a run of `deltanas lemur import`, or a wheel. `dealt`: on each data set the standings are dealt out anew among
its networks, so that no more can be told than the more frequent answer of each pair: shares of right answers with
families held out, their mean over the deals with its 95 % interval, and less that of `majority`. By the quantile label
all should lie at one half; `majority` of few families lies below, as those held out lack what the others have more of.

`identity`: boosted trees that know the network's number and nothing of its code, on the true labels, less `majority`
under the same division. By rows this pays, as the network stands on both sides; by families it can't.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from deltanas.intervals import mean
from deltanas.lemur import scored
from deltanas.program.features import network_features
from deltanas.sources import trials_in
from deltanas.study import Scores
from deltanas.study.estimate import Floats
from deltanas.study.predictors import (
    PREDICTORS,
    Fold,
    Predictor,
    family_folds,
    majority,
    matrix,
    out_of_fold,
    right,
    row_folds,
    trees,
)
from deltanas.study.standing import Examples, Label, Table, examples_of, standing_of, table_of
from deltanas.study.suitability import figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lemur", type=Path)
    parser.add_argument("--epoch", type=int, default=1)
    parser.add_argument("--label", choices=["relative", "quantile"], default="quantile")
    parser.add_argument("--deals", type=int, default=5)
    given = parser.parse_args()
    trials, sources = trials_in(given.lemur)
    kept, _ = scored(trials, given.epoch)
    table = table_of(Scores.of(kept))
    told = leaks(table, {name: network_features(sources[name]) for name in table.programs}, given.label, given.deals)
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


def leaks(table: Table, features: Mapping[str, Mapping[str, float]], label: Label, deals: int) -> dict[str, object]:
    code = matrix([features[name] for name in table.programs])
    standing = standing_of(table.best, label)
    shares: dict[str, list[float]] = {name: [] for name in PREDICTORS}
    for deal in range(deals):
        examples = examples_of(_dealt(standing, deal))
        folds = list(family_folds(table.families[examples.program]))
        for name, (predictor, middle) in PREDICTORS.items():
            shares[name].append(float(_right(predictor, middle, examples, folds, code).mean()))
    base = shares["majority"]
    return {
        "n": len(examples_of(standing).higher),
        "dealt": {
            name: {"share": _told(found), "less majority": _told([s - m for s, m in zip(found, base, strict=True)])}
            for name, found in shares.items()
        },
        "identity": _identity(table, examples_of(standing)),
    }


def _told(values: Sequence[float]) -> dict[str, float] | None:
    found = mean(values)
    return asdict(found) if found else None


def _dealt(standing: Floats, deal: int) -> Floats:
    rng, found = np.random.default_rng(deal), standing.copy()
    for column in range(standing.shape[1]):
        rows = np.flatnonzero(~np.isnan(standing[:, column]))
        found[rows, column] = standing[rng.permutation(rows), column]
    return found


def _identity(table: Table, examples: Examples) -> dict[str, object]:
    number = np.arange(len(table.programs), dtype=float)[:, None]
    families = table.families[examples.program]
    divisions = {"by rows": list(row_folds(len(families))), "by families": list(family_folds(families))}
    return {
        name: asdict(figure(
            _right(trees, 0.5, examples, folds, number) - _right(majority, 0.5, examples, folds, number), families
        ))
        for name, folds in divisions.items()
    }  # fmt: skip


def _right(predictor: Predictor, middle: float, examples: Examples, folds: Sequence[Fold], features: Floats) -> Floats:
    return right(out_of_fold(predictor, examples, folds, features), middle, examples.higher)


if __name__ == "__main__":
    main()
