"""Does a network's code tell on which of two data sets it stands higher, or do the two names tell all of it?

Every figure is a share of right answers with families held out, its 95 % interval by resampling families.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from deltanas.intervals import Estimate
from deltanas.study.estimate import Absent, Floats, plain
from deltanas.study.predictors import (
    PREDICTORS,
    Fold,
    Predictor,
    family_folds,
    matrix,
    out_of_fold,
    regressed,
    right,
    row_folds,
    trees,
)
from deltanas.study.standing import Examples, Label, Scores, Table, agreement, compared

RESAMPLES = 2_000
PUBLISHED = 0.80
"""Share of right answers that arXiv 2605.03686 gives for code, the best of 15 tests of 30 examples each."""
_FEW = 15
"""Families with fewer of which an interval is corrected; see `figure`."""
_FEWEST = 6
"""Families that a verdict is given by."""
_BINS, _OF_BIN = 10, 150
"""Parts in which told chances are compared with shares; with fewer examples each the luck of a part alone is .04."""


@dataclass(frozen=True, slots=True)
class Figure(Estimate):
    """A share of right answers, or a difference of two, with its 95 % interval. n: number of examples."""

    n: int


@dataclass(frozen=True, slots=True)
class OfSet:
    """The examples that a data set is part of."""

    dataset: str
    n: int
    majority: float
    code: float


@dataclass(frozen=True, slots=True)
class Suitability:
    """What tells on which of two data sets a network stands higher.

    Attributes:
        examples: share of the examples in which the set that comes first in the alphabet is the answer; their number.
        majority: the more frequent answer of each pair of sets. one_order: one order of the sets. sets_alone: boosted
            trees on the sets. sizes, nearest, trees, code: on the code as well; `code` is the one that the verdict is
            about. leak: `trees` with examples divided at random. trees_by_network: with networks divided at random.
        gain: `code` less `majority`, paired. confident: `code` on the half of the examples that it is surest of, and
            the majority's share there.
        calibration: mean gap between the chance that is told and the share that is right.
        ceiling: agreement of the answers by two halves of the trials. best_possible: how often one half is right.
        families, networks, ties, copies: numbers; copies of networks whose skeleton another family has too.
    """

    label: Label
    datasets: tuple[str, ...]
    families: int
    networks: int
    ties: int
    copies: int
    examples: Figure
    majority: Figure
    one_order: Figure
    sets_alone: Figure
    sizes: Figure
    nearest: Figure
    trees: Figure
    code: Figure
    gain: Figure
    trees_by_network: Figure
    leak: Figure
    ceiling: Figure | Absent
    best_possible: float | None
    calibration: float
    confident: Figure
    confident_majority: Figure
    sets: tuple[OfSet, ...]
    verdict: str


def suitability(
    scores: Scores,
    features: Mapping[str, Mapping[str, float]],
    skeletons: Mapping[str, str],
    *,
    label: Label = "relative",
    sizes: Sequence[str] = (),
    division: int = 0,
) -> Suitability:
    """Args: features, skeletons: of each program's text. sizes: features that tell its size alone.

    division: which division of the families into five parts; 0 is the one that is quoted.

    Raises:
        LackingError: one data set alone, or too few networks that stand higher on one of two.
    """
    table, examples = compared(scores, label)
    rows = [features[program] for program in table.programs]
    code, small = matrix(rows), matrix(rows, sizes)
    families = table.families[examples.program]
    folds = list(family_folds(families, seed=division))
    asked: dict[str, tuple[Predictor, Sequence[Fold], Floats, float]] = {
        **{name: (how, folds, code, cut) for name, (how, cut) in PREDICTORS.items()},
        "sizes": (regressed, folds, small, 0.0),
        "trees_by_network": (trees, _network_folds(examples), code, 0.5),
        "leak": (trees, list(row_folds(len(families))), code, 0.5),
    }
    answers = {name: out_of_fold(how, examples, which, what) for name, (how, which, what, _) in asked.items()}
    rights = {name: right(answers[name], asked[name][3], examples.higher) for name in asked}
    chances = _chances(answers["code"], examples.higher, folds)
    sure = _surest(chances, folds)
    gain = figure(rights["code"] - rights["majority"], families)
    half, of_half = agreement(table, label)
    ceiling = figure(half, of_half) if len(half) else Absent("no network has four trials on two sets")
    figures = {name: figure(values, families) for name, values in rights.items()}
    return Suitability(
        label=label,
        datasets=table.datasets,
        families=len(set(table.families[table.several].tolist())),
        networks=len(table.several),
        ties=examples.ties,
        copies=_copies(table, skeletons),
        examples=figure(examples.higher.astype(float), families),
        **figures,
        gain=gain,
        ceiling=ceiling,
        best_possible=None if isinstance(ceiling, Absent) else (1 + sqrt(max(0.0, 2 * ceiling.value - 1))) / 2,
        calibration=_calibration(chances, examples.higher),
        confident=figure(rights["code"][sure], families[sure]),
        confident_majority=figure(rights["majority"][sure], families[sure]),
        sets=tuple(_of_sets(table, examples, rights)),
        verdict=_verdict(label, figures["majority"], figures["code"], gain, len(set(families.tolist()))),
    )


def suitability_as_json(found: Suitability) -> dict[str, object]:
    told = plain(found)
    assert isinstance(told, dict)
    return told


def _network_folds(examples: Examples) -> list[Fold]:
    return list(family_folds(examples.program.astype(str), seed=1))


def figure(values: Floats, families: NDArray[np.str_]) -> Figure:
    """The mean, with the 95 % interval of other families: percentiles of means of families drawn again.

    Of fewer than `_FEW` families these are too narrow: of two they miss the truth in half of the cases, of five in a
    seventh. There the interval is at least that of Student's t with a degree of freedom less than there are families,
    about the mean as a ratio of sums over families (W. G. Cochran (1977), "Sampling Techniques", 3rd ed., 2.11; A. C.
    Cameron, J. B. Gelbach, D. L. Miller (2008), "Bootstrap-based improvements for inference with clustered errors",
    Review of Economics and Statistics 90:414-427). One family tells nothing of others.

    Args:
        values: [n] within [0, 1], or [-1, 1] for differences. families: [n].
    """
    names, place = np.unique(families, return_inverse=True)
    sums, counts = np.bincount(place, values), np.bincount(place)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(names), (RESAMPLES, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    value = float(values.mean())
    if len(names) < _FEW:
        half = _student(sums - value * counts, len(values))
        low, high = max(min(low, value - half), 0.0 if values.min() >= 0 else -1.0), min(max(high, value + half), 1.0)
    return Figure(value, min(value, float(low)), max(value, float(high)), len(values))


def _student(gaps: Floats, n: int) -> float:
    """Half the width of the interval. gaps: of each family's sum from what the mean would have it be. n: examples."""
    from scipy.special import stdtrit

    number = len(gaps)
    if number < 2:
        return float("inf")
    return float(stdtrit(number - 1, 0.975) * sqrt(number / (number - 1) * float((gaps**2).sum())) / n)


