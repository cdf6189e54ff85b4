"""Which networks to begin with on a data set: by how they stand where they were measured, else by their code.

A network's standing on a data set is the share of the others there that it beats (`standings`). Where it was measured
on other sets alone, what it is expected to beat is

    .5 + sum of weight * (standing - .5) / (sum of weights + pull)

over these sets: as if it stood in the middle on `pull` further ones. One high standing among few networks is luck more
often than six of them; so it is pulled to the middle more. A set weighs 1 with ten trials of the network or more, less
with fewer. The pull is the one that tells standings on sets that are left out best, each by one of the network's other
sets and by all of them; the interval is how far these lay from what was told by about as much. This is the posterior
mean of a network's own level among normal deviations from set to set, as in B. Efron, C. Morris (1975), "Data analysis
using Stein's estimator and its generalizations", JASA 70:311-319.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deltanas.errors import UsageError
from deltanas.foretold import rank_correlation
from deltanas.intervals import Estimate
from deltanas.program.features import network_features
from deltanas.standings import FEWEST, Evidence, Standing, noise, pieces_of, reached, standings
from deltanas.task import Floats

TOP = 8
_LEARNED = 10
"""Measured networks that code is judged by at least, and standings that a pull is fitted to."""
_PULLS = tuple(np.geomspace(0.05, 50, 61).tolist())
_NOT_KNOWN = 1.0
"""Pull and reach where too few networks were measured on several sets."""
_NEAR = 100
"""Cases told by about as much, whose gaps make an interval."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A network and the share of the others that it is expected to beat, with its 95 % interval, all in [0, 1].

    source: "measured": where it was measured, on this data set or on others; "code": by networks with like code.
    """

    program: str
    score: float
    low: float
    high: float
    source: Literal["measured", "code"]


@dataclass(frozen=True, slots=True)
class Left:
    """How well a data set that is left out is foretold by the others.

    n, rho: networks of the longest trainings there that others tell of; their rank correlation, None where they are too
    few. every_n, every: of all networks there, those of shorter trainings among them, as suggestions name them too.
    best: what the best of the first `TOP` reached in its own longest training there, over what the best of all did;
    None where no score is above 0.
    by_code: rank correlation of what code alone foretells, families held out.
    """

    dataset: str
    n: int
    rho: Estimate | None
    every_n: int
    every: Estimate | None
    best: float | None
    by_code: Estimate | None


Standings = Mapping[str, Mapping[str, Standing]]
"""By data set and program."""


def suggested(
    evidence: Sequence[Evidence], others: Mapping[str, str], dataset: str, epochs: int | None = None
) -> list[Suggestion]:
    """The best first. others: texts of programs that may be suggested without having been measured.

    epochs: the most; None for the longest that is common (see `common_epochs`).

    Raises:
        UsageError: nothing was measured that could be compared.
    """
    pieces = pieces_of(evidence, epochs)
    if not pieces:
        raise UsageError(
            "no three networks were measured on one data set after equally many epochs",
            (f"give more --epochs than {epochs}, or none; or " if epochs else "")
            + "give trials: `deltanas lemur import WHEEL` and --from lemur:RUN",
        )
    found = {name: standings(those) for name, those in pieces.items()}
    here, elsewhere = found.get(dataset, {}), _by_program(found, dataset)
    pull = _Pull(_by_program(found))
    bounds = noise(pieces[dataset], pull.reach(1.0)) if here else {}
    means = {program: _mean([*elsewhere.get(program, ()), *([here[program]] if program in here else [])])
             for program in {*here, *elsewhere}}  # fmt: skip
    made = []
    for program in means:
        if program in here:
            made.append(_bounded(program, here[program].share, *bounds[program], "measured"))
        else:
            score, reach = pull.told(elsewhere[program])
            made.append(_bounded(program, score, score - reach, score + reach, "measured"))
    sources = {name: text for one in evidence for name, text in one.sources.items()}
    made += _by_code(means, sources, {name: text for name, text in others.items() if name not in means})
    return sorted(made, key=lambda one: (-one.score, -means.get(one.program, 0.0), one.program))


def left_out(evidence: Sequence[Evidence], epochs: int | None = None) -> list[Left]:
    """Each data set in turn, as if nothing had been measured on it: what `suggested` would have named, and how it went.

    Sets with fewer than three networks of the longest trainings that others tell of are passed over.
    """
    pieces = pieces_of(evidence, epochs)
    found = {name: standings(those) for name, those in pieces.items()}
    sources = {name: text for one in evidence for name, text in one.sources.items()}
    rows = []
    for dataset in sorted(found):
        here, elsewhere = found[dataset], _by_program(found, dataset)
        scores, longest = reached(pieces[dataset])
        every = sorted({*here} & {*elsewhere})
        known = [program for program in every if program in longest]
        if len(known) < FEWEST:
            continue
        pull = _Pull(elsewhere)
        means = {program: _mean(those) for program, those in elsewhere.items()}
        told = {program: pull.told(elsewhere[program])[0] for program in every}
        first = sorted(every, key=lambda program: (-told[program], -means[program], program))[:TOP]
        top = max(scores.values())
        best = max(scores[program] for program in first) / top if top > 0 else None
        shares = {program: standing.share for program, standing in here.items()}
        rho, of_all = (
            rank_correlation([[(told[program], shares[program]) for program in some]]) for some in (known, every)
        )
        code = _code_correlation(means, shares, sources)
        rows.append(Left(dataset, len(known), rho, len(every), of_all, best, code))
    return rows


def _by_program(found: Standings, but: str | None = None) -> dict[str, list[Standing]]:
    """Each program's standings on all sets but one."""
    made: defaultdict[str, list[Standing]] = defaultdict(list)
    for name, held in found.items():
        if name != but:
            for program, standing in held.items():
                made[program].append(standing)
    return dict(made)


