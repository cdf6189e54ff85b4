"""On which of two data sets does a network stand higher? Predictors, each fitted without what it is asked about.

All take examples and give the chance that a network stands higher on the first set, or a margin that is positive where
it is likelier; 0.5, or 0, where they can't tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.study.estimate import Floats, Integers
from deltanas.study.standing import Examples

FOLDS = 5
FEWEST = 8
"""Networks that a feature stands in at least, where there are enough."""
PENALTY = 100.0
"""Of the ridge regression on standardized features."""
TREES = {"max_iter": 100, "learning_rate": 0.05, "max_leaf_nodes": 8, "min_samples_leaf": 20, "l2_regularization": 1.0}


@dataclass(frozen=True, eq=False)
class Fold:
    """Rows of the examples that are learned from, and that are asked about."""

    train: Integers
    test: Integers


Predictor = Callable[[Examples, Fold, Floats], Floats]
"""(examples, fold, features [n, f] of the networks) -> an answer for each example of `fold.test`."""


def matrix(features: Sequence[Mapping[str, float]], only: Sequence[str] | None = None) -> Floats:
    """[n, f], a column for each feature that stands in `FEWEST` networks and does not stand in all alike; one of zeros
    where there is none.
    """
    fewest = min(FEWEST, max(2, len(features) // 4))
    names = sorted({name for row in features for name in row} if only is None else only)
    table = np.array([[row.get(name, 0.0) for name in names] for row in features], float).reshape(len(features), -1)
    kept = ((table != 0).sum(axis=0) >= fewest) & (table.std(axis=0) > 0)
    chosen: Floats = table[:, kept] if kept.any() else np.zeros((len(features), 1))
    return chosen


def family_folds(families: NDArray[np.str_], seed: int = 0) -> Iterator[Fold]:
    """No family on both sides. seed: 0 for the one division that is quoted; others draw families at random."""
    from sklearn.model_selection import GroupKFold

    groups = len(set(families.tolist()))
    kind = GroupKFold(min(FOLDS, groups), **({"shuffle": True, "random_state": seed} if seed else {}))
    for train, test in kind.split(np.zeros(len(families)), groups=families):
        yield Fold(train, test)


def row_folds(rows: int) -> Iterator[Fold]:
    """Examples at random: those of one network stand on both sides, which is a leak."""
    from sklearn.model_selection import KFold

    for train, test in KFold(FOLDS, shuffle=True, random_state=0).split(np.zeros(rows)):
        yield Fold(train, test)


def out_of_fold(predictor: Predictor, examples: Examples, folds: Sequence[Fold], features: Floats) -> Floats:
    """The predictor's answer for every example, fitted without the example's fold; one thread, so that it repeats."""
    from threadpoolctl import threadpool_limits

    answers = np.zeros(len(examples.higher))
    with threadpool_limits(1):
        for fold in folds:
            answers[fold.test] = predictor(examples, fold, features)
    return answers


def right(answers: Floats, middle: float, higher: NDArray[np.bool_]) -> Floats:
    """1 where the answer is right, 0 where not, half where there is none. middle: above it an answer is "higher"."""
    found: Floats = np.where(answers == middle, 0.5, (answers > middle) == higher)
    return found


def majority(examples: Examples, fold: Fold, _: Floats) -> Floats:
    """The more frequent answer of each pair of sets."""
    pair, found = examples.pair, np.full(len(fold.test), 0.5)
    for value in np.unique(pair[fold.test]):
        known = examples.higher[fold.train][pair[fold.train] == value]
        if len(known):
            found[pair[fold.test] == value] = known.mean()
    return found


def one_order(examples: Examples, fold: Fold, _: Floats) -> Floats:
    """One order of the data sets, by how high networks stand on them against their own mean; 0 of a set that none of
    the others was measured on.
    """
    centred = _centred(_known(examples, fold))
    counts = (~np.isnan(centred)).sum(axis=0)
    places = np.where(counts > 0, np.nansum(centred, axis=0) / np.maximum(counts, 1), np.nan)
    gaps: Floats = np.nan_to_num(places[examples.first[fold.test]] - places[examples.second[fold.test]])
    return gaps


def sets_alone(examples: Examples, fold: Fold, _: Floats) -> Floats:
    """Boosted trees on the two sets alone: all that names or metadata of the sets can tell."""
    return _trees_on(examples, fold, np.zeros((len(examples.standing), 0)))


def trees(examples: Examples, fold: Fold, features: Floats) -> Floats:
    """Boosted trees on the two sets and the features of the network."""
    return _trees_on(examples, fold, features)


def nearest(examples: Examples, fold: Fold, features: Floats) -> Floats:
    """The answer of the network whose features are nearest, among those that were measured on both sets."""
    known, scaled = _known(examples, fold), _scaled(features, np.unique(examples.program[fold.train]))
    found = np.full(len(fold.test), 0.5)
    for value in np.unique(examples.pair[fold.test]):
        rows = np.flatnonzero(examples.pair[fold.test] == value)
        first, second = examples.first[fold.test][rows[0]], examples.second[fold.test][rows[0]]
        gaps = known[:, first] - known[:, second]
        usable = np.flatnonzero(~np.isnan(gaps) & (gaps != 0))
        if len(usable):
            asked = scaled[examples.program[fold.test][rows]]
            far = (asked**2).sum(1)[:, None] + (scaled[usable] ** 2).sum(1) - 2 * asked @ scaled[usable].T
            found[rows] = gaps[usable[far.argmin(axis=1)]] > 0
    return found


def regressed(examples: Examples, fold: Fold, features: Floats) -> Floats:
    """How a network stands on each set against its own mean, by ridge regression and boosted trees together."""
    known = _centred(_known(examples, fold))
    both = (_ridge(known, features) + _boosted(known, features)) / 2
    gaps: Floats = (
        both[examples.program[fold.test], examples.first[fold.test]]
        - both[examples.program[fold.test], examples.second[fold.test]]
    )
    return gaps


def _known(examples: Examples, fold: Fold) -> Floats:
    """[n, m] the standings that examples of the training part tell, NaN elsewhere."""
    known = np.full(examples.standing.shape, np.nan)
    for columns in (examples.first, examples.second):
        place = examples.program[fold.train], columns[fold.train]
        known[place] = examples.standing[place]
    return known


def _centred(known: Floats) -> Floats:
    """Less each network's mean: two sets of one network are compared, so its own level says nothing."""
    counts = (~np.isnan(known)).sum(axis=1, keepdims=True)
    centred: Floats = known - np.nansum(known, axis=1, keepdims=True) / np.maximum(counts, 1)
    return centred


