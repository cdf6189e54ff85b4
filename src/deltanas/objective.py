"""What is better: one figure of a candidate or several, and what several of them make of a set of candidates.

With several objectives a candidate *dominates* another if it is at least as good in all of them and better in one. The
*front* of a set is what none of it dominates. K. Deb, A. Pratap, S. Agarwal, T. Meyarivan (2002), "A fast and elitist
multiobjective genetic algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6:182-197.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, log10

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import UsageError
from deltanas.records import Candidate, Measurement
from deltanas.task import Better, Floats, Task, task_of

LATENCY = "latency_ms"
MACS = "macs"
TRAFFIC = "traffic"
_LEAST = 1e-6
"""Where the logarithm of a cost ends."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A figure of a candidate that should be high, or low.

    Attributes:
        name: as it is given and written. of: the figure; None if it is not known, as of a network not trained.
        shown: the figure in words. ratio: its distances are ratios (costs span orders of magnitude), not differences.
    """

    name: str
    better: Better
    of: Callable[[Candidate], float | None]
    shown: Callable[[float], str]
    ratio: bool = False


def _measured(name: str) -> Callable[[Candidate], float | None]:
    def value(candidate: Candidate) -> float | None:
        found = candidate.measured(name)
        return found.value if found else None

    return value


def _macs(candidate: Candidate) -> int | None:
    flops = candidate.draft.flops if candidate.draft else None
    return None if flops is None else flops // 2


COSTS: dict[str, Objective] = {
    one.name: one
    for one in (
        Objective("params", "lower", lambda c: c.draft.params if c.draft else None, "{:,.0f}".format, ratio=True),
        Objective("flops", "lower", lambda c: c.draft.flops if c.draft else None, "{:,.0f}".format, ratio=True),
        Objective(MACS, "lower", _macs, "{:,.0f}".format, ratio=True),
        Objective(LATENCY, "lower", _measured(LATENCY), "{:.3f} ms".format, ratio=True),
        Objective(TRAFFIC, "lower", _measured(TRAFFIC), lambda value: f"{value / 1e6:,.1f} MB", ratio=True),
    )
}


def told_measurement(found: Measurement) -> str:
    """In words, with the quartiles of the repetitions where there are some, and what else there is to say."""
    if found.value is None:
        return f"no {found.name}: {found.detail}"
    cost = COSTS.get(found.name)
    shown = cost.shown(found.value) if cost else f"{found.value:,.6g}"
    known = found.low is not None and found.high is not None
    spread = f" (quartiles {found.low:.3f} and {found.high:.3f})" if known else ""
    return f"{found.name} {shown}{spread}{f'; {found.detail}' if found.detail else ''}"


def score_of(task: Task) -> Objective:
    """The task's metric as an objective, under its own name."""
    return Objective(task.metric.name, task.metric.better, lambda candidate: candidate.score, task.metric.shown)


def objectives_of(names: Sequence[str], task: Task) -> tuple[Objective, ...]:
    """The objectives of these names; the task's metric alone, if there are none.

    Raises:
        UsageError: an unknown name, one given twice, or no metric among them.
    """
    score = score_of(task)
    known = {score.name: score, **COSTS}
    for name in names:
        if name not in known:
            raise UsageError(f"unknown objective {name!r}", f"known: {', '.join(known)}")
    if len(set(names)) < len(names):
        raise UsageError(f"an objective is given twice: {', '.join(names)}", "name each of them once")
    if names and score.name not in names:
        raise UsageError(
            f"without {score.name} among the objectives the best network is one that learns nothing",
            f"give --objective {','.join((score.name, *names))}",
        )
    return tuple(known[name] for name in names) or (score,)


def stored_objectives(manifest: Mapping[str, object]) -> tuple[Objective, ...]:
    """The objectives of a run by its manifest; the score alone where it names none."""
    match manifest.get("config"):
        case {"objectives": [*names]}:
            return objectives_of([str(name) for name in names], task_of(manifest))
        case _:
            return objectives_of((), task_of(manifest))


