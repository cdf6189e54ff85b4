"""What every proposer does alike: see which edits are open to a slot, and turn an edit's text into a proposal."""

from __future__ import annotations

from typing import Literal

from deltanas.errors import EditError
from deltanas.journal import Call
from deltanas.program import Program, Refused, SpaceEdit, Stage, apply_edit, edits_of
from deltanas.program.edit_formats import hunks_of
from deltanas.seams import Ask, Proposal

Edits = Literal["architecture", "recipe", "both"]
"""Which edits a proposer may make: of the network, of the way it is trained, or of either."""


def open_edits(ask: Ask, edits: Edits) -> list[SpaceEdit]:
    """The simple edits of the parent, without those that were tried on it before.

    Tried is what was proposed for this slot, and what the journal has of the same parent: refused or kept. An edit that
    passed, but came after the one that was kept, may be drawn again.
    """
    tried = {attempt.edit for attempt in ask.earlier} | ask.journal.tried(ask.parent.id)
    space = edits_of(ask.parent.net)
    return [edit for edit in space if edits in ("both", edit.scope) and edit.text not in tried]


def made(parent: Program, edit: SpaceEdit) -> Program:
    """What an edit of the parent's space makes of it."""
    return parent.edited("net", apply_edit(parent.net, edit.text).source)


def proposal_of(ask: Ask, edit: str, goal: str = "", calls: tuple[Call, ...] = (), kind: str = "") -> Proposal:
    """The proposal that `edit` makes of the parent; one that can't be read, or does not apply, is refused."""
    try:
        applied = apply_edit(ask.parent.net, edit)
    except EditError as error:
        stage: Stage = "apply" if error.edit and _is_whole(edit) else "parse"
        return Proposal(None, edit, None, goal, Refused(stage, str(error)), calls, kind)
    return Proposal(ask.parent.edited("net", applied.source), edit, applied.rung, goal, None, calls, kind)


def _is_whole(edit: str) -> bool:
    """Whether it holds hunks or blocks, none of them cut short or without one of its marks."""
    try:
        return bool(hunks_of(edit))
    except EditError:
        return False


def exhausted(goal: str = "") -> Proposal:
    """The answer where no simple edit is left to propose."""
    return Proposal(None, "", None, goal, Refused("apply", "no simple edit of this program is left to try"))