def _scaled(features: Floats, rows: Integers) -> Floats:
    """Standardized by those of some rows."""
    spread = features[rows].std(axis=0)
    scaled: Floats = (features - features[rows].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def _ridge(known: Floats, features: Floats) -> Floats:
    from sklearn.linear_model import Ridge

    found = np.zeros(known.shape)
    scaled = _scaled(features, np.flatnonzero(~np.isnan(known).all(axis=1)))
    for column in range(known.shape[1]):
        rows = np.flatnonzero(~np.isnan(known[:, column]))
        if len(rows):
            found[:, column] = Ridge(alpha=PENALTY).fit(scaled[rows], known[rows, column]).predict(scaled)
    return found


def _boosted(known: Floats, features: Floats) -> Floats:
    from sklearn.ensemble import HistGradientBoostingRegressor

    rows, columns = np.nonzero(~np.isnan(known))
    model = HistGradientBoostingRegressor(**_settings()).fit(
        np.column_stack([columns, features[rows]]), known[rows, columns]
    )
    found = np.zeros(known.shape)
    for column in range(known.shape[1]):
        found[:, column] = model.predict(np.column_stack([np.full(len(features), column), features]))
    return found


def _trees_on(examples: Examples, fold: Fold, features: Floats) -> Floats:
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = np.column_stack([examples.pair, features[examples.program]])
    answers = examples.higher[fold.train]
    if answers.all() or not answers.any():
        return np.full(len(fold.test), float(answers[0]))
    model = HistGradientBoostingClassifier(**_settings()).fit(table[fold.train], answers)
    chances: Floats = model.predict_proba(table[fold.test])[:, 1]
    return chances


def _settings() -> dict[str, Any]:
    return {**TREES, "categorical_features": [0], "random_state": 0, "early_stopping": False}


PREDICTORS: Mapping[str, tuple[Predictor, float]] = {
    "majority": (majority, 0.5),
    "one_order": (one_order, 0.0),
    "sets_alone": (sets_alone, 0.5),
    "nearest": (nearest, 0.5),
    "trees": (trees, 0.5),
    "code": (regressed, 0.0),
}
"""By name, with the value above which its answer is "higher": half a chance, or no difference."""
