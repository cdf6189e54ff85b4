"""Check and evaluate single programs outside a search: the same gates, the same runner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Literal

from deltanas.nets import DEFAULT_PRM
from deltanas.program import Failed, Program, Refused, Trained, standard_error
from deltanas.records import Draft
from deltanas.seams import Gate, Runner, judged
from deltanas.search import training_seed
from deltanas.task import CLASSIFY


@dataclass(frozen=True, slots=True)
class Verdict:
    """Does a program fulfil the contract, build and train a step?

    Attributes:
        ok: it does. reasons: what keeps it from it, with the program's line numbers.
        params: trainable parameters. flops: of one image's forward pass. trace: hash of the traced operations.
        assumed: hyperparameters that the program declares and nobody gave, with the usual values that it got.
    """

    ok: bool
    reasons: tuple[str, ...]
    params: int | None = None
    flops: int | None = None
    trace: str | None = None
    assumed: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A program's score, or why it has none.

    Attributes:
        program: its identity, None for a file that is no text.
        score: on the validation split, in the unit of the task's metric; the mean over the seeds. metric: its name.
        scores: one a seed. standard_error: of the mean over the seeds, None for fewer than two.
        seconds, cpu_seconds: of all its trainings, measured outside the candidate's process. tier: the sandbox's.
        epochs: of each training. assumed: as in `Verdict`.
        further: other figures than the one that ranks, by name, means over images and seeds (`ssim` of a denoiser).
    """

    program: str | None
    status: Literal["trained", "failed", "refused"]
    score: float | None
    reason: str | None
    seconds: float
    cpu_seconds: float
    params: int | None
    tier: str
    scores: tuple[float, ...] = ()
    standard_error: float | None = None
    epochs: int | None = None
    assumed: Mapping[str, float] = field(default_factory=dict)
    metric: str = CLASSIFY.metric.name
    further: Mapping[str, float] = field(default_factory=dict)

    @property
    def accuracy(self) -> float | None:
        """The score of a classifier, in [0, 1]; None for another metric."""
        return self.score if self.metric == CLASSIFY.metric.name else None

    @property
    def accuracies(self) -> tuple[float, ...]:
        """One a seed; none for another metric."""
        return self.scores if self.metric == CLASSIFY.metric.name else ()


def check_programs(programs: Sequence[Program | Refused], gates: Sequence[Gate]) -> list[Verdict]:
    """One verdict a program, in their order; a `Refused` stands for a file that could not be read as a program."""
    return [
        Verdict(False, tuple(draft.reason.split("; ")))
        if isinstance(draft, Refused)
        else Verdict(True, (), draft.params, draft.flops, draft.trace)
        for draft in judged(_drafts(programs), gates)
    ]


def evaluate_programs(
    programs: Sequence[Program | Refused],
    gates: Sequence[Gate],
    runner: Runner,
    *,
    seed: int = 0,
    seeds: int = 1,
    metric: str = CLASSIFY.metric.name,
) -> Iterator[Evaluation]:
    """Train each program with `seeds` derived seeds; yields in the order of `programs`, each as soon as it is known.

    metric: name of what the runner's scores are. With `seeds=1` a program gets the score that it gets in a search with
    that `seed`.
    """
    drafts = judged(_drafts(programs), gates)
    accepted = {place: draft.program for place, draft in enumerate(drafts) if isinstance(draft, Draft)}
    places = list(accepted)
    outcomes: dict[int, list[Trained | Failed]] = {place: [] for place in places}
    trainings = (
        (places[number], outcome)
        for repeat in range(seeds)
        for number, outcome in runner.train(list(accepted.values()), seed=training_seed(seed, repeat=repeat))
    )
    for place, (program, draft) in enumerate(zip(programs, drafts, strict=True)):
        if isinstance(draft, Refused):
            identity = program.id if isinstance(program, Program) else None
            yield Evaluation(identity, "refused", None, draft.reason, 0.0, 0.0, None, runner.tier, metric=metric)
            continue
        while len(outcomes[place]) < seeds:
            ended, outcome = next(trainings)
            outcomes[ended].append(outcome)
        yield _evaluation(draft, outcomes[place], runner.tier, metric)


def assumed_of(program: Program | Refused, given: Mapping[str, float] | None) -> dict[str, float]:
    """The hyperparameters that a program declares and nobody gave. given: what replaces the default recipe's."""
    values = program.hyperparameters if isinstance(program, Program) else {}
    return {name: value for name, value in values.items() if name not in {**DEFAULT_PRM, **(given or {})}}


def told_assumed(assumed: Mapping[str, float]) -> list[str]:
    """A line each."""
    return [
        f"hyperparameter {name} = {value:g}: declared by the program, not given"
        for name, value in sorted(assumed.items())
    ]


def _evaluation(draft: Draft, outcomes: Sequence[Trained | Failed], tier: str, metric: str) -> Evaluation:
    scores = tuple(outcome.score for outcome in outcomes if isinstance(outcome, Trained))
    failures = [outcome.reason for outcome in outcomes if isinstance(outcome, Failed)]
    evaluation = Evaluation(
        program=draft.program.id,
        status="failed" if failures else "trained",
        score=None,
        reason=failures[0] if failures else None,
        seconds=sum(outcome.seconds for outcome in outcomes),
        cpu_seconds=sum(outcome.cpu_seconds for outcome in outcomes),
        params=draft.params,
        tier=tier,
        scores=scores,
        metric=metric,
    )
    if failures:
        return evaluation
    named = [dict(outcome.further) for outcome in outcomes if isinstance(outcome, Trained)]
    further = {name: fmean(figures[name] for figures in named) for name in named[0]}
    return replace(evaluation, score=fmean(scores), standard_error=standard_error(scores), further=further)


def _drafts(programs: Sequence[Program | Refused]) -> list[Draft | Refused]:
    return [Draft(program) if isinstance(program, Program) else program for program in programs]