def _chances(margins: Floats, higher: NDArray[np.bool_], folds: Sequence[Fold]) -> Floats:
    """Margins as chances, by a logistic curve through 0 that is fitted to the other folds."""
    from scipy.optimize import minimize_scalar

    chances = np.full(len(margins), 0.5)
    signs = np.where(higher, 1.0, -1.0)
    for fold in folds:
        scaled = margins[fold.train] * signs[fold.train]
        unit = float(np.abs(margins[fold.train]).mean()) or 1.0

        def loss(log_slope: float, scaled: Floats = scaled, unit: float = unit) -> float:
            return float(np.logaddexp(0, -np.exp(log_slope) * scaled / unit).mean())

        slope = float(np.exp(minimize_scalar(loss, bounds=(-8, 4), method="bounded").x))
        chances[fold.test] = 1 / (1 + np.exp(-slope * margins[fold.test] / unit))
    return chances


def _surest(chances: Floats, folds: Sequence[Fold]) -> NDArray[np.intp]:
    """The half of each fold's examples whose chance is furthest from one half."""
    halves = []
    for fold in folds:
        order = np.argsort(-np.abs(chances[fold.test] - 0.5), kind="stable")
        halves.append(fold.test[order[: (len(order) + 1) // 2]])
    return np.concatenate(halves)


def _calibration(chances: Floats, higher: NDArray[np.bool_]) -> float:
    """Expected calibration error over parts of equal size, by the chance that is told of the likelier answer."""
    told = np.maximum(chances, 1 - chances)
    right = (chances > 0.5) == higher
    parts = np.array_split(np.argsort(told, kind="stable"), max(1, min(_BINS, len(told) // _OF_BIN)))
    return float(sum(abs(told[part].mean() - right[part].mean()) * len(part) for part in parts) / len(told))


def _copies(table: Table, skeletons: Mapping[str, str]) -> int:
    held: dict[str, set[str]] = {}
    for row in table.several:
        held.setdefault(skeletons[table.programs[row]], set()).add(str(table.families[row]))
    return sum(len(held[skeletons[table.programs[row]]]) > 1 for row in table.several)


def _of_sets(table: Table, examples: Examples, rights: Mapping[str, Floats]) -> list[OfSet]:
    found = []
    for column, name in enumerate(table.datasets):
        rows = (examples.first == column) | (examples.second == column)
        if rows.any():
            shares = (float(rights[which][rows].mean()) for which in ("majority", "code"))
            found.append(OfSet(name, int(rows.sum()), *shares))
    return found


def _verdict(label: Label, named: Figure, code: Figure, gain: Figure, families: int) -> str:
    """families: number of those that the examples are of."""
    gap = f"{gain:+.3f}"
    if families < _FEWEST:
        said = f"Too few families to tell ({families}) whether code adds anything to the names of the two sets: {gap}."
    elif gain.low > 0 and code.low <= 0.5:  # by quantiles the names of other families are below a guess
        said = f"Code tells more than the names of the two sets, {gap}, but is not shown to tell more than a guess."
    elif gain.low > 0:
        said = f"Code tells more than the names of the two sets: {gap}."
    elif gain.high < 0:
        said = f"Code tells less than the names of the two sets: {gap}."
    else:
        said = f"It is not shown that code adds anything to the names of the two sets: {gap}."
    if label == "relative":
        said += f" The published {100 * PUBLISHED:.0f} % stand beside {100 * named.value:.1f} % by the names alone."
    return said
