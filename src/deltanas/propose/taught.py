"""The other way round: from an edit that was made to the question that it answers. What a model is tuned on."""

from __future__ import annotations

import re

from deltanas.errors import EditError
from deltanas.program import Composite, Refused, SpaceEdit, apply_edit, diff, edits_in
from deltanas.program.edits import places_of, split_lines
from deltanas.propose.asking import Question, Taught, with_reason
from deltanas.propose.goals import general_goal, goals
from deltanas.propose.grammar import END_OF_BLOCK, REASON, anchored_grammar, typed_grammar, written
from deltanas.seams import Ask

_QUOTED = 120
"""Characters of a line, or of a goal, that a reason repeats."""


def taught_choice(
    ask: Ask, edit: str, goal: str, *, general: bool = False, reason: bool = False, several: bool = False
) -> Taught | Refused:
    """As at level `typed`: the edit is one of the parent's space.

    general: no goal but that of every edit is asked. reason: the answer begins with `said_reason`. several: an edit
    that is none of the space is taught as one of several steps.
    """
    simple = simple_edit(ask, edit)
    if simple is None and several:
        simple = as_read(ask, diff(ask.text, apply_edit(ask.text, edit).source, context=1))
    if simple is None:
        return Refused("apply", "no simple edit of the program makes this change")
    grammar = typed_grammar((simple,))
    asked = general_goal(ask.part) if general else true_goal(ask, simple, goal)
    question = Question(ask, asked, "typed", offered=(simple,), grammar=grammar)
    return _reasoned(question, written(simple), simple.old, simple.new) if reason else (question, written(simple))


def taught_block(ask: Ask, edit: str, goal: str, *, anchored: bool, reason: bool = False) -> Taught | Refused:
    """As at levels `anchored` and `free`: one block, in place of lines that are named.

    reason: as in `taught_choice`.
    """
    source = ask.text
    found = one_block(source, apply_edit(source, edit).source)
    if found is None:
        return Refused("apply", "no block of whole lines that stand in one place makes this change")
    old, new = found
    grammar = anchored_grammar(source, old) if anchored else None
    asked = true_goal(ask, simple_edit(ask, edit), goal)
    answer = f"<<<<<<< SEARCH\n{old}\n=======\n{new}{END_OF_BLOCK}"
    question = Question(ask, asked, "blocks", old, grammar=grammar)
    return _reasoned(question, answer, *found) if reason else (question, answer)


def _reasoned(question: Question, answer: str, old: str, new: str) -> Taught:
    return with_reason(question), f"{REASON}{said_reason(question.goal, old, new)}\n{answer}"


def said_reason(goal: str, old: str, new: str) -> str:
    """What a model is taught to say before an edit: the goal, and what the edit changes. No edit has its reasons."""
    before, after = ([line.strip().rstrip(",") for line in text.split("\n")] for text in (old, new))
    gone, came = (
        next((line[:_QUOTED] for line in some if line and line not in others), "")
        for some, others in ((before, after), (after, before))
    )
    done = f"`{gone}` becomes `{came}`" if gone and came else f"`{came or gone}` {'comes' if came else 'goes'}"
    told = re.sub(r"[^ -~]", "?", f"{goal[:_QUOTED]} {done if gone or came else 'Two lines swap places'}.")
    return told[:1].upper() + told[1:]


def taught_program(ask: Ask, edit: str, goal: str) -> Taught:
    """As strategy `full` asks: the whole program."""
    source = apply_edit(ask.text, edit).source.removesuffix("\n")
    asked = true_goal(ask, simple_edit(ask, edit), goal)
    return Question(ask, asked, "full"), f"```python\n{source}\n```"


def simple_edit(ask: Ask, edit: str) -> SpaceEdit | None:
    """The edit of the slot's spaces that does what `edit` does. Raises EditError where that does not apply."""
    space = edits_in(ask.parent, ask.parts)
    made = apply_edit(ask.text, edit).source
    said = next((one for one in space if one.text == edit), None)
    return said or next((one for one in space if _makes(ask.text, one, made)), None)


def as_read(ask: Ask, text: str, kind: str = "") -> SpaceEdit:
    """An edit that is none of the space, by its text, a diff."""
    return Composite.read(text, kind, ask.parts[0], ask.part)


def _makes(source: str, edit: SpaceEdit, made: str) -> bool:
    try:
        return apply_edit(source, edit.text).source == made
    except EditError:
        return False


def true_goal(ask: Ask, edit: SpaceEdit | None, goal: str) -> str:
    """`goal`, if the edit fits it; else one that it fits, drawn. Of an edit that is none of the space's nothing else is
    known to be true than what any edit is asked to do.
    """
    if edit is None:
        known = any(goal == one.text for some in goals(ask.part).values() for one in some)
        return goal if known else general_goal(ask.part)
    fitting = [one.text for one in goals(ask.part).get(edit.kind, ()) if one.fits(edit)]
    if goal in fitting:
        return goal
    return ask.rng("goal").choice(fitting) if fitting else f"Change the {edit.kind}."


def one_block(source: str, made: str) -> tuple[str, str] | None:
    """The fewest whole lines of `source` that stand in one place of it alone, and the lines of `made` in their place.

    Each text of the second ends in a newline; there may be none. None where the two differ in line endings alone.
    """
    (old, _), (new, _) = split_lines(source), split_lines(made)
    start, end = 0, 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    low, high = start, len(old) - end
    if old == new:
        return None
    while low == high or len(places_of(old[low:high], old, "exact")) > 1:
        if low > 0:
            low -= 1
        elif high < len(old):
            high += 1
        else:
            return None
    added = new[low : len(new) - (len(old) - high)]
    return "\n".join(old[low:high]), "".join(f"{line}\n" for line in added)
