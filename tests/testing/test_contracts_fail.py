"""The contracts find faults: each check fails for an implementation that is broken in that one way."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import deltanas.testing
from deltanas.intervals import Estimate
from deltanas.journal import Journal
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.propose import RandomProposer, Space
from deltanas.records import Candidate, Draft, Final
from deltanas.seams import Ask, Built, Event, Planned, Proposal, Proposed, Split
from deltanas.task import Classify
from deltanas.testing import (
    ArchiveContract,
    GateContract,
    ListenerContract,
    ProposerContract,
    RunnerContract,
    TaskContract,
)
from deltanas.testing.examples import BASE, BETTER, CHILD, OTHER, program
from test_task_contract import TestClassify as ClassifyContract


def checks(contract: type) -> list[str]:
    return [name for name in vars(contract) if name.startswith("test_")]


class Good(ProposerContract):
    def proposer(self) -> Any:
        return RandomProposer(Space(None))


def proposing(change: Callable[[list[Ask], list[Proposal]], list[Proposal]], **fields: Any) -> type[ProposerContract]:
    """A contract of the uniform sampler whose answers are changed."""

    class Broken(RandomProposer):
        def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
            return change(list(asks), super().propose(asks))

    def proposer(_: ProposerContract) -> Any:
        made = Broken(Space(None))
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    return type("Changed", (ProposerContract,), {"proposer": proposer})


def always_first(asks: list[Ask], _: list[Proposal]) -> list[Proposal]:
    fresh = [replace(ask, key="0:1:0:0", earlier=(), journal=type(ask.journal)()) for ask in asks]
    return [answer for ask in fresh for answer in RandomProposer(Space(None)).propose([ask])]


def by_chance(asks: list[Ask], answers: list[Proposal]) -> list[Proposal]:
    return [replace(answer, note=str(random.random())) for answer in answers]


def opening(asks: list[Ask], answers: list[Proposal]) -> list[Proposal]:
    for ask in asks[:1]:
        ask.journal.open([Candidate(5, 0, "", None, None)])
    return answers


PROPOSERS = {
    "test_it_has_a_name_and_a_size_of_batch": proposing(lambda _, answers: answers, batch=0),
    "test_no_ask_is_no_answer": proposing(lambda asks, answers: answers or [Proposal(BASE, "", None)]),
    "test_answers_come_in_the_order_of_the_asks": proposing(lambda _, answers: answers[::-1]),
    "test_an_answer_is_a_program_or_a_refusal": proposing(
        lambda _, answers: [replace(one, refusal=Refused("build", "no")) for one in answers]
    ),
    "test_some_answer_is_a_program": proposing(
        lambda _, answers: [replace(one, program=None, refusal=Refused("apply", "no")) for one in answers]
    ),
    "test_the_edit_makes_the_program": proposing(
        lambda asks, answers: [replace(one, program=ask.parent) for ask, one in zip(asks, answers, strict=True)]
    ),
    "test_equal_asks_have_equal_answers": proposing(by_chance),
    "test_asks_and_journal_stay_as_they_were": proposing(opening),
    "test_what_the_journal_has_is_not_proposed_again": proposing(always_first),
    "test_what_an_earlier_round_had_is_not_proposed_again": proposing(always_first),
}


class Refuser:
    """A gate that refuses what is long, and what it was told of."""

    stage = "novelty"

    def __init__(self) -> None:
        self.known: list[Program] = []

    def judge(self, drafts: Sequence[Draft]) -> list[Draft | Refused]:
        return [
            Refused("novelty", "known") if len(draft.program.net) > 2000 or draft.program in self.known else draft
            for draft in drafts
        ]

    def told(self, journal: Journal) -> None: ...

    def remember(self, drafts: Sequence[Draft]) -> None:
        self.known += [draft.program for draft in drafts]


def gating(**methods: Any) -> type[GateContract]:
    made = type("Broken", (Refuser,), methods)

    class Gates(GateContract):
        def gate(self) -> Any:
            return made()

        def passing(self) -> Sequence[Draft]:
            return [Draft(BASE, 1), Draft(CHILD, 2), Draft(OTHER, 3)]

        def refused(self) -> Sequence[Draft]:
            return [Draft(program("x = 1\n" * 500))]

    return Gates


def forgetful(self: Any, drafts: Sequence[Draft]) -> None:
    self.known = [draft.program for draft in drafts]


def judged_and_kept(self: Any, drafts: Sequence[Draft]) -> Any:
    verdicts = Refuser.judge(self, drafts)
    self.known += [draft.program for draft in drafts]
    return verdicts


GATES = {
    "test_nothing_to_judge": gating(judge=lambda self, drafts: Refuser.judge(self, drafts) or [Draft(BASE)]),
    "test_what_should_pass_passes": gating(judge=lambda self, drafts: [Refused("novelty", "no") for _ in drafts]),
    "test_what_should_be_refused_is_refused_with_a_reason": gating(stage="build"),
    "test_verdicts_come_in_the_order_of_the_drafts": gating(
        judge=lambda self, drafts: Refuser.judge(self, drafts)[::-1]
    ),
    "test_a_gate_takes_nothing_away": gating(
        judge=lambda self, drafts: Refuser.judge(self, [replace(draft, params=None) for draft in drafts])
    ),
    "test_judging_changes_nothing": gating(judge=judged_and_kept),
    "test_a_resumed_run_is_judged_as_the_undisturbed_one": gating(remember=forgetful),
}


def listening(said: Callable[[Event], object]) -> type[ListenerContract]:
    return type("Broken", (ListenerContract,), {"listener": lambda self: said})


def meddling(event: Event) -> None:
    if isinstance(event, Planned):
        event.journal.open([Candidate(0, 0, "", None, None)])


def resumable(event: Event) -> None:
    assert not (isinstance(event, Planned) and event.journal), "it knows new runs only"


LISTENERS = {
    "test_it_hears_a_whole_search": listening(lambda event: isinstance(event, Proposed)),
    "test_it_hears_a_search_that_is_taken_up": listening(resumable),
    "test_it_changes_no_journal": listening(meddling),
    "test_it_leaves_stdout_alone": listening(lambda event: sys.stdout.write("told")),
}


def tasking(**methods: Any) -> type[TaskContract]:
    made = type("Broken", (Classify,), methods)()

    class Tasks(ClassifyContract):
        def task(self) -> Any:
            return made

    return Tasks


def metric(**fields: Any) -> Any:
    return replace(Classify().metric, **fields)


def classifying(**fields: Any) -> type[TaskContract]:
    made = Classify(metric=metric(**fields))
    return type("Broken", (ClassifyContract,), {"task": lambda self: made})


TASKS = {
    "test_it_is_known_by_its_name_on_both_sides": tasking(),
    "test_the_child_reads_the_targets_that_the_parent_lays_down": tasking(target=lambda self, x, y: y.astype(np.int32)),
    "test_the_outputs_have_a_shape": tasking(out_shape=lambda self, classes, in_shape: (classes + 1,)),
    "test_each_image_has_a_score_of_its_own": tasking(
        scores=lambda self, outputs, target: np.full(len(target), (outputs.argmax(axis=1) == target).mean())
    ),
    "test_the_better_network_has_the_better_score": classifying(better="lower"),
    "test_packed_scores_come_back": tasking(packed=lambda self, scores: bytes((len(scores) + 7) // 8)),
    "test_scores_of_another_number_of_images_are_no_scores": tasking(
        unpacked=lambda self, packed, n: np.unpackbits(np.frombuffer(packed, np.uint8)).astype(float)[:n]
    ),
    "test_the_interval_holds_the_score": classifying(
        interval=lambda score, n, per_image: Estimate(score, score + 0.01, 1.0) if n else None
    ),
    "test_scores_and_gains_have_words": classifying(gain=lambda gain: f"{abs(gain):.1f}"),
}


class Answering:
    """A runner that says what is written down."""

    tier = "A"

    def __init__(self, outcome: object) -> None:
        self.outcome = outcome

    def build(self, programs: Sequence[Program]) -> list[Any]:
        return [Built(1, 2, "t", ()) for _ in programs] or [self.outcome]

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Any]]:
        for position, _ in enumerate(programs):
            yield position, self.outcome


class Memory:
    """An archive that forgets: nothing that it is told is refused, kept or ordered."""

    def __init__(self, held: Iterable[Candidate] = ()) -> None:
        self.held = list(held)

    def rows(self) -> list[Candidate]:
        return self.held

    def finals(self) -> list[Final]:
        return []

    adapters = finals

    def program(self, identity: str) -> Program:
        return BASE

    def open(self, candidates: Sequence[Candidate]) -> None:
        self.held += candidates

    def record(self, *_: object) -> None: ...

    add_final = add_adapter = record

    def finish(self) -> None:
        self.held = []


class Forgetful(ArchiveContract):
    def archive(self) -> Any:
        return Memory()

    def reopened(self, archive: Any) -> Any:
        return archive


def test_a_contract_without_what_it_needs_says_so() -> None:
    for contract in (ArchiveContract, GateContract, ListenerContract, ProposerContract, RunnerContract, TaskContract):
        for name in checks(contract):
            with pytest.raises(NotImplementedError):
                getattr(contract(), name)()


@pytest.mark.parametrize(
    ("contract", "broken"),
    [
        (contract, (name, made))
        for contract, table in (
            (ProposerContract, PROPOSERS),
            (GateContract, GATES),
            (ListenerContract, LISTENERS),
            (TaskContract, TASKS),
        )
        for name, made in table.items()
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value.__name__,
)
def test_each_check_fails_for_what_is_broken_that_way(contract: type, broken: tuple[str, type]) -> None:
    name, made = broken
    with pytest.raises(AssertionError):
        getattr(made(), name)()


@pytest.mark.parametrize(
    ("contract", "table"),
    [(ProposerContract, PROPOSERS), (GateContract, GATES), (ListenerContract, LISTENERS), (TaskContract, TASKS)],
)
def test_no_check_is_left_out(contract: type, table: dict[str, type]) -> None:
    assert checks(contract) == list(table)


@pytest.mark.parametrize("made", [Good, gating()])
def test_what_is_not_broken_passes(made: type) -> None:
    for name in checks(made.__mro__[1]):
        getattr(made(), name)()


@pytest.mark.parametrize("name", checks(RunnerContract))
def test_a_runner_that_makes_its_answers_up_is_found_out(name: str) -> None:
    outcomes: list[object] = [BETTER, Failed("error", "red\x1b", 1.0, 1.0, "A"), Trained(0.7, 360, 0, 1.0, 0.0, "B")]
    found = 0
    for outcome in outcomes:
        contract = type("Made", (RunnerContract,), {"runner": lambda self, held=outcome: Answering(held)})
        try:
            getattr(contract(), name)()
        except AssertionError:
            found += 1
    assert found


@pytest.mark.parametrize("name", [name for name in checks(ArchiveContract) if name != "test_a_new_run_is_empty"])
def test_an_archive_that_forgets_is_found_out(name: str) -> None:
    with pytest.raises(AssertionError):
        getattr(Forgetful(), name)()


def test_a_run_that_is_not_new_is_found_out() -> None:
    contract = type("Full", (Forgetful,), {"archive": lambda self: Memory([Candidate(0, 0, "", None, None)])})
    with pytest.raises(AssertionError):
        contract().test_a_new_run_is_empty()


def test_importing_the_contracts_loads_no_pytest() -> None:
    import subprocess

    code = "import sys, deltanas.testing; print(sorted({'pytest', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
    assert deltanas.testing.__all__
