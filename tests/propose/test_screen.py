"""The screen: many draws are ranked, and the best alone are verified."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from deltanas.config import read_config
from deltanas.errors import UsageError
from deltanas.journal import Journal
from deltanas.nets import baselines
from deltanas.program import Part, Program, Refused, SpaceEdit, edits_in
from deltanas.propose import STRATEGIES, Space
from deltanas.propose.goals import drawn_goal
from deltanas.propose.screen import SHARE, Screen
from deltanas.records import Attempt, Candidate, Draft
from deltanas.seams import Ask, Built, Expected
from deltanas.wiring import program_of
from deltanas.wiring.proposing import context_of

PARENT = program_of(baselines()["vgg"])


class Wants:
    """Foretells that edits of one kind gain most, longer texts more than shorter ones."""

    def __init__(self, kind: str = "activation", parts: Sequence[Part] = ("net",)) -> None:
        self.kind, self.parts = kind, parts
        self.ranked: list[int] = []

    def knows(self, part: Part) -> bool:
        return part in self.parts

    def worth(self, edit: SpaceEdit) -> float:
        return (edit.kind == self.kind) + len(edit.new) / 10_000

    def gains(self, parent: Program, edits: Sequence[SpaceEdit]) -> list[Expected]:
        assert parent.id == PARENT.id
        self.ranked.append(len(edits))
        return [Expected(self.worth(edit), 0.01) for edit in edits]

    def of(self, parent: Program, child: Program, part: Part, kind: str = "") -> Expected:
        raise AssertionError("draws are ranked as edits")

    def told(self, journal: Journal) -> None:
        """It wants what it wants."""


class Counted:
    """Build checks without a sandbox; what holds one of `broken` does not build."""

    def __init__(self, *broken: str) -> None:
        self.broken, self.asked = broken, 0

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        self.asked += len(programs)
        return [
            Refused("build", "line 1: RuntimeError")
            if any(word in program.net for word in self.broken)
            else Built(1, 1, program.net, tuple(map(float, program.net.encode()[:8])))
            for program in programs
        ]


def asks(count: int, part: Part = "net", journal: Journal | None = None) -> list[Ask]:
    keys = [f"0:1:{index}:0" for index in range(count)]
    return [
        Ask(1, index, 0, key, PARENT, parts=(part,), journal=journal or Journal()) for index, key in enumerate(keys)
    ]


def test_the_best_of_many_draws_is_taken_and_that_alone_is_verified() -> None:
    wants, builds = Wants(), Counted()
    (edit,) = Space(builds, screen=Screen(wants, 16)).draw(asks(1))
    assert edit is not None
    assert edit.kind == "activation"
    assert wants.ranked == [30]
    assert builds.asked == 2, "the parent and the winner"


def test_what_does_not_hold_gives_its_place_to_the_next() -> None:
    (first,) = Space(Counted(), screen=Screen(Wants("width"), 16)).draw(asks(1))
    assert first is not None
    builds = Counted(first.apply(PARENT).net)
    (second,) = Space(builds, screen=Screen(Wants("width"), 16)).draw(asks(1))
    assert second is not None
    assert second != first
    assert (first.kind, second.kind) == ("width", "width")
    assert builds.asked == 3


def test_a_cycle_is_spread_over_kinds_with_what_it_has_already() -> None:
    def kinds(count: int, journal: Journal | None = None) -> Counter[str]:
        drawn = Space(Counted(), screen=Screen(Wants(), 12)).draw(asks(count, journal=journal))
        texts = [edit.text for edit in drawn if edit]
        assert len(set(texts)) == count, "no two slots of one parent get the same"
        return Counter(edit.kind for edit in drawn if edit)

    assert kinds(12)["activation"] == 12 // SHARE
    assert max(kinds(12).values()) == 12 // SHARE
    child = PARENT.edited("net", PARENT.net + "x = 1\n")
    kept = Attempt("e", "exact", "", None, kind="activation")
    rows = [Candidate(1, index, "random", PARENT.id, Draft(child), (kept,)) for index in range(3)]
    assert kinds(4, Journal(rows))["activation"] == 1, "three of four are there"


def test_a_kind_that_fails_takes_no_room() -> None:
    space = Space(Counted("GELU", "SiLU", "Mish", "Hardswish", "LeakyReLU"), screen=Screen(Wants(), 3))
    drawn = [edit for edit in space.draw(asks(3)) if edit]
    assert len({edit.kind for edit in drawn}) == 3


@pytest.mark.parametrize("part", ["net", "recipe", "transform"])
def test_an_unknown_part_is_drawn_as_without_a_screen(part: Part) -> None:
    plain, screened = Space(Counted()), Space(Counted(), screen=Screen(Wants(parts=()), 16))
    assert screened.draw(asks(5, part)) == plain.draw(asks(5, part))
    assert screened.mixed(asks(3, part), 4) == plain.mixed(asks(3, part), 4)


def test_of_two_parts_of_one_text_the_draw_takes_one() -> None:
    wants = Wants(parts=("net", "recipe"))
    slots = [replace(ask, parts=("net", "recipe")) for ask in asks(40)]
    drawn = Space(None, screen=Screen(wants, 1000)).draw(slots)
    plain = Space(None).draw(slots)
    found, usual = (Counter(edit.part for edit in those if edit) for those in (drawn, plain))
    assert found["recipe"] > 3, "what is foretold of another part starves none"
    assert abs(found["recipe"] - usual["recipe"]) < 15


def test_offers_are_the_best_of_the_draws() -> None:
    (offered,) = Space(None, screen=Screen(Wants("width"), 16)).mixed(asks(1), 6)
    assert len(offered) == 6
    assert {edit.kind for edit in offered} == {"width"}
    places = {edit.text: place for place, edit in enumerate(edits_in(PARENT, ["net"]))}
    assert [places[edit.text] for edit in offered] == sorted(places[edit.text] for edit in offered)
    ((goal, aimed),) = Space(None, screen=Screen(Wants("width"), 16)).aimed(asks(1), 6, drawn_goal)
    assert {edit.kind for edit in aimed} == {"width"}
    assert goal


def test_where_no_ranked_draw_holds_others_are_drawn() -> None:
    class FirstFail(Counted):
        def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
            found = super().build(programs)
            if self.asked <= 31:
                found = [
                    one if program.id == PARENT.id else Refused("build", "no")
                    for one, program in zip(found, programs, strict=True)
                ]
            return found

    builds = FirstFail()
    (edit,) = Space(builds, screen=Screen(Wants(), 16)).draw(asks(1))
    assert edit is not None
    assert builds.asked > 31


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy": "full"},
        {"strategy": "channels"},
        {"strategy": "delta", "model": {"decoding": "free"}},
        {"strategy": "feedback", "feedback": {"form": "full"}},
    ],
)
def test_a_strategy_that_writes_texts_of_its_own_takes_no_screen(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="writes texts of its own") as caught:
        context_of(read_config({**settings, "screen": "builtin"}))
    assert "random" in caught.value.hint
    context_of(read_config(settings))


@pytest.mark.parametrize("name", ["random", "bandit", "evolution", "delta", "feedback"])
def test_a_strategy_that_draws_from_the_space_goes_by_the_screen(name: str) -> None:
    context = context_of(read_config({"strategy": name, "screen": "builtin"}), forecast=Wants())
    assert context.screen is not None
    assert context.screen.candidates == 8
    assert STRATEGIES[name].screens(context)
    if not STRATEGIES[name].calls:
        proposer = STRATEGIES[name].build(context)
        assert [one.kind for one in proposer.propose(asks(1))] == ["activation"]


def test_each_step_of_a_composite_is_the_best_of_many_draws() -> None:
    class WantsAnything(Wants):
        def gains(self, parent: Program, edits: Sequence[SpaceEdit]) -> list[Expected]:
            return super().gains(PARENT, edits)

    wants = WantsAnything("width")
    space = Space(None, steps=2, screen=Screen(wants, 16, steps=2))
    edits = [edit for edit in space.draw(asks(4)) if edit]
    assert [edit.kind for edit in edits] == ["width+width"] * 4
    assert len({edit.text for edit in edits}) == 4
    assert max(wants.ranked) == 30
    screen = Screen(WantsAnything("activation"), 9, steps=2)
    offers = Space(None, steps=2, screen=screen).offer(asks(9), 6)
    firsts = Counter(kind for edits in offers for kind in edits[0].kind.split("+"))
    assert len(offers) == 9
    assert firsts["activation"] >= 5, "six offers take the room of one: of 18 steps a third may be of one kind"
    plain = Space(None, steps=2).draw(asks(4))
    assert Space(None, steps=2, screen=Screen(WantsAnything(parts=()), 16, steps=2)).draw(asks(4)) == plain


def luck(text: str) -> float:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


class Chance(Wants):
    def worth(self, edit: SpaceEdit) -> float:
        return luck(edit.text)


class Some(Counted):
    """Three of ten programs do not build."""

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        whole = super().build(programs)
        return [
            Refused("build", "no") if program.parents and luck(program.id) < 0.3 else built
            for program, built in zip(programs, whole, strict=True)
        ]


def test_slots_of_one_parent_get_edits_of_their_own_where_the_best_of_many_do_not_hold() -> None:
    space = Space(Some(), screen=Screen(Chance(), 16))
    drawn = [edit.text for edit in space.draw(asks(16)) if edit]
    assert len(set(drawn)) == 16


def test_a_retried_slot_gets_no_edit_that_its_batch_keeps() -> None:
    """Refused for its size, say; the other slots were filled in the round before, and are not journalled yet."""
    space = Space(Counted(), screen=Screen(Chance(), 16))
    first, *others = asks(4)
    drawn = space.draw([first, *others])
    kept = tuple(
        Candidate(
            1, ask.index, "random", PARENT.id, Draft(edit.apply(PARENT)), (Attempt(edit.text, "exact", "", None),)
        )
        for ask, edit in zip(others, drawn[1:], strict=True)
        if edit
    )
    refused = Attempt(drawn[0].text if drawn[0] else "", "exact", "", Refused("limit", "too large"))
    (again,) = space.draw([first.again((refused,), kept)])
    assert again is not None
    assert again.text not in {edit.text for edit in drawn if edit}
    beside = Screen(Chance(), 16).spread([first.again((refused,), kept)])
    assert beside.total() == 3
