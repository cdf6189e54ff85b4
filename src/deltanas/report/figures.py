"""The figures of a run that the command line prints and the page shows, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from deltanas.intervals import difference
from deltanas.journal import Candidate, RunView
from deltanas.program import Failed, Refused, Trained
from deltanas.report.counts import Counts, counted
from deltanas.report.reading import Reading, label, score

SHOWN = 5
"""How many networks are shown in full."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What a network gained over another, both scored on the same validation images.

    Attributes:
        over, name: identity and short name of the other. accuracy: its own, in [0, 1].
        gain, low, high: difference of the accuracies with its 95 % interval (`intervals.difference`). The interval
            knows the chance in the choice of images; neither that of the training nor that of picking the best.
    """

    over: str
    name: str
    accuracy: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network of the search.

    Attributes:
        program: identity. name: "cycle.index". accuracy, low, high: in [0, 1], with the 95 % Wilson interval.
        n: number of validation images. params, flops: as in `Draft`.
        seeds: number of trainings, of which `accuracy` is the mean. standard_error: of that mean over the seeds, None
            for one; the interval is that of the choice of images alone.
        over_baseline, over_parent: None where the run holds no score of that ancestor.
    """

    program: str
    name: str
    cycle: int
    index: int
    strategy: str
    accuracy: float
    low: float
    high: float
    n: int
    seeds: int
    standard_error: float | None
    params: int | None
    flops: int | None
    over_baseline: Gain | None
    over_parent: Gain | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in figures; `dataclasses.asdict` of it is JSON.

    Attributes:
        baselines: trained baselines. slots: candidates of the search, which are `trained`, `failed`, `refused` or
            still `open`; the baselines are none of these.
        counts: what became of the proposals, for each strategy, level of decoding and model by itself.
        best: the most accurate network of the search, None if none was trained.
        elites: the `SHOWN` most accurate networks that beat their parent. elite_count: how many there are.
    """

    run: str
    finished: bool
    baselines: int
    slots: int
    trained: int
    failed: int
    refused: int
    open: int
    counts: tuple[Counts, ...]
    best: Network | None
    elites: tuple[Network, ...]
    elite_count: int


def summary(view: RunView) -> Summary:
    return summarise(Reading(view))


def summarise(reading: Reading) -> Summary:
    outcomes = [candidate.outcome for candidate in reading.search]
    elites, ranked = reading.elites(), reading.ranked()
    return Summary(
        run=reading.view.name,
        finished=reading.view.finished,
        baselines=sum(isinstance(c.outcome, Trained) for c in reading.baselines),
        slots=len(outcomes),
        trained=sum(isinstance(o, Trained) for o in outcomes),
        failed=sum(isinstance(o, Failed) for o in outcomes),
        refused=sum(isinstance(o, Refused) for o in outcomes),
        open=sum(o is None for o in outcomes),
        counts=counted(reading.view),
        best=network(reading, ranked[0]) if ranked else None,
        elites=tuple(network(reading, elite) for elite in elites[:SHOWN]),
        elite_count=len(elites),
    )


def network(reading: Reading, candidate: Candidate) -> Network:
    """Raises ValueError if the candidate has no score."""
    reached = score(candidate)
    if reached is None or candidate.draft is None or not isinstance(candidate.outcome, Trained):
        raise ValueError(f"candidate {label(candidate)} has no score")
    line = reading.lineage(candidate)
    return Network(
        program=candidate.draft.program.id,
        name=label(candidate),
        cycle=candidate.cycle,
        index=candidate.index,
        strategy=candidate.strategy,
        accuracy=reached.value,
        low=reached.low,
        high=reached.high,
        n=candidate.outcome.n,
        seeds=max(1, len(candidate.trainings)),
        standard_error=candidate.standard_error,
        params=candidate.draft.params,
        flops=candidate.draft.flops,
        over_baseline=gain(candidate, line.baseline),
        over_parent=gain(candidate, line.parent),
    )


def gain(candidate: Candidate, other: Candidate | None) -> Gain | None:
    mine, theirs = score(candidate), score(other)
    if other is None or other.program is None or mine is None or theirs is None:
        return None
    gained = difference(mine, theirs)
    return Gain(other.program.id, label(other), theirs.value, gained.value, gained.low, gained.high)
