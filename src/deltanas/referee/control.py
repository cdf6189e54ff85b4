"""The control that nobody asks for: beside some slots an edit of the same parent is drawn by chance and trained."""

from __future__ import annotations

import secrets
from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING

from deltanas.askers import CONTROL
from deltanas.plan import Plan
from deltanas.records import Lease
from deltanas.referee.standing import Place, Standing, moment_after

if TYPE_CHECKING:
    from deltanas.referee.court import Referee


def is_due(plan: Plan, place: Place, share: float) -> bool:
    """Is this slot one of those that have a control? They are spread evenly over the run."""
    number = (place[0] - 1) * plan.candidates + place[1]
    return floor((number + 1) * share) > floor(number * share)


def draw_beside(referee: Referee, place: Place) -> None:
    """Fill the control's slot of a slot that was told, once.

    It has the cycle of that slot, and an index behind those that are given out; its chance comes from its place.
    """
    if not is_due(referee.plan, place, referee.rules.settings.control):
        return
    bench, own = referee.bench(), (place[0], referee.plan.candidates + place[1])
    if bench.control is None:
        return
    with referee.reading() as run:
        now = Standing(run, referee.plan)
    if own in now.rows:
        return
    lease = Lease(*own, CONTROL, secrets.token_hex(8), now.leases[place].parent, moment_after(0))
    (proposal,) = bench.control.propose([referee.ask_of(now, lease)])
    with referee.writing() as run:
        now = Standing(run, referee.plan)
        if own not in now.rows:
            run.ledger.lease(lease)
            run.open([bench.filled(now, referee.ask_of(now, lease), replace(proposal, note=""), "random")])
    referee.train(own)
