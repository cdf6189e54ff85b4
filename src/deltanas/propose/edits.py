"""What every proposer does alike: see which edits are open to a slot, and turn an edit's text into a proposal."""

from __future__ import annotations

from dataclasses import replace

from deltanas.errors import EditError
from deltanas.program import Part, Refused, SpaceEdit, Stage, apply_edit, edits_in, text_of
from deltanas.program.edit_formats import hunks_of
from deltanas.records import NONE_LEFT, Call
from deltanas.seams import Ask, Proposal


def open_edits(ask: Ask) -> list[SpaceEdit]:
    """The simple edits of the parent, without those that were tried on it before."""
    tried = tried_before(ask)
    return [edit for edit in edits_in(ask.parent, ask.parts) if edit.text not in tried]


def tried_before(ask: Ask) -> set[str]:
    """What was proposed for this slot, what other slots of its batch keep, and what the journal has of the same parent.

    That is what was refused or kept. An edit that passed, but came after the one that was kept, may be drawn again.
    """
    kept = [row.kept for row in ask.beside if row.parent == ask.parent.id]
    beside = {one.edit for one in kept if one and text_of(one.part) == ask.part}
    return {attempt.edit for attempt in ask.earlier} | beside | ask.journal.tried(ask.parent.id, ask.part)


def drawn_proposal(ask: Ask, edit: SpaceEdit | None, goal: str = "", calls: tuple[Call, ...] = ()) -> Proposal:
    """The proposal of an edit that was drawn; None: none was left."""
    if edit is None:
        return exhausted(goal, ask.part)
    return replace(proposal_of(ask, edit.text, goal, calls, edit.kind), steps=len(edit.steps))


def proposal_of(ask: Ask, edit: str, goal: str = "", calls: tuple[Call, ...] = (), kind: str = "") -> Proposal:
    """The proposal that `edit` makes of the parent; one that can't be read, or does not apply, is refused."""
    try:
        applied = apply_edit(ask.text, edit)
    except EditError as error:
        stage: Stage = "apply" if error.edit and _is_whole(edit) else "parse"
        return Proposal(None, edit, None, goal, Refused(stage, str(error)), calls, kind, part=ask.part)
    program = ask.parent.edited(ask.part, applied.source)
    return Proposal(program, edit, applied.rung, goal, None, calls, kind, part=ask.part)


def _is_whole(edit: str) -> bool:
    """Whether it holds hunks or blocks, none of them cut short or without one of its marks."""
    try:
        return bool(hunks_of(edit))
    except EditError:
        return False


def exhausted(goal: str = "", part: Part = "net") -> Proposal:
    """The answer where no simple edit of the part is left to propose."""
    return Proposal(None, "", None, goal, Refused("apply", NONE_LEFT), part=part)
