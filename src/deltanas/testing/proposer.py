"""What every `Proposer` holds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from deltanas.journal import Journal
from deltanas.program import Program, Refused, apply_edit
from deltanas.records import Attempt, Candidate, Draft
from deltanas.seams import Ask, Proposal, Proposer
from deltanas.testing.examples import BASE, BETTER, OTHER, TRAINED


class ProposerContract:
    """Fills slots: answers in the order of the asks, by the key of the ask and the journal alone.

    Attributes:
        avoids_tried: it proposes no edit that the journal, or an earlier round of the slot, has of the same parent.
        whole_files: its `edit` may be something else than an edit of the parent, such as a whole program.
    """

    avoids_tried = True
    whole_files = False

    def proposer(self) -> Proposer:
        """A new one, equal to all others that this gives."""
        raise NotImplementedError("say how the proposer is made")

    def parents(self) -> Sequence[Program]:
        """Two baselines or more that it can edit."""
        return BASE, OTHER

    def test_it_has_a_name_and_a_size_of_batch(self) -> None:
        one, other = self.proposer(), self.proposer()
        assert one.strategy, "`strategy` is the name that the journal keeps"
        assert one.strategy == other.strategy, "two proposers have two names"
        assert one.batch >= 1, "`batch` is a number of slots"

    def test_no_ask_is_no_answer(self) -> None:
        assert list(self.proposer().propose([])) == [], "nothing was asked"

    def test_answers_come_in_the_order_of_the_asks(self) -> None:
        first, second = self.parents()[:2]
        for parents in ([first], [second, first, second], [second, second, second, first, first]):
            asks = self._asks(parents)
            answers = self.proposer().propose(asks)
            assert len(answers) == len(asks), f"{len(asks)} asks have {len(answers)} answers"
            for ask, answer in zip(asks, answers, strict=True):
                if answer.program is not None:
                    assert answer.program.parent == ask.parent.id, f"the answer to {ask.index} edits another parent"

    def test_an_answer_is_a_program_or_a_refusal(self) -> None:
        for answer in self._answers():
            assert (answer.program is None) != (answer.refusal is None), "a program or a reason, never both or neither"
            if answer.refusal is not None:
                assert answer.refusal.stage in ("parse", "apply"), f"stage {answer.refusal.stage!r} is for gates"
                assert answer.refusal.reason, "a refusal says why"

    def test_some_answer_is_a_program(self) -> None:
        assert any(answer.program for answer in self._answers()), "all asks were refused: there is nothing to check"

    def test_the_edit_makes_the_program(self) -> None:
        for ask, answer in zip(self._all_asks(), self._answers(), strict=True):
            if answer.program is None:
                continue
            assert answer.edit, "the journal keeps what was proposed"
            if not self.whole_files:
                made = apply_edit(ask.parent.editable(answer.part), answer.edit)
                edited = ask.parent.edited(answer.part, made.source)
                assert edited == answer.program, "its edit makes another program of the parent"
                assert made.rung == answer.rung, f"the edit applies at rung {made.rung}, not {answer.rung}"

    def test_equal_asks_have_equal_answers(self) -> None:
        state = random.getstate()
        try:
            answers = []
            for seed in (1, 2):
                random.seed(seed)
                answers.append([_timeless(answer) for answer in self._answers()])
        finally:
            random.setstate(state)
        assert answers[0] == answers[1], "chance comes from `ask.rng` alone"

    def test_asks_and_journal_stay_as_they_were(self) -> None:
        state = random.getstate()
        asks = self._all_asks()
        before = [(repr(ask), list(ask.journal)) for ask in asks]
        self.proposer().propose(asks)
        assert [(repr(ask), list(ask.journal)) for ask in asks] == before, "asks and journal are only read"
        assert random.getstate() == state, "chance comes from `ask.rng`, not from the module `random`"

    def test_what_the_journal_has_is_not_proposed_again(self) -> None:
        if not self.avoids_tried:
            return
        asks, journal = self._all_asks(), self._journal()
        answers = self._answers()
        tried = {(ask.parent.id, answer.edit) for ask, answer in zip(asks, answers, strict=True) if answer.program}
        for ask, answer in zip(asks, answers, strict=True):
            journal.open([_refused(ask, answer)])
        later = [replace(ask, cycle=2, key=ask.key.replace("0:1:", "0:2:"), journal=journal) for ask in asks]
        for ask, answer in zip(later, self.proposer().propose(later), strict=True):
            again = answer.program is not None and (ask.parent.id, answer.edit) in tried
            assert not again, f"it was refused for this parent before: {answer.edit}"

    def test_what_an_earlier_round_had_is_not_proposed_again(self) -> None:
        if not self.avoids_tried:
            return
        (ask,) = self._asks([self.parents()[0]])
        edits: set[str] = set()
        for _ in range(3):
            (answer,) = self.proposer().propose([ask])
            if answer.program is not None:
                assert answer.edit not in edits, f"it was refused for this slot before: {answer.edit}"
                edits.add(answer.edit)
            ask = ask.again((*ask.earlier, *_refused(ask, answer).attempts))
        assert edits, "all rounds were refused: there is nothing to check"

    def _answers(self) -> list[Proposal]:
        return self.proposer().propose(self._all_asks())

    def _all_asks(self) -> list[Ask]:
        first, second = self.parents()[:2]
        return self._asks([first, second, first])

    def _asks(self, parents: Sequence[Program]) -> list[Ask]:
        journal = self._journal()
        return [
            Ask(1, place, 0, f"0:1:{place}:0", parent, telemetry=journal.telemetry(parent), journal=journal)
            for place, parent in enumerate(parents)
        ]

    def _journal(self) -> Journal:
        scores = (TRAINED, BETTER)
        return Journal(
            Candidate(0, place, "baseline", None, Draft(parent, 1000, 2000), (), score, (score,), name=f"b{place}")
            for place, (parent, score) in enumerate(zip(self.parents(), scores, strict=False))
        )


def _timeless(answer: Proposal) -> Proposal:
    return replace(answer, calls=tuple(replace(call, seconds=0.0) for call in answer.calls))


def _refused(ask: Ask, answer: Proposal) -> Candidate:
    refusal = answer.refusal or Refused("build", "not this one")
    attempt: Attempt = answer.judged(None, refusal, len(ask.earlier))
    draft = Draft(answer.program) if answer.program else None
    return Candidate(ask.cycle, ask.index, "any", ask.parent.id, draft, (attempt,), refusal)
