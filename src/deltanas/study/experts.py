"""Mixtures of a run: what was drawn, how many can be trained, what they gain, and which experts make the difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median

import numpy as np

from deltanas.errors import UsageError
from deltanas.foretold import rank_correlation
from deltanas.intervals import Estimate, mean, student, wilson
from deltanas.program import Failed, Refused, Trained
from deltanas.program.assembly import unfit
from deltanas.records import Candidate
from deltanas.study.coverage import Coverage, coverage
from deltanas.study.estimate import Absent, Floats, LackingError, tried
from deltanas.task import CLASSIFY, Metric

STRATEGY = "experts"
JOIN = " + "
_RIDGE = 1.0
"""Weight of the squares of the coefficients, of columns with deviation 1."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """A slot of the run. experts: names. score: None where it was not trained; `fault` says why."""

    experts: tuple[str, ...]
    score: float | None
    fault: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Effect:
    """What a mixture scores more with these experts than with others. n: number of trained mixtures with them."""

    experts: tuple[str, ...]
    effect: Estimate
    n: int


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Can a mixture's score be told before it is trained?

    Each is foretold from all others by ridge regression on its families and on its experts' scores.

    Attributes:
        rho, alone: rank correlation of what is foretold with the score, and of its experts' mean score.
        worst, top: number of mixtures in the worst quarter by what is foretold; how many of the best tenth are in it.
    """

    rho: Estimate
    alone: Estimate
    worst: int
    top: int


@dataclass(frozen=True, slots=True)
class ExpertsStudy:
    """Attributes:
    metric: what scores are. experts: names of the trained baselines with their scores, the best first. apart: those of
        them that can't share a file with others, and so are in no mixture.
    passed, trained: share of the mixtures that passed the checks, and that were trained.
    faults: experts, and why they were not.
    over_best: gain over the best of the own experts; over_single: over the best baseline of all. Intervals are those of
        other mixtures: that a baseline's score may be luck of its training is not in them.
    best: the mixture that scored highest, and its gain over the best baseline of all. cost: CPU seconds of a mixture's
        training, in times of its best expert's; the median.
    families, pairs: the largest effect first. clear: number of pairs whose interval is clear of 0.
    """

    metric: str
    experts: tuple[tuple[str, float], ...]
    apart: tuple[str, ...]
    coverage: Coverage | Absent
    passed: Estimate
    trained: Estimate
    mixtures: int
    faults: tuple[tuple[tuple[str, ...], str], ...]
    over_best: Estimate | Absent
    over_single: Estimate | Absent
    best: tuple[tuple[str, ...], float] | Absent
    cost: float | Absent
    families: tuple[Effect, ...] | Absent
    pairs: tuple[Effect, ...] | Absent
    clear: int
    foreseen: Foreseen | Absent


def experts_study(candidates: Sequence[Candidate], metric: Metric = CLASSIFY.metric) -> ExpertsStudy:
    """Of a run's candidates. All are compared after as many epochs as the shortest training of a mixture has.

    Raises UsageError where no slot of it was filled with a mixture.
    """
    rows = [row for row in candidates if row.strategy == STRATEGY]
    length = min((each.epochs for row in rows for each in row.trainings if isinstance(each, Trained)), default=0)
    baselines = [row for row in candidates if row.cycle == 0]
    known = {row.label: row.at(length) or row for row in baselines}
    singles = {label: row.score for label, row in known.items() if row.score is not None}
    spent = {label: _seconds(row) for label, row in known.items()}
    mixtures = [one for row in rows if (one := _mixture(row.at(length) or row, baselines))]
    if not mixtures:
        raise UsageError("the run holds no mixtures", "`deltanas search --strategy experts` makes a run that does")
    apart = {row.label for row in baselines if row.program and unfit(row.name, row.program.net)}
    names = [name for name in singles if name not in apart]
    places = {name: place for place, name in enumerate(names)}
    groups = [[places[name] for name in one.experts if name in places] for one in mixtures]
    done = [one for one in mixtures if one.score is not None]
    n = len(mixtures)
    over = [metric.over(_score(one), _best(one.experts, singles, metric)) for one in done]
    alone = _best(singles, singles, metric)
    best = max(done, key=lambda one: metric.over(_score(one), alone), default=None)
    effects = tried(lambda: _effects(done, names))
    return ExpertsStudy(
        metric.name,
        tuple(sorted(singles.items(), key=lambda one: metric.key(one[1]))),
        tuple(name for name in singles if name in apart),
        tried(lambda: coverage(groups, len(names))),
        wilson(sum(one.score is not None or not one.fault.startswith("refused") for one in mixtures), n),
        wilson(len(done), n),
        n,
        tuple((one.experts, one.fault) for one in mixtures if one.score is None),
        mean(over) or Absent("fewer than two mixtures were trained"),
        mean([metric.over(_score(one), alone) for one in done]) or Absent("fewer than two mixtures were trained"),
        (best.experts, metric.over(_score(best), alone)) if best else Absent("no mixture was trained"),
        _cost(done, singles, spent, metric),
        effects if isinstance(effects, Absent) else effects[0],
        effects if isinstance(effects, Absent) else effects[1],
        0 if isinstance(effects, Absent) else sum(not one.effect.low <= 0 <= one.effect.high for one in effects[1]),
        tried(lambda: _foreseen(done, names, singles, metric)),
    )


