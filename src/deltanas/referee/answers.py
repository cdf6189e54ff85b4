"""What is answered to a teller, from what the journal and the ledger hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, hypot

from deltanas.archive import RunArchive
from deltanas.gains import Compared, compared, measured_candidate
from deltanas.program import Failed, Refused, Trained
from deltanas.propose import OutsideSettings
from deltanas.records import Candidate, Duel
from deltanas.referee.evidence import Trial, share
from deltanas.referee.standing import Spent, Standing
from deltanas.referee.verdict import (
    Verdict,
    cost_of,
    differences,
    noise_interval,
    noise_of,
    probability,
    seeds_of,
    trial_of,
)
from deltanas.task import Task

ENDS = {
    "hopeless": "its pairs speak against a gain, and the test ended",
    "spent": "the test ended undecided: it had all the pairs that `outside.pairs` allows",
    "overtaken": "another candidate became champion while it was tested: it is tested again by telling it again",
    "failed": "a training of a pair failed, and the test ended: another begins by telling it again",
}
"""How a test can end without a verdict."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What an answer goes by."""

    task: Task
    settings: OutsideSettings


def over_budget(settings: OutsideSettings, spent: Spent, more: int, *, tells: bool = True) -> str:
    """Why an asker gets nothing more; "" where it does.

    more: number of trainings that are wanted. tells: they are for another candidate, not for a test of one.
    """
    if tells and settings.candidates is not None and spent.candidates >= settings.candidates:
        return f"over budget: {spent.candidates} of {settings.candidates} candidates were told"
    if settings.trainings is not None and spent.trainings + more > settings.trainings:
        wanted = f", and {more} more are wanted" if more > 1 else ""
        return f"over budget: {spent.trainings} of {settings.trainings} trainings are spent{wanted}"
    if settings.seconds is not None and spent.seconds >= settings.seconds:
        return f"over budget: {spent.seconds:.0f} of {settings.seconds:g} seconds of training are spent"
    return ""


def noise_at(rules: Rules, run: RunArchive, now: Standing) -> float:
    """Standard deviation of one training, as the run knows it."""
    champion = now.champion
    found = measured_candidate(rules.task, run.candidate(champion.cycle, champion.index))
    assert found is not None, "a champion has a score"
    return noise_of(rules.task.metric, found, now.journal.noise, now.duels)


def answer(rules: Rules, run: RunArchive, now: Standing, slot: str, row: Candidate | None) -> Verdict:
    """row: with the scores of its images; None: nothing was told yet."""
    nothing = Verdict(slot, "open", None, None, None, None, None, "not shown", "", champion=now.champion.label)
    if row is None:
        return replace(nothing, reason="nothing was told yet")
    match row.outcome:
        case None:
            return replace(nothing, reason="it is being trained, or was cut off; tell it again for the answer")
        case Refused(stage, reason):
            same = stage == "novelty"
            said = f"{stage}: {reason}" if not same else reason
            return replace(nothing, status="refused", verdict="same" if same else "refused", reason=said)
        case Failed(kind, reason):
            return replace(
                nothing, status="failed", verdict="refused", reason=f"its training failed ({kind}): {reason}"
            )
        case Trained():
            return _trained(rules, run, now, replace(nothing, status="trained", accuracy=row.score), row)


def _trained(rules: Rules, run: RunArchive, now: Standing, base: Verdict, row: Candidate) -> Verdict:
    metric = rules.task.metric
    parent = now.journal.of(row.parent or "")
    held = measured_candidate(rules.task, run.candidate(parent.cycle, parent.index)) if parent else None
    child = measured_candidate(rules.task, row)
    found = compared(metric, child, held) if child and held else None
    if child is None or held is None or found is None:
        return replace(base, reason="its parent has no score to compare with")
    noise = noise_at(rules, run, now)
    duels = now.duels_of((row.cycle, row.index))
    last = duels[-1] if duels else None
    seeds = seeds_of(last, metric) if last and last.rival == row.parent else None
    trainings = min(len(child.scores), len(held.scores))
    around = noise_interval(found.gain.value, noise, trainings)
    base = replace(
        base,
        gain=found.gain.value,
        low=found.gain.low,
        high=found.gain.high,
        better=probability(found, noise, trainings, seeds),
        noise_low=around.low,
        noise_high=around.high,
        seeds=seeds,
    )
    return _said(rules, now, base, row, _Figures(found, noise, last))


@dataclass(frozen=True, slots=True)
class _Figures:
    found: Compared
    noise: float
    duel: Duel | None


def _said(rules: Rules, now: Standing, base: Verdict, row: Candidate, known: _Figures) -> Verdict:
    metric, most, duel = rules.task.metric, rules.settings.pairs, known.duel
    if duel and duel.verdict == "better":
        pairs = len(duel.pairs)
        return replace(
            base, verdict="better", reason=f"better than the champion of its time: {_odds(duel, rules)}, {pairs} pairs"
        )
    if duel and duel.verdict == "worse":
        return replace(
            base, verdict="worse", reason=f"worse than the champion: {len(duel.pairs)} pairs of trainings say so"
        )
    if duel and duel.verdict:
        return replace(base, reason=f"{ENDS[duel.verdict]} ({len(duel.pairs)} pairs, {_odds(duel, rules)})")
    if base.gain is not None and base.high is not None and base.noise_high is not None:
        top = base.gain + hypot(base.high - base.gain, base.noise_high - base.gain)
        if top < 0:
            return replace(base, verdict="worse", reason="it lost more than other images and other seeds explain")
    if not duel and not seems_better(row, now):
        return replace(base, reason="it scored no higher than the champion, and only what does is tested")
    error = share(now.error_left(), now.unsettled() + 1)
    trial = trial_of(duel, metric, most) if duel else Trial(known.noise, error, most)
    gains = differences(duel, metric) if duel else []
    gain = sum(gains) / len(gains) if gains else known.found.gain.value
    cost = cost_of(gain, known.noise, trial, most)
    if cost is None:
        return replace(
            base, reason=f"{2 * most} trainings (`outside.pairs` = {most}) would hardly show that it is better"
        )
    return replace(
        base, cost=cost, reason=f"about {cost} more trainings would show it, if the gain is what it seems (settle)"
    )


def seems_better(row: Candidate, now: Standing) -> bool:
    """Did it score higher than the champion? What did not is not tested."""
    if row.score is None or now.champion.score is None:
        return False
    return now.plan.metric.over(row.score, now.champion.score) > 0


def _odds(duel: Duel, rules: Rules) -> str:
    trial = trial_of(duel, rules.task.metric, rules.settings.pairs)
    return f"evidence {exp(min(trial.evidence, 700)):,.3g} of {1 / duel.error:,.0f} that are needed"
