"""Which networks to begin with on a data set: by how they stand where they were measured, else by their code.

A network's standing on a data set is the share of the others there that it beats, after equally many epochs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb, inf
from typing import Literal

import numpy as np

from deltanas.errors import UsageError
from deltanas.foretold import rank_correlation
from deltanas.intervals import Estimate
from deltanas.program.features import network_features
from deltanas.task import Floats

TEN = 10
"""Trials to which their number is evened out."""
TOP = 8
_SEVERAL = 4
_FEWEST = 3
"""Networks of a data set that have an order."""
_LEARNED = 10
"""Measured networks that code is judged by at least."""
_COMMON = 1 / 3
"""Share of the networks on several sets that a common number of epochs reaches."""
_DRAWS = 100


@dataclass(frozen=True, slots=True)
class Measured:
    """A score of one training. program: as `--baselines` takes it."""

    program: str
    dataset: str
    epochs: int
    score: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Scores that are comparable within a data set.

    Attributes:
        tuned: trainings of a network differ in hyperparameters: the best counts, of ten. Else in the seed: their mean.
        sources: text of each program.
    """

    rows: Sequence[Measured]
    sources: Mapping[str, str]
    tuned: bool


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

    n: networks of the longest trainings there that others tell of. rho: rank correlation, None where they are too few.
    best: what the best of the first `TOP` reached, over what the best of all did. by_code: rank correlation of what
    code alone foretells, families held out.
    """

    dataset: str
    n: int
    rho: Estimate | None
    best: float
    by_code: Estimate | None


Standings = Mapping[str, Mapping[str, float]]
"""By data set and program."""


def suggested(
    evidence: Sequence[Evidence], others: Mapping[str, str], dataset: str, epochs: int | None = None
) -> list[Suggestion]:
    """The best first. others: texts of programs that may be suggested without having been measured.

    epochs: the most; None for the longest that is common (see `common_epochs`).

    Raises:
        UsageError: nothing was measured that could be compared.
    """
    cells = [_cells(one, epochs) for one in evidence]
    found = [_standings(each) for each in cells]
    if not any(found):
        raise UsageError(
            "no three networks were measured on one data set after equally many epochs",
            (f"give more --epochs than {epochs}, or none; or " if epochs else "")
            + "give trials: `deltanas lemur import WHEEL` and --from lemur:RUN",
        )
    here, elsewhere = _by_program(found, dataset), _by_program(found, dataset, others=True)
    reach = _reach(found)
    noise: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for each in cells:
        for program, bounds in _noise(each, dataset, reach).items():
            noise[program].append(bounds)
    made = []
    for program in sorted({*here, *elsewhere}):
        score = float(np.mean(here.get(program) or elsewhere[program]))
        low, high = np.mean(noise[program], axis=0).tolist() if program in here else (score - reach, score + reach)
        made.append(_bounded(program, score, low, high, "measured"))
    known = {program: float(np.mean([*here.get(program, ()), *elsewhere.get(program, ())])) for program in
             {*here, *elsewhere}}  # fmt: skip
    sources = {name: text for one in evidence for name, text in one.sources.items()}
    made += _by_code(known, sources, {name: text for name, text in others.items() if name not in known})
    return sorted(made, key=lambda one: (-one.score, one.program))


def left_out(evidence: Sequence[Evidence], epochs: int | None = None) -> list[Left]:
    """Each data set in turn, as if nothing had been measured on it: the networks that were trained longest there."""
    cells = [_cells(one, epochs) for one in evidence]
    found = [_standings(each) for each in cells]
    sources = {name: text for one in evidence for name, text in one.sources.items()}
    rows = []
    for dataset in sorted({name for each in found for name in each}):
        here, elsewhere = _by_program(found, dataset), _by_program(found, dataset, others=True)
        scores = _scores_on(cells, dataset)
        known = sorted({*here} & {*elsewhere} & {*scores})
        if len(known) < _FEWEST:
            continue
        told = np.array([np.mean(elsewhere[program]) for program in known])
        own = np.array([np.mean(here[program]) for program in known])
        first = [known[place] for place in np.argsort(-told, kind="stable")[:TOP]]
        best = max(scores[program] for program in first) / max(scores.values())
        code = _code_correlation(
            {program: float(np.mean(those)) for program, those in elsewhere.items()}, here, sources
        )
        rho = rank_correlation([list(zip(told.tolist(), own.tolist(), strict=True))])
        rows.append(Left(dataset, len(known), rho, best, code))
    return rows


def common_epochs(rows: Iterable[Measured]) -> int:
    """The most epochs that a third of the networks reach, of those that were measured on several sets if there are any.

    A rank after more epochs says more; networks that were measured for fewer count by what they have.
    """
    sets: defaultdict[int, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        sets[row.epochs][row.program].add(row.dataset)
    for several in (2, 1):
        counts = {epochs: sum(len(those) >= several for those in held.values()) for epochs, held in sets.items()}
        if most := max(counts.values(), default=0):
            return max(epochs for epochs, count in counts.items() if count >= _COMMON * most)
    return 1


def evened(scores: Sequence[float], tuned: bool) -> float:
    """What the best of `TEN` trials drawn from these scores on average; all of them where there are fewer.

    So a network does not rank higher for having been tried more often than `TEN` times.
    """
    if not tuned:
        return float(np.mean(scores))
    ordered, number = sorted(scores), len(scores)
    if number <= TEN:
        return ordered[-1]
    return sum(comb(place, TEN - 1) * ordered[place] for place in range(TEN - 1, number)) / comb(number, TEN)


@dataclass(frozen=True, slots=True)
class _Cells:
    """The trials by data set, epochs and program; `longest` of each data set and program."""

    trials: Mapping[tuple[str, int], Mapping[str, Sequence[float]]]
    longest: Mapping[tuple[str, str], int]
    tuned: bool


def _cells(one: Evidence, epochs: int | None) -> _Cells:
    """What has an order: `_FEWEST` networks or more on a data set after equally many epochs.

    Of tuned networks after the common number of epochs or fewer; others were trained alike on purpose.
    """
    most = epochs or (common_epochs(one.rows) if one.tuned else inf)
    every: defaultdict[tuple[str, int], defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in one.rows:
        if row.epochs <= most:
            every[row.dataset, row.epochs][row.program].append(row.score)
    trials = {place: held for place, held in every.items() if len(held) >= _FEWEST}
    longest: dict[tuple[str, str], int] = {}
    for (dataset, length), held in trials.items():
        for program in held:
            longest[dataset, program] = max(longest.get((dataset, program), 0), length)
    return _Cells(trials, longest, one.tuned)


def _standings(cells: _Cells) -> Standings:
    """Of each program after the longest training that it has on a set."""
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (dataset, epochs), held in cells.trials.items():
        ends = [program for program in held if cells.longest[dataset, program] == epochs]
        places = _shares({program: evened(scores, cells.tuned) for program, scores in held.items()})
        found[dataset].update((program, places[program]) for program in ends)
    return found


def _shares(scores: Mapping[str, float]) -> dict[str, float]:
    """The share that each beats, and half of those that it equals, itself among them."""
    from scipy.stats import rankdata

    ranks = (rankdata(list(scores.values())) - 0.5) / len(scores)
    return dict(zip(scores, map(float, ranks), strict=True))


def _by_program(found: Sequence[Standings], dataset: str, *, others: bool = False) -> dict[str, list[float]]:
    """Standings on the data set; others: on all others."""
    made: defaultdict[str, list[float]] = defaultdict(list)
    for each in found:
        for name, held in each.items():
            if (name == dataset) is not others:
                for program, share in held.items():
                    made[program].append(share)
    return dict(made)


def _reach(found: Sequence[Standings]) -> float:
    """How far a standing lies from the mean of the network's others, at most in 95 % of the cases; 1 if not known."""
    gaps = []
    for dataset in {name for each in found for name in each}:
        here, elsewhere = _by_program(found, dataset), _by_program(found, dataset, others=True)
        gaps += [
            abs(share - float(np.mean(elsewhere[p]))) for p, those in here.items() if p in elsewhere for share in those
        ]
    return float(np.quantile(gaps, 0.95)) if len(gaps) >= _LEARNED else 1.0


