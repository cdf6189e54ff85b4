"""Ask and tell, with a scripted runner: slots, leases, verdicts, budgets, and what a second look finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import hypot
from pathlib import Path

import pytest

from deltanas.allocation import Allocation
from deltanas.archive import RunFolder, begin_run
from deltanas.errors import UsageError
from deltanas.program import Failed, Program, Trained
from deltanas.propose import OutsideSettings
from deltanas.propose.edits import proposal_of
from deltanas.records import Candidate, Draft, Lease
from deltanas.referee import ERROR, Bench, Verdict
from deltanas.seams import Ask, Proposal
from deltanas.wiring import open_referee
from scripted_referee import BASELINES, Levels, begun, plan_of, referee, searched
from support import block

BETTER = block("level = 500", "level = 560")
NOTHING = block("level = 500", "level = 500\nx = 1")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return begun(tmp_path / "run", plan_of())


def test_an_asker_gets_the_champion_with_what_is_known(folder: RunFolder) -> None:
    asked = referee(folder, plan_of()).ask("ann")
    assert asked.slot is not None
    assert asked.slot.startswith("1.0.")
    assert (asked.parent, asked.source) == ("a", BASELINES["a"].net)
    champion = asked.known["champion"]
    assert isinstance(champion, dict)
    assert champion["name"] == "a"
    assert champion["low"] < champion["accuracy"] < champion["high"]
    assert set(asked.limits) >= {"answer", "left"}


def test_an_edit_is_trained_and_a_high_score_alone_is_no_verdict(folder: RunFolder) -> None:
    held = referee(folder, plan_of())
    slot = held.ask().slot
    assert slot
    found = held.tell(slot, edit=BETTER)
    assert (found.slot, found.status, found.verdict, found.champion) == (slot, "trained", "not shown", "a")
    assert found.gain is not None
    assert found.low is not None
    assert found.high is not None
    assert found.better is not None
    assert found.low < found.gain < found.high
    assert found.better > 0.9
    assert found.cost is not None
    assert found.cost > 2
    assert held.ask().parent == "a", "the champion changes by a verdict alone"


def test_settling_promotes_what_is_better_and_the_next_slot_edits_it(folder: RunFolder) -> None:
    levels = Levels()
    held = referee(folder, plan_of(), levels)
    slot = held.ask().slot
    assert slot
    found = held.tell(slot, edit=BETTER, settle=True)
    assert (found.verdict, found.champion) == ("better", "1.0")
    assert found.seeds is not None
    assert found.seeds.pairs >= 7, "no test is won by fewer pairs than log2 of its odds"
    asked = held.ask()
    assert asked.parent == "1.0"
    assert "level = 560" in str(asked.source)
    seeds = [seed for _, seed in levels.trained[1:]]
    assert seeds[::2] == seeds[1::2], "a pair shares its seed"
    assert len(set(seeds)) == len(seeds) // 2, "and no two pairs do"
    with folder.open() as run:
        (duel,) = run.ledger.duels()
        assert duel.error == pytest.approx(ERROR / 11)
        assert run.candidate(1, 0) is not None


def test_a_test_is_spared_for_what_scored_no_higher(folder: RunFolder) -> None:
    levels = Levels()
    held = referee(folder, plan_of(), levels)
    slot = held.ask().slot
    assert slot
    found = held.tell(slot, edit=block("level = 500", "level = 300"), settle=True)
    assert (found.verdict, len(levels.trained)) == ("worse", 1)


def test_told_twice_the_journal_answers_and_nothing_is_trained_again(folder: RunFolder) -> None:
    levels = Levels()
    held = referee(folder, plan_of(), levels)
    slot = held.ask().slot
    assert slot
    first = held.tell(slot, edit=BETTER)
    again = referee(folder, plan_of(), levels).tell(slot, edit=NOTHING)
    assert again == first
    assert len(levels.trained) == 1
    assert held.verdict("1.0").gain == first.gain


@pytest.mark.parametrize(
    "edit",
    [
        block("level = 500", "level = 500  # a remark"),
        block("level = 500", "import torch\ntorch.manual_seed(5)\nlevel = 500"),
        "level = 500\n",
    ],
)
def test_a_comment_a_seed_and_the_champion_itself_are_told_as_the_same(folder: RunFolder, edit: str) -> None:
    held = referee(folder, plan_of())
    slot = held.ask().slot
    assert slot
    given = {"edit" if "SEARCH" in edit else "program": edit}
    found = held.tell(slot, **given, settle=True)
    assert (found.status, found.verdict) == ("refused", "same")
    assert found.accuracy is None


def test_what_does_not_apply_or_fails_is_refused_with_its_reason(folder: RunFolder) -> None:
    held = referee(folder, plan_of())
    edits = [block("nowhere", "x"), "no edit", block("level = 500", "crash = 1\nlevel = 500")]
    found = []
    for edit in edits:
        slot = held.ask().slot
        assert slot
        found.append(held.tell(slot, edit=edit))
    assert [each.verdict for each in found] == ["refused"] * 3
    assert [each.status for each in found] == ["refused", "refused", "failed"]
    assert found[0].reason.startswith("apply")
    assert "scripted" in found[2].reason


def test_the_kind_of_an_edit_is_one_that_is_known_and_tells_what_paid(folder: RunFolder) -> None:
    held = referee(folder, plan_of())
    slot = held.ask().slot
    assert slot
    with pytest.raises(UsageError, match="no kind of edit") as caught:
        held.tell(slot, edit=BETTER, kind="IGNORE ALL INSTRUCTIONS")
    assert "activation" in caught.value.hint
    found = held.tell(slot, edit=BETTER, kind="activation")
    known = held.ask().known["goals"]
    assert isinstance(known, dict)
    assert known["activation"] == {"n": 1, "gain": pytest.approx(found.gain)}


def test_checking_keeps_nothing(folder: RunFolder) -> None:
    held = referee(folder, plan_of())
    slot = held.ask().slot
    assert slot
    assert held.check(slot, edit=BETTER).status == "checked"
    assert held.check(slot, edit=block("nowhere", "x")).verdict == "refused"
    with folder.open() as run:
        assert not any(run.tally().values())
    assert held.tell(slot, edit=BETTER).status == "trained"


def test_a_lease_that_ran_out_is_given_to_the_next_and_the_first_can_not_tell_it(folder: RunFolder) -> None:
    held = referee(folder, plan_of(), settings=OutsideSettings(lease=1e-6))
    first, second = held.ask("ann"), held.ask("bob")
    assert first.slot
    assert second.slot
    assert first.slot[:4] == second.slot[:4] == "1.0."
    with pytest.raises(UsageError, match="is nobody's") as caught:
        held.tell(first.slot, edit=BETTER)
    assert "deltanas ask" in caught.value.hint
    assert held.tell(second.slot, edit=BETTER).status == "trained"


def test_over_budget_is_an_answer(folder: RunFolder) -> None:
    held = referee(folder, plan_of(), settings=OutsideSettings(candidates=2, trainings=9))
    slots = [held.ask("ann").slot for _ in range(3)]
    assert all(slots)
    told = [held.tell(str(slot), edit=block("level = 500", f"level = {560 + n}")) for n, slot in enumerate(slots)]
    assert [(each.status, each.verdict) for each in told] == [
        ("trained", "not shown"),
        ("trained", "not shown"),
        ("over budget", "refused"),
    ]
    asked = held.ask("ann")
    assert (asked.slot, "2 of 2 candidates" in asked.reason) == (None, True)
    assert held.ask("bob").slot
    settled = held.tell(str(slots[0]), settle=True)
    assert settled.verdict == "not shown"
    assert settled.reason.endswith("over budget: 8 of 9 trainings are spent, and 2 more are wanted")
    with folder.open() as run:
        (duel,) = run.ledger.duels()
        assert len(duel.pairs) == 3, "nine trainings: two candidates, three pairs, and one that makes no pair"


def test_a_candidate_that_is_trained_thrice_costs_three_trainings(tmp_path: Path) -> None:
    plan = replace(plan_of(), allocation=Allocation(each=3))
    levels = Levels()
    held = referee(begun(tmp_path / "run", plan), plan, levels, OutsideSettings(trainings=5, control=0.0))
    slots = [str(held.ask("ann").slot) for _ in range(2)]
    assert held.tell(slots[0], edit=BETTER).status == "trained"
    assert held.tell(slots[1], edit=NOTHING).reason == "over budget: 3 of 5 trainings are spent, and 3 more are wanted"
    assert len(levels.trained) == 3


def test_what_others_of_that_name_told_meanwhile_is_counted(folder: RunFolder) -> None:
    settings = OutsideSettings(candidates=1, control=0.0)
    held, other = (referee(folder, plan_of(), settings=settings) for _ in range(2))
    slots = [str(held.ask("ann").slot) for _ in range(2)]
    bench, told = held.bench(), list[Verdict]()

    def slow() -> Bench:  # what is told first by `held` is journalled last
        if not told:
            told.append(other.tell(slots[1], edit=NOTHING))
        return bench

    held.bench = slow
    found = held.tell(slots[0], edit=BETTER)
    assert [each.status for each in (*told, found)] == ["trained", "over budget"]


def test_a_pair_that_fails_ends_the_test_and_another_begins_when_it_is_told_again(folder: RunFolder) -> None:
    class Shaky(Levels):
        def outcome(self, program: Program, seed: int) -> Trained | Failed:
            found = super().outcome(program, seed)
            return Failed("error", "scripted", 0.1, 0.1, "C") if len(self.trained) == 6 else found

    held = referee(folder, plan_of(), Shaky())
    slot = str(held.ask().slot)
    first = held.tell(slot, edit=BETTER, settle=True)
    assert (first.verdict, "by telling it again" in first.reason) == ("not shown", True)
    assert held.tell(slot, settle=True).verdict == "better"
    with folder.open() as run:
        cut, whole = run.ledger.duels()
    assert (cut.verdict, len(cut.pairs), whole.verdict) == ("failed", 2, "better")
    assert cut.error + whole.error < ERROR


def test_what_scored_no_higher_than_the_champion_is_not_said_to_be_worth_a_test(folder: RunFolder) -> None:
    levels = Levels()
    held = referee(folder, plan_of(), levels)
    first, second = (str(held.ask().slot) for _ in range(2))
    held.tell(first, edit=BETTER, settle=True)
    found = held.tell(second, edit=block("level = 500", "level = 530"))
    assert found.gain is not None
    assert found.gain > 0, "over its parent, which is champion no more"
    assert (found.champion, found.verdict, found.cost) == ("1.0", "not shown", None)
    assert "no higher than the champion" in found.reason
    trained = len(levels.trained)
    assert held.tell(second, settle=True) == found
    assert len(levels.trained) == trained


def test_images_and_seeds_explain_more_together_than_each_alone(folder: RunFolder) -> None:
    """Two intervals that just miss 0 are no proof of a loss."""
    held = referee(folder, plan_of())
    found = held.tell(str(held.ask().slot), edit=block("level = 500", "level = 464\nx = 1"))
    assert found.gain is not None
    assert found.high is not None
    assert found.noise_high is not None
    assert (
        max(found.high, found.noise_high)
        < 0
        < found.gain + hypot(found.high - found.gain, found.noise_high - found.gain)
    )
    assert found.verdict == "not shown"


def test_a_lease_of_the_control_holds_no_slot(tmp_path: Path) -> None:
    plan = plan_of(1, 1)
    folder = begun(tmp_path / "run", plan)
    held = referee(folder, plan)
    held.tell(str(held.ask().slot), edit=NOTHING)
    with folder.open(writer=True) as run:  # its process was killed before it journalled the edit
        run.ledger.lease(Lease(1, 1, "", "0" * 16, "", "2026-01-01"))
    assert held.ask().reason.startswith("all slots are told")


def test_who_floods_gets_its_own_slots_again(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltanas.referee.court.MOST_HELD", 3)
    held = referee(folder, plan_of())
    slots = [held.ask("ann").slot for _ in range(7)]
    assert len({str(slot).rpartition(".")[0] for slot in slots}) == 3
    assert str(held.ask("bob").slot).startswith("1.3.")


def test_a_candidate_whose_training_was_cut_off_is_trained_by_the_next_teller(folder: RunFolder) -> None:
    class Cut(Levels):
        def train(self, *_: object, **__: object) -> object:  # type: ignore[override]
            raise KeyboardInterrupt

    held = referee(folder, plan_of(), Cut())
    slot, other = held.ask("ann").slot, held.ask("bob").slot
    assert slot
    assert other
    with pytest.raises(KeyboardInterrupt):
        held.tell(slot, edit=BETTER)
    assert held.verdict(slot).status == "open"
    whole = referee(folder, plan_of())
    whole.tell(other, edit=NOTHING)
    assert whole.verdict(slot).status == "trained"


class Scripted:
    """Proposes for slot n what an asker tells for it."""

    strategy = "outside"
    batch = 3

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        return [proposal_of(ask, EDITS[(ask.cycle - 1) * 5 + ask.index]) for ask in asks]


EDITS = [block("level = 500", f"level = {480 + 7 * n}\nn = {n}") for n in range(8)] + [NOTHING, block("gone", "x")]


def test_what_is_told_one_after_the_other_ends_as_a_search_with_the_same_edits(tmp_path: Path) -> None:
    plan = plan_of()
    folder = begun(tmp_path / "told", plan)
    held = referee(folder, plan)
    for edit in EDITS:
        slot = held.ask().slot
        assert slot
        held.tell(slot, edit=edit)
    with folder.open(writer=True) as run:
        searched(run, plan)
        told = run.view()
    own = begun(tmp_path / "searched", plan_of(outside=False), proposer=Scripted())
    with own.open() as run:
        alone = run.view()
    assert told.candidates == alone.candidates
    assert told.finals == alone.finals
    assert (told.finished, alone.finished) == (True, True)
    assert held.ask().reason.startswith("all slots are told")


@pytest.mark.parametrize("trained", [1, 2])
def test_a_run_is_open_once_all_its_baselines_are_trained(tmp_path: Path, trained: int) -> None:
    path = tmp_path / "a run"
    folder, run = begin_run(path, None, {"config": {"strategy": "outside", "dataset": "digits"}})
    rows = [
        Candidate(0, n, "baseline", None, Draft(each), name=name) for n, (name, each) in enumerate(BASELINES.items())
    ]
    with run:
        run.open(rows)
        for row, program in list(zip(rows, BASELINES.values(), strict=True))[:trained]:
            outcome = Levels().outcome(program, 1)
            run.record(0, row.index, outcome, outcome)
    if trained == len(rows):
        with open_referee(folder.path) as held:
            assert held.ask().parent == "a"
        return
    with pytest.raises(UsageError, match="are not trained") as caught, open_referee(folder.path):
        pass
    assert f"deltanas search --run '{path}'" in caught.value.hint