def _mixture(row: Candidate, baselines: Sequence[Candidate]) -> Mixture | None:
    """None where all mixtures had been drawn before the slot."""
    labels = {one.program.id: one.label for one in baselines if one.program and not isinstance(one.outcome, Refused)}
    made = row.attempts[-1] if row.attempts else None
    if made is None or not made.goal:
        return None
    parents = row.program.parents if row.program else ()
    known = all(parent in labels for parent in parents) and len(parents) > 1
    names = tuple(sorted(labels[one] for one in parents)) if known else tuple(made.goal.split(JOIN))
    match row.outcome:
        case Trained(score=score):
            return Mixture(names, score, seconds=_seconds(row))
        case Refused(stage=stage, reason=reason):
            return Mixture(names, None, f"refused ({stage}): {reason}")
        case Failed(kind=kind, reason=reason):
            return Mixture(names, None, f"failed ({kind}): {reason}")
    return None


def _seconds(row: Candidate) -> float:
    return fmean(one.cpu_seconds for one in row.trainings) if row.trainings else 0.0


def _score(one: Mixture) -> float:
    assert one.score is not None
    return one.score


def _best(names: Iterable[str], scores: Mapping[str, float], metric: Metric) -> float:
    return min((scores[name] for name in names), key=metric.key)


def _cost(
    done: Sequence[Mixture], singles: Mapping[str, float], spent: Mapping[str, float], metric: Metric
) -> float | Absent:
    ratios = [
        one.seconds / spent[best]
        for one in done
        if spent[best := min(one.experts, key=lambda name: metric.key(singles[name]))] > 0
    ]
    return median(ratios) if ratios else Absent("no training has its CPU seconds")


def _effects(done: Sequence[Mixture], names: Sequence[str]) -> tuple[tuple[Effect, ...], tuple[Effect, ...]]:
    """Of families, by least squares, and of pairs beyond those of their two families. Intervals by Student's t."""
    n, k = len(done), len(names)
    if n < k + 5:
        raise LackingError(f"effects of {k} families take {k + 5} trained mixtures, and there are {n}")
    x = np.array([[name in one.experts for name in names] for one in done], float)
    y = np.array([_score(one) for one in done])
    if np.linalg.matrix_rank(x) < k:
        raise LackingError("some families stand in the same mixtures only, so their effects can't be told apart")
    inverse = np.linalg.inv(x.T @ x)
    centre = np.eye(k) - 1 / k
    residual = y - x @ (inverse @ x.T @ y)
    variance = float(residual @ residual) / (n - k)
    values, errors = centre @ inverse @ x.T @ y, np.sqrt(np.diag(centre @ inverse @ centre) * variance)
    counts = x.sum(axis=0)
    families = [
        Effect((name,), student(float(values[place]), float(errors[place]), n - k), int(counts[place]))
        for place, name in enumerate(names)
    ]
    pairs = [one for pair in combinations(range(k), 2) if (one := _pair(pair, names, x, residual, inverse))]
    return _ordered(families), _ordered(pairs)


def _pair(pair: tuple[int, int], names: Sequence[str], x: Floats, residual: Floats, inverse: Floats) -> Effect | None:
    """None where the mixtures do not tell it from the effects of the families."""
    both = x[:, pair[0]] * x[:, pair[1]]
    own = both - x @ (inverse @ (x.T @ both))
    square, degrees = float(own @ own), len(x) - x.shape[1] - 1
    if square < 1e-9 or degrees < 1:
        return None
    value = float(own @ residual) / square
    left = residual - value * own
    error = float(np.sqrt(float(left @ left) / degrees / square))
    return Effect((names[pair[0]], names[pair[1]]), student(value, error, degrees), int(both.sum()))


def _ordered(effects: Sequence[Effect]) -> tuple[Effect, ...]:
    return tuple(sorted(effects, key=lambda one: -one.effect.value))


def _foreseen(done: Sequence[Mixture], names: Sequence[str], singles: Mapping[str, float], metric: Metric) -> Foreseen:
    n = len(done)
    if n < 20:
        raise LackingError(f"how well scores are foreseen takes 20 trained mixtures, and there are {n}")
    scores = np.array([[singles[name] for name in one.experts] for one in done])
    features = np.column_stack(
        [
            np.array([[name in one.experts for name in names] for one in done], float),
            scores.mean(axis=1),
            scores.max(axis=1),
            scores.min(axis=1),
        ]
    )
    y = np.array([_score(one) for one in done])
    told = np.array([_left_out(features, y, place) for place in range(n)])
    better = np.array([-metric.key(score) for score in y])
    goodness = np.array([-metric.key(score) for score in told])
    worst = np.argsort(goodness, kind="stable")[: n // 4]
    top = set(np.argsort(-better, kind="stable")[: max(1, n // 10)].tolist())
    rho = rank_correlation([list(zip(goodness.tolist(), better.tolist(), strict=True))])
    alone = [-metric.key(score) for score in scores.mean(axis=1)]
    control = rank_correlation([list(zip(alone, better.tolist(), strict=True))])
    assert rho is not None
    assert control is not None
    return Foreseen(rho, control, len(worst), sum(place in top for place in worst.tolist()))


def _left_out(features: Floats, y: Floats, place: int) -> float:
    """What the others foretell of one."""
    x, known = np.delete(features, place, axis=0), np.delete(y, place)
    centre, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0] = 1.0
    z = (x - centre) / scale
    weights = np.linalg.solve(z.T @ z + _RIDGE * np.eye(z.shape[1]), z.T @ (known - known.mean()))
    return float(known.mean() + (features[place] - centre) / scale @ weights)
