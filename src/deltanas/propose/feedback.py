"""A frozen model in two roles that remembers the last trials: one suggests a change, the other writes it.

The weights never change: what is learnt stands in the prompt, in a window of the last K trials. A trial is a triple
(problem, suggestion, outcome), and failures are trials too. The window is read off the journal, so a resumed run has
the same; every field is cut to a length, so the prompt does not grow with the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import Field

from deltanas.llm import Model, Reply, Request
from deltanas.program import Failed, Refused, SpaceEdit, Trained
from deltanas.propose.asking import LONGEST_REPLY, Asking, ModelProposer, Question, unusable
from deltanas.propose.delta import edit_question, written_edit
from deltanas.propose.edits import exhausted
from deltanas.propose.full import LONGEST, written_program
from deltanas.propose.goals import facts
from deltanas.propose.prompt import purpose, render
from deltanas.propose.space import Space
from deltanas.propose.strategy import Context, Strategy
from deltanas.records import Attempt, Call, Candidate
from deltanas.seams import Ask, Proposal
from deltanas.settings import Section
from deltanas.task import Metric

Form = Literal["delta", "full"]
"""What is written: an edit, at one of the levels of decoding, or the whole program."""

FIELD = 160
"""Characters of a problem, a suggestion and an outcome, at most."""
KINDS, EACH = 3, 3
"""Kinds of edits that are drawn for a slot, and edits of each: a suggestion shall find one that fits it."""

ADVICE = rf"""start: "Problem: " LINE "\nSuggestion: " LINE
LINE: /[A-Z][ -~]{{8,{FIELD - 2}}}[!-~]/
"""
_SAID = re.compile(r"^\W*(problem|suggestion)\W*:\W*(.+)$", re.IGNORECASE | re.MULTILINE)


class FeedbackSettings(Section):
    """How strategy `feedback` remembers and what it writes."""

    window: int = Field(5, ge=0, description="with feedback: number of last trials in the prompt")
    form: Form = Field("delta", description="with feedback: the model writes delta (an edit) | full (a whole program)")


@dataclass(frozen=True, slots=True)
class Trial:
    """A problem, a suggestion and its outcome, each of at most `FIELD` characters."""

    problem: str
    suggestion: str
    outcome: str


class FeedbackProposer(ModelProposer):
    """Asks the model twice for a slot: as prompt improver for a suggestion, as code generator for what it suggests.

    Edits that were tried on the same parent before are not offered again. A program that was there before is refused
    by the novelty gate whatever wrote it, and the refusal enters the window.
    """

    strategy = "feedback"

    def __init__(
        self, model: Model, space: Space, settings: FeedbackSettings | None = None, asking: Asking | None = None
    ) -> None:
        """settings: a window of 0 takes the prompt improver's memory away."""
        settings = settings or FeedbackSettings()
        self._space, self._window, self._form = space, settings.window, settings.form
        self.longest_reply = _longest(settings)
        super().__init__(model, asking)
        self._decoding = self.asking.decoding

    def questions(self, asks: Sequence[Ask]) -> list[Question | Proposal]:
        offers = self._offers(asks)
        advised = [self._improver(ask, edits) for ask, edits in zip(asks, offers, strict=True)]
        replies = iter(self._replies([one for one in advised if isinstance(one, Request)]))
        return [
            self._question(ask, edits, next(replies)) if isinstance(one, Request) else one
            for ask, edits, one in zip(asks, offers, advised, strict=True)
        ]

    def answer(self, question: Question, reply: Reply, calls: tuple[Call, ...]) -> Proposal:
        return (written_program if self._form == "full" else written_edit)(question, reply, calls)

    def _offers(self, asks: Sequence[Ask]) -> list[tuple[SpaceEdit, ...]]:
        """Edits of up to `KINDS` kinds for each slot, with a screen the best; none was tried on its parent before."""
        if self._space.screen:
            return self._space.mixed(asks, KINDS * EACH)
        offers: list[dict[str, SpaceEdit]] = [{} for _ in asks]
        for number in range(KINDS):
            drawn = self._space.offer([replace(ask, key=f"{ask.key}:{number}") for ask in asks], EACH)
            for offer, edits in zip(offers, drawn, strict=True):
                offer.update((edit.text, edit) for edit in edits)
        return [tuple(offer.values()) for offer in offers]

    def _improver(self, ask: Ask, edits: Sequence[SpaceEdit]) -> Request | Proposal:
        if self._form == "delta" and self._decoding == "typed" and not edits:
            return exhausted(part=ask.part)
        messages = render(
            "advice",
            ask.part,
            source=ask.text.removesuffix("\n"),
            trials=window(ask, self._window),
            facts=facts("", ask.telemetry),
            purpose=purpose(ask.telemetry.metric),
            kinds=sorted({edit.kind for edit in edits}),
        )
        length = self._model.count(messages)
        if length > self._max_prompt:
            reason = f"the prompt has {length} tokens, {self._max_prompt} are allowed"
            return Proposal(None, "", None, "", Refused("apply", reason))
        question = Question(ask, "", "advice", grammar=ADVICE)
        return replace(self._request(question, messages), key=f"{ask.key}:advice")

    def _question(self, ask: Ask, edits: Sequence[SpaceEdit], reply: Reply) -> Question | Proposal:
        calls = (self._on_record(reply),)
        _, suggestion = advice(reply.text)
        refusal = unusable(reply)
        if refusal is None and not suggestion:
            refusal = Refused("parse", "the advice holds not one line `Suggestion: ...`")
        if refusal:
            return Proposal(None, reply.text, None, "", refusal, calls, note=reply.text)
        ask = replace(ask, earlier=())  # what was refused stands in the window
        if self._form == "full":
            return Question(ask, suggestion, "full", calls=calls, note=reply.text)
        asked = edit_question(ask, suggestion, edits, self._decoding, KINDS * EACH)
        return replace(asked, calls=calls, note=reply.text)


