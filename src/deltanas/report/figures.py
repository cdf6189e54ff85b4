"""The figures of a run that the command line prints and the page shows, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from deltanas.prices import Price, growth_of, prices
from deltanas.program import Failed, Refused, Trained
from deltanas.records import Candidate, RunView
from deltanas.report.classes import ClassScores, by_class
from deltanas.report.counts import Counts, counted
from deltanas.report.front import Front, standing_front
from deltanas.report.gain import Gain, told
from deltanas.report.handed import Handed, handed_over
from deltanas.report.reading import Reading, label
from deltanas.report.screened import Screened, screened

SHOWN = 5
"""How many networks are shown in full."""


@dataclass(frozen=True, slots=True)
class Network:
    """A trained network of the search.

    Attributes:
        program: identity. name: "cycle.index". score, low, high: with the 95 % interval of the task's metric, None
            where it has none.
        n: number of validation images. params, flops: as in `Draft`.
        seeds: number of trainings, whose mean is `score`. standard_error: of that mean over the seeds, None
            for one; the interval is that of the choice of images alone.
        over_baseline, over_parent: None where the run holds no score of that ancestor.
        rung: number of epochs of the trainings that the score is of; None where it is not known.
        prices: what it costs, and how many times what the baseline at its root costs.
    """

    program: str
    name: str
    cycle: int
    index: int
    strategy: str
    score: float
    low: float | None
    high: float | None
    n: int
    seeds: int
    standard_error: float | None
    params: int | None
    flops: int | None
    over_baseline: Gain | None
    over_parent: Gain | None
    prices: tuple[Price, ...] = ()
    rung: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in figures; `dataclasses.asdict` of it is JSON.

    Attributes:
        baselines: trained baselines. slots: candidates of the search, which are `trained`, `failed`, `refused` or
            still `open`; the baselines are none of these.
        counts: what became of the proposals, for each strategy, level of decoding and model by itself.
        metric: name of what the scores are. best: the best network of the search, None if none was trained.
        elites: the `SHOWN` best networks that beat their parent. elite_count: how many there are.
        growth: limit of FLOPs and parameters in times of the baseline's; None: none.
        shorter: number of trained candidates that are not compared with these, as their trainings were shorter.
        front: of a run with several objectives. finals: the final networks class by class, where they name classes.
        screen: of a run that foretold gains.
        handed_over: the best network beside the best baseline, on the test images.
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
    metric: str
    best: Network | None
    elites: tuple[Network, ...]
    elite_count: int
    shorter: int
    growth: float | None = None
    front: Front | None = None
    finals: tuple[ClassScores, ...] = ()
    screen: Screened | None = None
    handed_over: Handed | None = None


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
        metric=reading.metric.name,
        best=network(reading, ranked[0]) if ranked else None,
        elites=tuple(network(reading, elite) for elite in elites[:SHOWN]),
        elite_count=len(elites),
        growth=growth_of(reading.view.manifest),
        shorter=reading.shorter(),
        front=standing_front(reading),
        finals=by_class(reading),
        screen=screened(reading),
        handed_over=handed_over(reading),
    )


def network(reading: Reading, candidate: Candidate) -> Network:
    """Raises ValueError if the candidate has no score."""
    reached = reading.value(candidate)
    if reached is None or candidate.draft is None or not isinstance(candidate.outcome, Trained):
        raise ValueError(f"candidate {label(candidate)} has no score")
    line, bounds = reading.lineage(candidate), reading.interval(candidate)
    return Network(
        program=candidate.draft.program.id,
        name=label(candidate),
        cycle=candidate.cycle,
        index=candidate.index,
        strategy=candidate.strategy,
        score=reached,
        low=bounds.low if bounds else None,
        high=bounds.high if bounds else None,
        n=candidate.outcome.n,
        seeds=max(1, len(candidate.scores)),
        rung=candidate.rung or None,
        standard_error=candidate.standard_error,
        params=candidate.draft.params,
        flops=candidate.draft.flops,
        over_baseline=gain(reading, candidate, line.baseline),
        over_parent=gain(reading, candidate, line.parent),
        prices=prices(candidate, reading.journal),
    )


def gain(reading: Reading, candidate: Candidate, other: Candidate | None) -> Gain | None:
    """Over another candidate of the run; None where it has no score."""
    if other is None or other.program is None:
        return None
    theirs = reading.measured(other, candidate.rung)
    found = reading.compared(reading.measured(candidate), theirs)
    return told(other.program.id, label(other), theirs.score, found) if theirs and found else None