def figures(candidate: Candidate, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """The candidate's figures, turned so that lower is better; None unless it was trained and all of them are known."""
    if candidate.score is None or candidate.program is None:
        return None
    found = []
    for objective in objectives:
        value = objective.of(candidate)
        if value is None:
            return None
        found.append(-value if objective.better == "higher" else float(value))
    return tuple(found)


def improves(child: Candidate, parent: Candidate, objectives: Sequence[Objective]) -> bool:
    """Is the child better than its parent: with one objective by it, with several by domination?"""
    mine, theirs = figures(child, objectives), figures(parent, objectives)
    if mine is None or theirs is None:
        return False
    return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def ranked(rows: Iterable[Candidate], objectives: Sequence[Objective]) -> list[Candidate]:
    """Those whose figures are all known, the best first.

    By the number of the front on which a row lies once the fronts before it are taken away; on one front by the
    crowding distance, the widest first; then in the order of the rows.
    """
    known, points = _known(rows, objectives)
    if not known:
        return []
    if points.shape[1] == 1:
        return [known[place] for place in np.argsort(points[:, 0], kind="stable")]
    from moocore import pareto_rank  # it takes longer to load than `runs show` runs

    fronts = np.asarray(pareto_rank(points))
    distances = np.empty(len(known))
    for number in range(int(fronts.max()) + 1):
        members = fronts == number
        distances[members] = crowding(_spread(points[members], objectives))
    return [known[place] for place in np.lexsort((-distances, fronts))]


def front(rows: Iterable[Candidate], objectives: Sequence[Objective]) -> list[Candidate]:
    """Those that no other one dominates, by the first objective, the best first; of equal figures the earliest row."""
    known, points = _known(rows, objectives)
    if not known:
        return []
    if points.shape[1] == 1:
        return [known[int(np.argmin(points[:, 0]))]]
    from moocore import is_nondominated

    kept = np.flatnonzero(is_nondominated(points, keep_weakly=False))
    return [known[place] for place in kept[np.argsort(points[kept, 0], kind="stable")]]


def along(rows: Iterable[Candidate], objectives: Sequence[Objective], count: int) -> list[Candidate]:
    """At most `count` of the front, spread over it: the most crowded one is left out until there are no more.

    The best in the first objective comes first, and is the one that stays where `count` is 1; the other ends stay as
    long as there is room for them.
    """
    members = front(rows, objectives)
    while len(members) > max(0, count):
        _, points = _known(members, objectives)
        distances = crowding(_spread(points, objectives))
        del members[min(range(len(members)), key=lambda place: (distances[place], -place))]
    return members


def crowding(points: Floats) -> Floats:
    """Crowding distance of each point of one front (Deb et al., 2002): infinite at the ends. points: [n, m]."""
    distances = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        distances[order[[0, -1]]] = inf
        if span > 0:
            distances[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return distances


def hypervolume(points: NDArray[np.float64]) -> float:
    """Volume that the points dominate within the unit box. points: [n, m], 0 is the reference and 1 the far corner.

    A figure above 1 counts as it is; one below 0 adds nothing.
    """
    inside = points[(points > 0).all(axis=1)]
    if not len(inside):
        return 0.0
    from moocore import hypervolume as volume

    return float(volume(-inside, ref=np.zeros(points.shape[1])))


def _known(rows: Iterable[Candidate], objectives: Sequence[Objective]) -> tuple[list[Candidate], Floats]:
    """The rows whose figures are all known, and these: [n, objectives], lower is better."""
    found = [(row, values) for row in rows if (values := figures(row, objectives)) is not None]
    points = np.array([values for _, values in found], float).reshape(len(found), len(objectives))
    return [row for row, _ in found], points


def _spread(points: Floats, objectives: Sequence[Objective]) -> Floats:
    """The points on the scales on which they are near or far."""
    columns = [
        [log10(max(value, _LEAST)) for value in column] if objective.ratio else column
        for column, objective in zip(points.T, objectives, strict=True)
    ]
    return np.array(columns, float).T
