"""A candidate is trained beside the champion, pair by pair, until it is known whether it is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltanas.archive import RunArchive
from deltanas.program import Program, Trained
from deltanas.records import Duel, Pair
from deltanas.referee.answers import noise_at, over_budget, seems_better
from deltanas.referee.evidence import share
from deltanas.referee.standing import Place, Standing, moment_after
from deltanas.referee.verdict import trial_of

if TYPE_CHECKING:
    from deltanas.referee.court import Referee


ENDED = "the run has ended, and its best were scored on the test images: its champion stays"
AGAIN = frozenset(("overtaken", "failed"))
"""Ends of a test after which a candidate that is told again gets another."""


@dataclass(frozen=True, slots=True)
class _Due:
    """A pair that is to be trained now: the candidate and the champion."""

    duel: Duel
    programs: tuple[Program, Program]


def settled(referee: Referee, place: Place) -> str:
    """Go on with the test of a candidate until it ends, or until its asker's budget does: "" or why not.

    One that scored no higher than the champion in its first training is not tested: the test is for what seems better.
    Each pair is journalled as it ends, so a test that was cut off goes on where it was. Its seed is known before it is
    trained: a pair that is cut off, or trained by two processes at once, is the same pair and counts once, so nobody
    picks the pairs that count. A pair of which a training fails is no evidence, and ends the test: whoever failed, it
    says nothing of a gain. Told again, the candidate gets another test, with an error of its own and nothing of the
    evidence: who fails where it loses gains nothing by it. Its trainings are spent all the same.
    """
    with referee.writing() as run:
        due = _due(referee, run, place)
    while isinstance(due, _Due):
        found = _trained(referee, due)
        with referee.writing() as run:
            held = run.ledger.duels()[due.duel.number]
            if held.verdict is None and held.due == due.duel.due:  # no other process trained it meanwhile
                if isinstance(found, float):
                    run.ledger.close(held.number, "failed", found)
                    return ""
                _add(referee, run, held.number, found)
            due = _due(referee, run, place)
    return due


def _due(referee: Referee, run: RunArchive, place: Place) -> _Due | str:
    """What the test wants next; a new test where there is none against this champion.

    "": nothing is due. Another text: the asker's budget does not give it, or the run has ended.
    """
    now = Standing(run, referee.plan)
    row, champion = now.rows[place], now.champion
    if not isinstance(row.outcome, Trained) or row.program is None or champion.program is None or row is champion:
        return ""
    last = next(reversed(now.duels_of(place)), None)
    goes_on = last is not None and last.verdict is None
    if not goes_on and ((last and last.verdict not in AGAIN) or not seems_better(row, now)):
        return ""
    if run.finished:
        return ENDED
    spent = now.spent(now.leases[place].asker, moment_after(0))
    if reason := over_budget(referee.rules.settings, spent, more=2, tells=False):
        return reason
    if last and goes_on:
        rival = now.journal.of(last.rival)
        return _Due(last, (row.program, rival.program)) if rival and rival.program else ""
    error, noise = share(now.error_left(), now.unsettled() + 1), noise_at(referee.rules, run, now)
    duel = Duel(len(now.duels), *place, champion.program.id, error, noise, referee.fresh())
    run.ledger.begin(duel)
    return _Due(duel, (row.program, champion.program))


def _trained(referee: Referee, due: _Due) -> Pair | float:
    """Both with one seed; where one of them failed the seconds that it took."""
    seed = due.duel.due
    made = dict(referee.bench().runner.train(due.programs, seed=seed))
    one, other = made[0], made[1]
    seconds = one.seconds + other.seconds
    if not isinstance(one, Trained) or not isinstance(other, Trained):
        return seconds
    return Pair(seed, one.score, other.score, seconds)


def _add(referee: Referee, run: RunArchive, number: int, pair: Pair) -> None:
    """One more pair, and the end of the test, if that is it. Better is who beats the champion of this moment."""
    run.ledger.add(number, pair)
    now = Standing(run, referee.plan)
    duel, champion = now.duels[number], now.champion.program
    state = trial_of(duel, referee.rules.task.metric, referee.rules.settings.pairs).state
    if champion is None or champion.id != duel.rival:
        run.ledger.close(number, "overtaken")
    elif state != "going":
        run.ledger.close(number, state)
