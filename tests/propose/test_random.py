"""The control: uniform over the simple edits, reproducible, and never the same edit again where one was refused."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace

import pytest

from deltanas.journal import Journal
from deltanas.nets import baselines
from deltanas.program import Part, Program, Refused, edits_of
from deltanas.propose import RandomProposer, Space
from deltanas.records import Attempt, Candidate
from deltanas.seams import Ask, Proposal

pytest_plugins = ["tiny_model"]


def ask(parent: Program, index: int = 0, earlier: tuple[Attempt, ...] = (), parts: tuple[Part, ...] = ("net",)) -> Ask:
    return Ask(1, index, len(earlier), f"0:1:{index}:{len(earlier)}", parent, earlier, parts)


def proposer() -> RandomProposer:
    return RandomProposer(Space(None))


def refused(proposal: Proposal) -> Attempt:
    return Attempt(proposal.edit, proposal.rung, proposal.goal, Refused("novelty", "seen"))


def test_every_proposal_is_one_edit_of_the_space(small: Program) -> None:
    kinds = {edit.text: edit.kind for edit in edits_of(small.net) if edit.part == "net"}
    proposals = proposer().propose([ask(small, index) for index in range(40)])
    for proposal in proposals:
        assert proposal.program is not None
        assert proposal.program.parent == small.id != proposal.program.id
        assert proposal.kind == kinds[proposal.edit]
        assert (proposal.rung, proposal.refusal, proposal.calls) == ("exact", None, ())
        ast.parse(proposal.program.net)


@pytest.mark.parametrize("parts", [("net",), ("recipe",), ("net", "recipe")], ids=",".join)
def test_only_edits_of_the_parts_that_were_asked_for(small: Program, parts: tuple[Part, ...]) -> None:
    known = {edit.text: edit.part for edit in edits_of(small.net)}
    drawn = {known[p.edit] for p in proposer().propose([ask(small, index, parts=parts) for index in range(60)])}
    assert drawn == set(parts)


def test_edits_are_drawn_uniformly(small: Program) -> None:
    space = [edit for edit in edits_of(small.net) if edit.part == "recipe"]
    n = 100 * len(space)
    counts = Counter(p.edit for p in proposer().propose([ask(small, index, parts=("recipe",)) for index in range(n)]))
    assert set(counts) == {edit.text for edit in space}
    # Chi-square with len(space) - 1 degrees of freedom: mean k, deviation sqrt(2 k). Five deviations are allowed.
    chi2 = sum((count - 100) ** 2 / 100 for count in counts.values())
    k = len(space) - 1
    assert chi2 < k + 5 * (2 * k) ** 0.5


def test_the_same_asks_give_the_same_proposals_and_none_twice(small: Program) -> None:
    asks = [ask(small, index) for index in range(12)]
    proposals = proposer().propose(asks)
    assert proposer().propose(asks) == proposals
    assert len({proposal.edit for proposal in proposals}) == 12
    assert proposer().propose(asks[:3]) == proposals[:3]


def test_what_the_run_tried_on_a_parent_is_not_drawn_again(small: Program) -> None:
    space = {edit.text for edit in edits_of(small.net) if edit.part == "recipe"}
    recipe, journal = proposer(), tuple[Candidate, ...]()
    for index in range(len(space)):
        (proposal,) = recipe.propose([replace(ask(small, index, parts=("recipe",)), journal=Journal(journal))])
        attempt = refused(proposal) if index % 2 else Attempt(proposal.edit, "exact", proposal.goal, None)
        journal = (*journal, Candidate(1, index, "random", small.id, None, (attempt,)))
    assert {candidate.attempts[0].edit for candidate in journal} == space
    (none,) = recipe.propose([replace(ask(small, parts=("recipe",)), journal=Journal(journal))])
    assert none.program is None
    # Another parent has its own edits; and what passed but was not kept may be drawn again.
    others = tuple(replace(candidate, parent="another") for candidate in journal)
    assert recipe.propose([replace(ask(small, parts=("recipe",)), journal=Journal(others))]) == recipe.propose(
        [ask(small, parts=("recipe",))]
    )
    kept, spare = journal[0].attempts[0], journal[2].attempts[0]
    journal = (replace(journal[0], attempts=(kept, spare)), *(row for row in journal[1:] if row.index != 2))
    (again,) = recipe.propose([replace(ask(small, parts=("recipe",)), journal=Journal(journal))])
    assert again.edit == spare.edit


def test_a_slot_never_sees_an_edit_twice_and_ends_when_all_were_tried(small: Program) -> None:
    space = {edit.text for edit in edits_of(small.net) if edit.part == "recipe"}
    recipe = proposer()
    earlier: tuple[Attempt, ...] = ()
    for _ in space:
        (proposal,) = recipe.propose([ask(small, 0, earlier, ("recipe",))])
        earlier = (*earlier, refused(proposal))
    assert {attempt.edit for attempt in earlier} == space
    (last,) = recipe.propose([ask(small, 0, earlier, ("recipe",))])
    assert last.program is None
    assert last.refusal is not None
    assert last.refusal.stage == "apply"


@pytest.mark.parametrize("source", ["", "x = 1\n", "def broken(:\n"])
def test_a_program_without_simple_edits_is_refused(source: str) -> None:
    (proposal,) = proposer().propose([ask(Program.of(source))])
    assert proposal.program is None
    assert proposal.refusal is not None


def test_a_descendant_keeps_the_other_parts_and_can_be_edited_again() -> None:
    program = Program.of(baselines()["mlp"], transform="t = 1\n", prm='{"lr": 0.1}')
    for index in range(3):
        (proposal,) = proposer().propose([ask(program, index)])
        assert proposal.program is not None
        assert (proposal.program.transform, proposal.program.prm) == (program.transform, program.prm)
        program = proposal.program
