"""A run as the arrays that the diagnostics read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np

from deltanas.journal import families
from deltanas.program import Program, Refused, Trained
from deltanas.program.shingles import fingerprint
from deltanas.records import Attempt, Candidate, RunView
from deltanas.study.convergence import Convergence, convergence
from deltanas.study.estimate import Absent, tried
from deltanas.study.nll import TuningNll, elite_nll
from deltanas.study.novelty import Novelty, collapse, novelty
from deltanas.study.trials import Trials
from deltanas.task import Metric, task_of


@dataclass(frozen=True, slots=True)
class _Row:
    program: str = ""
    seed: str = ""
    proxy: float = nan
    cycle: float = nan
    elite: float = nan
    tokens: float = nan
    valid: float = nan
    generator: str = ""


def convergence_of(view: RunView, *, repeats: int = 1) -> Convergence:
    """The diagnostics of a run. repeats: number of trainings whose mean is the score."""
    return convergence(trials_of(view), repeats=repeats, tunings=_tunings(view), novelty=_novelty(view))


def convergence_of_imported(
    rows: Iterable[tuple[str, int, float | None, float | None]], sources: Mapping[str, str], *, repeats: int = 1
) -> Convergence:
    """The diagnostics of trainings that were made elsewhere.

    Args:
        rows: (program, seed, score after the short training, after the long one), a training each; None: not known.
        sources: text of each program, by name.
    """
    names, seeds, proxies, targets = zip(*rows, strict=True)
    trials = Trials(
        program=names,
        seed=tuple(map(str, seeds)),
        proxy=np.array([nan if score is None else score for score in proxies], float),
        target=np.array([nan if score is None else score for score in targets], float),
    )
    texts = [fingerprint(Program.of(sources[name])) for name in dict.fromkeys(names)]
    return convergence(trials, repeats=repeats, novelty=tried(lambda: novelty(texts)))


def trials_of(view: RunView) -> Trials:
    """A run as a table.

    A candidate has a row for each of its trainings, or one if it was never trained, and one for each answer of a
    language model. The elite set is fixed for all cycles: networks at least as good as the best baseline. Baselines
    are no candidates, so they have no cycle. There is no target: of trainings of several lengths the longest are taken.
    """
    metric = task_of(view.manifest).metric
    longest = max((c.rung for c in view.candidates), default=0)
    best = metric.best(c.score for c in view.candidates if c.cycle == 0 and c.score is not None)
    rows = [row for candidate in view.candidates for row in _rows(candidate, best, metric, longest)]
    return Trials(
        program=tuple(row.program for row in rows),
        seed=tuple(row.seed for row in rows),
        generator=tuple(row.generator for row in rows),
        proxy=np.array([row.proxy for row in rows], float),
        cycle=np.array([row.cycle for row in rows], float),
        elite=np.array([row.elite for row in rows], float),
        tokens=np.array([row.tokens for row in rows], float),
        valid=np.array([row.valid for row in rows], float),
    )


def _rows(candidate: Candidate, best: float | None, metric: Metric, longest: int) -> Iterator[_Row]:
    cycle = nan if candidate.cycle == 0 else float(candidate.cycle)
    settled = candidate.cycle > 0 and candidate.outcome is not None
    score = candidate.score if candidate.rung == longest else None
    elite = float(score is not None and metric.over(score, best) >= 0) if settled and best is not None else nan
    program = candidate.program.id if candidate.program else ""
    made = [training for training in candidate.trainings if isinstance(training, Trained)]
    trained = [training for training in made if training.epochs == longest]
    for training in trained:
        yield _Row(program, str(training.seed), training.score, cycle, elite, generator=candidate.strategy)
    if not trained and settled:
        yield _Row(program, cycle=cycle, elite=elite, generator=candidate.strategy)
    for attempt in candidate.attempts:
        if attempt.calls:
            length = sum(call.reply_tokens for call in attempt.calls)
            yield _Row(tokens=length or nan, valid=_valid(attempt), generator=candidate.strategy)


def _valid(attempt: Attempt) -> float:
    """A program that is known already is a valid one."""
    return float(attempt.passed or (attempt.refusal is not None and attempt.refusal.stage == "novelty"))


def _tunings(view: RunView) -> tuple[TuningNll, ...]:
    """For each tuning the elites learned from and those held out, if there are enough for an interval."""
    found = []
    for adapter in view.adapters:
        for held_out in (False, True):
            rows = [row for row in adapter.likelihoods if row.held_out == held_out]
            columns = ([row.before for row in rows], [row.after for row in rows], [row.tokens for row in rows])
            if len(rows) >= 3:
                found.append(TuningNll(adapter.cycle, held_out, elite_nll(*columns)))
    return tuple(found)


def _novelty(view: RunView) -> Novelty | Absent:
    programs, columns = _kept(view.candidates)
    threshold = _threshold(view.manifest)
    return tried(lambda: novelty([fingerprint(program) for program in programs], threshold=threshold, **columns))


def collapse_so_far(candidates: Sequence[Candidate]) -> str | None:
    """An early sign that a search comes back to few families, or to what it has: in words, None where there is none."""
    return collapse(**_kept(candidates)[1])


def _kept(candidates: Sequence[Candidate]) -> tuple[list[Program], dict[str, Any]]:
    """The programs that the run holds, and the columns that `novelty` reads of them and of all proposals."""
    kept = [(c.cycle, c.program) for c in candidates if c.program and not isinstance(c.outcome, Refused)]
    proposals = [(c.cycle, a) for c in candidates if c.cycle for a in c.attempts if _valid(a)]
    roots = families(candidates)
    return [program for _, program in kept], {
        "cycle": [cycle or nan for cycle, _ in kept],
        "family": [" + ".join(root.label for root in roots[program.id]) for _, program in kept],
        "proposal_cycle": [float(cycle) for cycle, _ in proposals],
        "repeat": [float(not attempt.passed) for _, attempt in proposals],
    }


def _threshold(manifest: Mapping[str, object]) -> float:
    """What the novelty gate of the run promised."""
    match manifest.get("config"):
        case {"novelty": {"threshold": float() | int() as threshold}}:
            return float(threshold)
        case _:
            return 1.0
