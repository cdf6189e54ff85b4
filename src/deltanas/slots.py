"""How slots are filled: proposals are drawn, sent through the gates, and one of those that pass is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from deltanas.journal import Journal
from deltanas.program import Refused
from deltanas.records import Candidate, Draft
from deltanas.seams import Ask, Choice, Choose, Forecast, Gate, Proposal, Proposer, judged


@dataclass(frozen=True, slots=True)
class Tried:
    """A proposal with the verdicts on it. checked: of the checks. verdict: of novelty too."""

    proposal: Proposal
    checked: Draft | Refused
    verdict: Draft | Refused

    @property
    def draft(self) -> Draft | None:
        """As far as the gates got with it."""
        return next((one for one in (self.verdict, self.checked) if isinstance(one, Draft)), None)


class Slots:
    """Fills slots.

    choose: weighs the proposals of a slot that pass all gates; None: the first is kept. forecast: foretells what each
    proposal gains; None: nothing is foretold.
    """

    def __init__(
        self,
        proposer: Proposer,
        checks: Sequence[Gate],
        novelty: Gate,
        choose: Choose | None = None,
        forecast: Forecast | None = None,
    ) -> None:
        self._proposer = proposer
        self._checks = checks
        self._novelty = novelty
        self._choose = choose
        self._forecast = forecast

    def filled(self, asks: Sequence[Ask], count: int, retries: int) -> list[Candidate]:
        """Draw `count` proposals for each slot; where none passed, draw again, up to `retries` times."""
        rows = {a.index: Candidate(a.cycle, a.index, self._proposer.strategy, a.parent.id, None) for a in asks}
        for number in range(1 + retries):
            drawn = [one for ask in asks for one in ask.several(count)]
            proposals = list(map(self._foretold, drawn, self._proposer.propose(drawn)))
            self._judge(rows, [ask.index for ask in drawn], proposals, number, {ask.index: ask for ask in asks})
            filled = tuple(row for row in rows.values() if row.kept)
            asks = [a.again(rows[a.index].attempts, filled) for a in asks if isinstance(rows[a.index].outcome, Refused)]
            if not asks:
                break
        return list(rows.values())

    def checked(self, rows: Sequence[Candidate], proposals: Sequence[Proposal]) -> list[Candidate]:
        """The rows, each with the one proposal that was made for it."""
        found = {row.index: row for row in rows}
        self._judge(found, [row.index for row in rows], proposals, 0, {})
        return list(found.values())

    def remember(self, drafts: Sequence[Draft]) -> None:
        """Take note of programs that the run holds."""
        for gate in (*self._checks, self._novelty):
            gate.remember(drafts)

    def told(self, journal: Journal) -> None:
        """Let the gates and the forecast hear what was measured."""
        for gate in (*self._checks, self._novelty):
            gate.told(journal)
        if self._forecast:
            self._forecast.told(journal)

    def _foretold(self, ask: Ask, proposal: Proposal) -> Proposal:
        """With what it is expected to gain, where that is known."""
        part = ask.parts[0] if len(ask.parts) == 1 else proposal.part
        if self._forecast is None or proposal.program is None or not self._forecast.knows(part):
            return proposal
        expected = self._forecast.of(ask.parent, proposal.program, part, proposal.kind)
        return replace(proposal, predicted=expected.mean)

    def _judge(
        self,
        rows: dict[int, Candidate],
        slots: Sequence[int],
        proposals: Sequence[Proposal],
        number: int,
        asks: Mapping[int, Ask],
    ) -> None:
        """Give each slot its proposals. All are checked together; what is new is seen one by one, in their order."""
        nothing = Refused("apply", "no program was proposed")
        drafts = [Draft(p.program) if p.program else p.refusal or nothing for p in proposals]
        checked = zip(slots, proposals, judged(drafts, self._checks), strict=True)
        for slot, those in groupby(checked, key=lambda one: one[0]):
            for tried in self._weighed(asks.get(slot), ((proposal, draft) for _, proposal, draft in those)):
                refusal = tried.verdict if isinstance(tried.verdict, Refused) else None
                program = tried.proposal.program
                asked = asks[slot].parts if slot in asks else (tried.proposal.part,)
                attempt = tried.proposal.judged(tried.draft, refusal, number, asked)
                rows[slot] = rows[slot].tried(attempt, tried.draft or (Draft(program) if program else None))

    def _weighed(self, ask: Ask | None, proposals: Iterable[tuple[Proposal, Draft | Refused]]) -> list[Tried]:
        """The proposals of one slot as novelty and choice leave them; what is kept is remembered at once."""
        found: list[Tried] = []
        passing: list[tuple[int, Draft]] = []
        for proposal, draft in proposals:
            (verdict,) = judged([draft], [self._novelty])
            if isinstance(verdict, Draft):
                passing.append((len(found), verdict))
                if len(passing) == 1 and self._choose is None:
                    self.remember([verdict])
            found.append(Tried(proposal, draft, verdict))
        if self._choose and passing:
            if ask and len(passing) > 1:
                choice = self._choose(ask, [(found[place].proposal, draft) for place, draft in passing])
                for number, (place, _) in enumerate(passing):
                    found[place] = _ranked(found[place], choice, number)
                passing = [passing[choice.place]]
            self.remember([passing[0][1]])
        return found


def _ranked(tried: Tried, choice: Choice, number: int) -> Tried:
    """The `number`th of the proposals that were weighed, after the choice; the chosen one has the calls on record."""
    if number == choice.place:
        return replace(tried, proposal=replace(tried.proposal, calls=(*tried.proposal.calls, *choice.calls)))
    return replace(tried, verdict=Refused("ranked", choice.reasons[number]))