def advice(reply: str) -> tuple[str, str]:
    """The problem and the suggestion in a reply of the prompt improver; "" for what it does not say, or says twice."""
    said: dict[str, set[str]] = {"problem": set(), "suggestion": set()}
    for match in _SAID.finditer(reply):
        said[match[1].lower()].add(cut(match[2]))
    problem, suggestion = (one.pop() if len(one) == 1 else "" for one in said.values())
    return problem, suggestion


def cut(text: str) -> str:
    """On one line, of `FIELD` characters at most."""
    line = " ".join(text.split())
    return line if len(line) <= FIELD else f"{line[: FIELD - 3]}..."


def window(ask: Ask, most: int) -> list[Trial]:
    """The last trials before this ask, oldest first: those of earlier cycles, then of the slot's own rounds."""
    found: list[Trial] = []
    for trial in _backwards(ask):
        if len(found) == most:
            break
        found.append(trial)
    return found[::-1]


def _backwards(ask: Ask) -> Iterator[Trial]:
    for attempt in reversed(ask.earlier):
        yield from _trial(attempt, None, None, ask.journal.metric)
    for candidate in reversed(ask.journal):
        held = ask.journal.of(candidate.parent or "")
        parent = held.at(candidate.rung) if held else None
        for attempt in reversed(candidate.attempts):
            yield from _trial(attempt, candidate, parent.score if parent else None, ask.journal.metric)


def _trial(attempt: Attempt, candidate: Candidate | None, before: float | None, metric: Metric) -> Iterator[Trial]:
    """The trial of an attempt that was refused, or whose program was trained; none for one without advice.

    before: the parent's score, where it is known.
    """
    problem, suggestion = advice(attempt.note)
    if not suggestion:
        return
    if attempt.refusal:
        yield Trial(problem, suggestion, cut(f"refused ({attempt.refusal.stage}): {attempt.refusal.reason}"))
    elif candidate is not None and candidate.kept is attempt:
        match candidate.outcome:
            case Trained(score=score):
                gain = "" if before is None else f", {metric.moved(metric.over(score, before))}"
                yield Trial(problem, suggestion, f"{metric.said(score)}{gain}")
            case Failed(kind=kind, reason=reason):
                yield Trial(problem, suggestion, cut(f"training failed ({kind}): {reason}"))
            case Refused() | None:
                pass


def _built(context: Context) -> FeedbackProposer:
    settings = context.own(FeedbackSettings)
    typed = context.asking.decoding == "typed" and settings.form == "delta"
    space = Space(context.builds if typed else None, prior=context.prior, screen=context.screen)
    return FeedbackProposer(context.asked, space, settings, context.asking)


def _longest(settings: FeedbackSettings) -> int:
    return LONGEST if settings.form == "full" else LONGEST_REPLY


def _screens(context: Context) -> bool:
    return context.asking.decoding != "free" and context.own(FeedbackSettings).form == "delta"


FEEDBACK = Strategy(
    name="feedback",
    about="an edit or a whole program, for a suggestion of its own; its prompt tells the last trials",
    build=_built,
    settings=FeedbackSettings,
    calls=2,
    held=lambda _: True,
    longest_reply=lambda context: _longest(context.own(FeedbackSettings)),
    weighs=True,
    screens=_screens,
)