def _mean(those: Sequence[Standing]) -> float:
    return float(np.average([one.share for one in those], weights=[one.weight for one in those]))


class _Pull:
    """What standings on some sets tell of one on another set, fitted to networks that were measured on several.

    A case is a network on a set, told by one of its other sets, or by all of them.
    """

    def __init__(self, held: Mapping[str, Sequence[Standing]]) -> None:
        cases = []
        targets = 0
        for _, those in sorted(held.items()):
            for place, target in enumerate(those if len(those) > 1 else ()):
                others = [*those[:place], *those[place + 1 :]]
                tellers = [[one] for one in others] + ([others] if len(others) > 1 else [])
                cases += [(*_sums(some), target.share - 0.5) for some in tellers]
                targets += 1
        self._pull = _NOT_KNOWN
        self._weights = self._gaps = np.zeros(0)
        if targets >= _LEARNED:
            moved, weights, off = np.array(cases).T
            self._pull = min(_PULLS, key=lambda pull: float(((moved / (weights + pull) - off) ** 2).mean()))
            self._weights, self._gaps = weights, np.abs(moved / (weights + self._pull) - off)

    def told(self, those: Sequence[Standing]) -> tuple[float, float]:
        """The share that is expected, and how far from it another set may be in 95 % of the cases; 1 if not known."""
        moved, weight = _sums(those)
        return 0.5 + moved / (weight + self._pull), self.reach(weight)

    def reach(self, weight: float) -> float:
        """By the `_NEAR` cases that were told by most nearly as much, and those that are as near."""
        if not len(self._gaps):
            return _NOT_KNOWN
        apart = np.abs(self._weights - weight)
        furthest = np.sort(apart)[min(_NEAR, len(apart)) - 1]
        return float(np.quantile(self._gaps[apart <= furthest + 1e-9], 0.95))


def _sums(those: Sequence[Standing]) -> tuple[float, float]:
    """Of weight * (share - .5), and of weights."""
    return sum(one.weight * (one.share - 0.5) for one in those), sum(one.weight for one in those)


def _by_code(known: Mapping[str, float], sources: Mapping[str, str], asked: Mapping[str, str]) -> list[Suggestion]:
    """Of programs that were never measured; none where too few others were."""
    from deltanas.study.predictors import matrix

    if len(known) < _LEARNED or not asked:
        return []
    names = [*sorted(known), *sorted(asked)]
    features = matrix([network_features(asked[name] if name in asked else sources[name]) for name in names])
    table, new = features[: len(known)], features[len(known) :]
    target = np.array([known[name] for name in sorted(known)])
    held_out = _held_out(table, target, sorted(known))
    if held_out is None:
        return []
    # No further out than on families that are known, and as far as it was right there.
    slope = float(np.clip(np.cov(held_out, target)[0, 1] / max(float(held_out.var(ddof=1)), 1e-12), 0, 1))
    foretold = np.clip(_ridge(table, target, new), held_out.min(), held_out.max())
    middle = float(target.mean())
    reach = float(np.quantile(np.abs(middle + slope * (held_out - middle) - target), 0.95))
    scores = (middle + slope * (foretold - middle)).tolist()
    return [
        _bounded(name, score, score - reach, score + reach, "code")
        for name, score in zip(sorted(asked), scores, strict=True)
    ]


def _code_correlation(
    known: Mapping[str, float], here: Mapping[str, float], sources: Mapping[str, str]
) -> Estimate | None:
    from deltanas.study.predictors import matrix

    names = sorted(known)
    if len(names) < _LEARNED:
        return None
    held_out = _held_out(
        matrix([network_features(sources[name]) for name in names]), np.array([known[name] for name in names]), names
    )
    both = [place for place, name in enumerate(names) if name in here]
    if held_out is None or len(both) < FEWEST:
        return None
    return rank_correlation([[(float(held_out[place]), here[names[place]]) for place in both]])


def _held_out(features: Floats, target: Floats, names: Sequence[str]) -> Floats | None:
    """What code foretells of networks of families that it was not fitted to; None where all are of one."""
    from deltanas.study.predictors import family_folds
    from deltanas.study.standing import family_of

    families = np.array([family_of(name.rpartition("#")[2]) for name in names])
    if len(set(families.tolist())) < 2:
        return None
    found = np.zeros(len(target))
    for fold in family_folds(families):
        found[fold.test] = _ridge(features[fold.train], target[fold.train], features[fold.test])
    return found


def _ridge(table: Floats, target: Floats, new: Floats) -> Floats:
    from sklearn.linear_model import Ridge

    from deltanas.study.predictors import PENALTY

    spread = np.where(table.std(axis=0) > 0, table.std(axis=0), 1.0)
    centre = table.mean(axis=0)
    found: Floats = Ridge(alpha=PENALTY).fit((table - centre) / spread, target).predict((new - centre) / spread)
    return found


def _bounded(program: str, score: float, low: float, high: float, source: Literal["measured", "code"]) -> Suggestion:
    """All three within 0 and 1, the score between the others."""
    score = min(1.0, max(0.0, score))
    return Suggestion(program, score, max(0.0, min(low, score)), min(1.0, max(high, score)), source)