def _noise(cells: _Cells, dataset: str, reach: float) -> dict[str, tuple[float, float]]:
    """Bounds of the standings on the data set for other trials: drawn again, with repetition.

    Of a network with few trials: as far as those with several move; as far as other sets do where there are none.
    """
    rng = np.random.default_rng(0)
    found: dict[str, tuple[float, float]] = {}
    for (name, epochs), held in cells.trials.items():
        ends = [program for program in held if cells.longest[name, program] == epochs]
        if name != dataset or not ends:
            continue
        own = _shares({program: evened(scores, cells.tuned) for program, scores in held.items()})
        drawn = [
            _shares({p: evened(list(rng.choice(scores, len(scores))), cells.tuned) for p, scores in held.items()})
            for _ in range(_DRAWS)
        ]
        moves = [abs(one[p] - own[p]) for p, scores in held.items() if len(scores) >= _SEVERAL for one in drawn]
        wide = float(np.quantile(moves, 0.95)) if moves else reach
        for program in ends:
            places = [one[program] for one in drawn] if len(held[program]) >= _SEVERAL else []
            low, high = np.quantile(places, [0.025, 0.975]) if places else (own[program] - wide, own[program] + wide)
            found[program] = min(float(low), own[program]), max(float(high), own[program])
    return found


def _scores_on(cells: Sequence[_Cells], dataset: str) -> dict[str, float]:
    """What the networks that were trained longest reached: by their best trial, or by the mean over their seeds."""
    held = [(epochs, each) for each in cells for name, epochs in each.trials if name == dataset]
    epochs, longest = max(held, key=lambda one: one[0])
    reached = max if longest.tuned else np.mean
    return {program: float(reached(scores)) for program, scores in longest.trials[dataset, epochs].items()}


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
    known: Mapping[str, float], here: Mapping[str, Sequence[float]], sources: Mapping[str, str]
) -> Estimate | None:
    from deltanas.study.predictors import matrix

    names = sorted(known)
    if len(names) < _LEARNED:
        return None
    held_out = _held_out(
        matrix([network_features(sources[name]) for name in names]), np.array([known[name] for name in names]), names
    )
    both = [place for place, name in enumerate(names) if name in here]
    if held_out is None or len(both) < _FEWEST:
        return None
    return rank_correlation([[(float(held_out[place]), float(np.mean(here[names[place]]))) for place in both]])


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
