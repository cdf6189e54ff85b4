"""Whole programs by a language model, as most of the field has them written: the rival of edits."""

from __future__ import annotations

from collections.abc import Sequence

from deltanas.llm import Model, Reply
from deltanas.program import Refused
from deltanas.propose.asking import Asking, Question, Taught, TaughtProposer
from deltanas.propose.code_blocks import extracted, left_out
from deltanas.propose.goals import any_goal, drawn_goal
from deltanas.propose.space import Space
from deltanas.propose.strategy import Strategy
from deltanas.propose.taught import taught_program
from deltanas.records import Call
from deltanas.seams import Ask, Proposal

LONGEST = 1536
"""Tokens of a reply where the settings give no number."""
RUNG = "full"
"""Stands where an edit has the rung on which it applied: a whole file is never counted as an edit."""


class FullProposer(TaughtProposer):
    """Asks a language model for the whole of a new program, given the parent and a goal that fits it."""

    strategy = "full"
    longest_reply = LONGEST

    def __init__(self, model: Model, space: Space, asking: Asking | None = None) -> None:
        """space: where the goals come from, as they do for edits."""
        super().__init__(model, asking)
        self._space = space

    def questions(self, asks: Sequence[Ask]) -> list[Question | Proposal]:
        aimed = self._space.aimed(asks, 1, drawn_goal)
        return [Question(ask, goal or any_goal(ask), "full") for ask, (goal, _) in zip(asks, aimed, strict=True)]

    def answer(self, question: Question, reply: Reply, calls: tuple[Call, ...]) -> Proposal:
        return written_program(question, reply, calls)

    def taught(self, ask: Ask, edit: str, goal: str) -> Taught:
        return taught_program(ask, edit, goal)


def written_program(question: Question, reply: Reply, calls: tuple[Call, ...]) -> Proposal:
    """The whole program that a reply holds."""
    ask, goal = question.ask, question.goal
    source = extracted(reply.text)
    if source is None:
        refusal = Refused("parse", "the reply holds no program: no code block and no line that begins one")
    elif left := left_out(reply.text, source, ask.text):
        refusal = Refused("parse", left)
    elif source.rstrip() == ask.text.rstrip():
        refusal = Refused("apply", "the reply repeats the file; change what it computes")
    else:
        program = ask.parent.edited(ask.part, source)
        return Proposal(program, reply.text, RUNG, goal, None, calls, part=ask.part)
    return Proposal(None, reply.text, None, goal, refusal, calls, part=ask.part)


FULL = Strategy(
    name="full",
    about="the whole program; never counted as an edit",
    build=lambda context: FullProposer(context.asked, Space(None), context.asking),
    calls=1,
    longest_reply=lambda _: LONGEST,
    only=("net", "recipe", "transform"),
    taught=True,
)
