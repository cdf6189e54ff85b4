"""Widths by a language model: it is shown what widths a network has and how others did, and chooses the next.

All networks that descend from one baseline are told apart by their vector of widths alone, so what was measured of
any of them is told for all. The grammar holds a reply to widths that fit; the edit is made of edits of the space, so
each of these widths moves with all that depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from deltanas.errors import EditError
from deltanas.llm import Model, Reply
from deltanas.program import Failed, Outcome, Program, Refused, Trained, diff
from deltanas.propose.asking import Asking, ModelProposer, Question
from deltanas.propose.edits import proposal_of
from deltanas.propose.strategy import Strategy
from deltanas.propose.widths import Survey, read, surveys, told
from deltanas.records import Call, Candidate
from deltanas.seams import Ask, Builds, Proposal
from deltanas.task import Metric

MOST_AXES = 12
"""Widths that are shown, those that move most of the network."""
MOST_TOLD = 4
"""Number of vectors in a prompt: of the best, and of the last."""
_REASON = 80
"""Characters of a reason that are told."""


def goal(metric: Metric) -> str:
    """What the model is asked for."""
    raised = "raise" if metric.better == "higher" else "lower"
    return f"Choose widths that were not tried and that {raised} the {metric.name}."


@dataclass(frozen=True, slots=True)
class WidthQuestion(Question):
    """parent: what the edit is made of; the question's own ask has the baseline in its place."""

    parent: Program | None = None
    survey: Survey | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A baseline, and the journal of it and of all that descends from it, oldest first."""

    root: Program
    members: tuple[Candidate, ...]


class ChannelsProposer(ModelProposer):
    """Asks a language model for a vector of widths, given those that were tried with their score and cost."""

    strategy = "channels"

    def __init__(self, model: Model, builds: Builds | None, asking: Asking | None = None) -> None:
        """builds: shows which widths of a baseline are free; without, none is."""
        super().__init__(model, asking)
        self._builds = builds
        self._known: dict[str, Survey | None] = {}

    def questions(self, asks: Sequence[Ask]) -> list[Question | Proposal]:
        lines = [line_of(ask) for ask in asks]
        missing = list({line.root.id: line.root for line in lines if line.root.id not in self._known}.values())
        looked_at = surveys(missing, self._builds) if self._builds else [()] * len(missing)
        for root, found in zip(missing, looked_at, strict=True):
            best = max(found, key=lambda survey: len(survey.axes), default=None)
            self._known[root.id] = best and best.narrowed(MOST_AXES)
        return [self._question(ask, line, self._known[line.root.id]) for ask, line in zip(asks, lines, strict=True)]

    def answer(self, question: Question, reply: Reply, calls: tuple[Call, ...]) -> Proposal:
        assert isinstance(question, WidthQuestion)
        assert question.survey is not None
        assert question.parent is not None
        survey, vector = question.survey, read(reply.text)
        refused = Proposal(None, reply.text, None, "", None, calls, "width", told(vector))
        if wrong := survey.misfit(vector):
            return replace(refused, refusal=Refused("parse", wrong))
        edit, made = survey.edit(vector), survey.made(vector)
        net = made.net if made else survey.program.net if vector == survey.value else None
        ask = replace(question.ask, parent=question.parent, parts=("net",))
        if net is None or net == ask.parent.net:
            reason = "these are the widths it has" if net else "the source admits no edit to these widths"
            return replace(refused, refusal=Refused("apply", reason))
        try:
            direct = edit.text if edit and ask.parent.net == survey.program.net else ""
            proposal = proposal_of(ask, direct or diff(ask.parent.net, net), "", calls, "width")
            return replace(proposal, note=refused.note)
        except EditError as error:
            return replace(refused, refusal=Refused("apply", str(error)))

    def _question(self, ask: Ask, line: Line, survey: Survey | None) -> Question | Proposal:
        if survey is None:
            return Proposal(None, "", None, "", Refused("apply", "no width of this network is free to change"))
        metric = ask.journal.metric
        measured = rows(survey, line, metric)
        tried = {told(row.vector) for row in measured} | {told(survey.value)}
        tried |= {attempt.note for attempt in ask.earlier if not survey.misfit(read(attempt.note))}
        if len(tried) >= survey.size:
            return Proposal(None, "", None, "", Refused("apply", "all widths of this network were tried"))
        return WidthQuestion(
            replace(ask, parent=line.root),
            goal(metric),
            "channels",
            described(survey, measured, metric),
            grammar=vector_grammar(survey, sorted(tried)),
            parent=ask.parent,
            survey=survey,
        )


def line_of(ask: Ask) -> Line:
    """The baseline that the parent of a slot descends from, and all that does."""
    journal = ask.journal
    own = journal.of(ask.parent.id)
    if own is None:
        return Line(ask.parent, ())
    first = journal.lineage(own)[0]
    members, waiting = [first], [first]
    while waiting:
        born = [child for one in waiting if one.program for child in journal.children(one.program.id)]
        members += born
        waiting = [child for child in born if not isinstance(child.outcome, Refused)]
    members.sort(key=lambda member: (member.cycle, member.index))
    return Line(first.program or ask.parent, tuple(members))


@dataclass(frozen=True, slots=True)
class Row:
    """A vector that was tried, its outcome in a few words, and its score, None where it has none.

    rung: number of epochs of the training that the score is of.
    """

    vector: Mapping[str, int]
    result: str
    score: float | None
    rung: int = 0


def rows(survey: Survey, line: Line, metric: Metric) -> list[Row]:
    """What was tried of a baseline, itself first; a vector that was proposed and never trained was not."""
    found = []
    for candidate in line.members:
        if candidate.parent is None:
            found.append(_row(survey.value, candidate, candidate.outcome, metric))
        for attempt in candidate.attempts if candidate.parent else ():
            vector = read(attempt.note)
            if (attempt.refusal or attempt is candidate.kept) and vector.keys() == survey.value.keys():
                found.append(_row(vector, candidate, attempt.refusal or candidate.outcome, metric))
    return found


def _row(vector: Mapping[str, int], candidate: Candidate, outcome: Outcome | None, metric: Metric) -> Row:
    match outcome:
        case Trained(score=score, epochs=epochs):
            draft = candidate.draft
            size = f", {draft.params:,} parameters" if draft and draft.params is not None else ""
            cost = f", {draft.flops / 1e6:.2f} MFLOPs" if draft and draft.flops is not None else ""
            length = f" after {epochs} epoch{'s' * (epochs > 1)}" if epochs else ""
            return Row(vector, f"{metric.said(score)}{length}{size}{cost}", score, epochs)
        case Failed(kind=kind):
            return Row(vector, f"training failed ({kind})", None)
        case Refused(reason=reason):
            return Row(vector, f"refused: {' '.join(reason.split())[:_REASON]}", None)
        case None:
            return Row(vector, "not measured", None)


def described(survey: Survey, measured: Sequence[Row], metric: Metric) -> str:
    """The widths with their values, then the vectors that were tried, the best and the last, with their outcomes."""
    lines = [f"{axis.name} is {axis.value}, in line {axis.group.line}: {axis.group.text}" for axis in survey.axes]
    scored = [((-row.rung, metric.key(row.score)), row) for row in measured if row.score is not None]
    best = [row for _, row in sorted(scored, key=itemgetter(0))[:MOST_TOLD]]
    chosen = [row for row in measured if row in best or row in measured[-MOST_TOLD:]]
    tried = [f"{told(row.vector)}: {row.result}" for row in chosen]
    return "\n".join([*lines, *(["", "Tried so far:", *tried] if tried else [])])


def vector_grammar(survey: Survey, tried: Sequence[str]) -> str:
    """One line that names every width with a value that fits; none of the vectors that were tried."""
    choices = " ".join(f"{axis.name}=({'|'.join(map(str, axis.allowed))})" for axis in survey.axes)
    return f"start: VECTOR\nVECTOR: /{choices}/ & ~TRIED\nTRIED: /{'|'.join(tried)}/\n"


CHANNELS = Strategy(
    name="channels",
    about="other widths; its prompt tells the widths tried so far",
    build=lambda context: ChannelsProposer(context.asked, context.unlimited or context.builds, context.asking),
    calls=1,
    held=lambda _: True,
    only=("net",),
)
