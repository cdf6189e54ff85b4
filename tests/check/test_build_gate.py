"""The build gate tells what an edit changes of its parent's function; two probes are compared part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from deltanas.check import BuildGate
from deltanas.program import Failed, Probe, Program, Refused, Trained, prm_text, same_function
from deltanas.records import Draft
from deltanas.seams import Built, Split

PROBE: Probe = (1.0, -2.0, 3.0, 40.0, 0.5, 0.25, -1e-3, 2e-3)
MOVED: Probe = (*PROBE[:6], -1e-3, 2.1e-3)
PARENT = Draft(Program.of("parent = 1"), 1, 2, "t", PROBE)


class Answers:
    """A runner whose build check gives what is written down."""

    tier = "C"

    def __init__(self, *answers: Built | Refused) -> None:
        self.answers = answers

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        assert len(programs) == len(self.answers)
        return list(self.answers)

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        raise AssertionError("a gate trains nothing")


def judged(answer: Built, *, parent: Draft = PARENT, prm: str = "{}", known: bool = True) -> Draft:
    gate = BuildGate(Answers(answer))
    gate.remember([parent] if known else [])
    (verdict,) = gate.judge([Draft(Program.of("child = 1", prm=prm, parents=(parent.program.id,)))])
    assert isinstance(verdict, Draft)
    assert (verdict.params, verdict.flops, verdict.trace, verdict.probe) == (
        answer.params, answer.flops, answer.trace, answer.probe,
    )  # fmt: skip
    return verdict


@pytest.mark.parametrize(
    ("trace", "probe", "effective"),
    [("t", PROBE, False), ("t", MOVED, False), ("other", PROBE, False), ("other", MOVED, True)],
)
def test_an_edit_is_effective_where_operations_and_outputs_differ(trace: str, probe: Probe, effective: bool) -> None:
    assert judged(Built(1, 2, trace, probe)).effective is effective


def test_other_hyperparameters_are_an_effect_that_two_steps_need_not_show() -> None:
    assert judged(Built(1, 2, "t", PROBE), prm=prm_text({"batch": 64})).effective is True


def test_nothing_is_said_of_an_unknown_parent() -> None:
    assert judged(Built(1, 2, "other", PROBE), known=False).effective is None
    assert judged(Built(1, 2, "other", PROBE), parent=Draft(PARENT.program, 1, 2, "t")).effective is None


def test_refusals_keep_their_place() -> None:
    refused = Refused("step", "line 3: no")
    verdicts = BuildGate(Answers(refused, Built(1, 2, "t", PROBE))).judge([PARENT, PARENT])
    assert verdicts[0] == refused
    assert isinstance(verdicts[1], Draft)


@pytest.mark.parametrize(
    ("place", "by", "same"),
    [(0, 1e-6, True), (0, 1e-3, False), (6, 1e-9, True), (6, 1e-6, False), (3, 3e-4, True), (3, 1e-2, False)],
)
def test_a_difference_counts_beside_the_largest_figure_of_its_part(place: int, by: float, same: bool) -> None:
    figures = list(PROBE)
    figures[place] = (figures[place] or 0.0) + by
    assert same_function(tuple(figures), PROBE) is same


def test_what_is_not_known_counts_as_different() -> None:
    assert same_function(PROBE, PROBE)
    assert not same_function(PROBE[:-1], PROBE)
    assert not same_function((None, *PROBE[1:]), (None, *PROBE[1:]))
    assert same_function((0.0,) * 8, (0.0,) * 8)


DECLARES = "def supported_hyperparameters():\n    return {'dropout', 'depth'}\n"


def refused(reason: str, net: str = DECLARES) -> str:
    (verdict,) = BuildGate(Answers(Refused("build", reason))).judge([Draft(Program.of(net))])
    assert isinstance(verdict, Refused)
    return verdict.reason


def test_a_refusal_names_the_option_that_gives_a_hyperparameter() -> None:
    assert "give --prm depth=VALUE" in refused("line 9: KeyError: 'depth'")
    assert "give --prm dropout=0.2" in refused("line 9: KeyError: 'dropout'")
    assert refused("line 9: KeyError: 'width'") == "line 9: KeyError: 'width'", "not declared: a fault of the program"
    assert refused("line 9: ValueError: depth") == "line 9: ValueError: depth"


def test_a_hyperparameter_that_only_the_child_declares_acts_through_its_code() -> None:
    prm = prm_text({"dropout": 0.2})
    assert judged(Built(1, 2, "t", PROBE), prm=prm).effective is False
    assert judged(Built(1, 2, "other", MOVED), prm=prm).effective is True


@pytest.mark.parametrize(("name", "shown"), [("lr", True), ("dropout", True), ("batch", False), ("warmup", False)])
def test_other_hyperparameters_are_an_effect_where_the_code_reads_them_or_two_steps_may_not_show_it(
    name: str, shown: bool
) -> None:
    parent = Draft(Program.of("parent = 1", prm=prm_text({name: 1})), 1, 2, "t", PROBE)
    prm = prm_text({name: 2})
    assert judged(Built(1, 2, "t", PROBE), parent=parent, prm=prm).effective is not shown
    assert judged(Built(1, 2, "other", MOVED), parent=parent, prm=prm).effective is True


NET_TRACE = "0" * 16


@pytest.mark.parametrize(
    ("acts", "transform", "effective"),
    [("", "Compose([]) # nothing", False), ("f" * 16, "flip", True), ("e" * 16, "flip", True)],
)
def test_another_transform_is_an_effect_where_it_acts_otherwise(acts: str, transform: str, effective: bool) -> None:
    parent = replace(PARENT, trace=NET_TRACE)
    gate = BuildGate(Answers(Built(1, 2, f"{NET_TRACE}{acts}", PROBE)))
    gate.remember([parent])
    (verdict,) = gate.judge([Draft(parent.program.edited("transform", transform))])
    assert isinstance(verdict, Draft)
    assert verdict.effective is effective


def test_a_transform_that_does_what_the_parents_does_has_no_effect() -> None:
    parent = Draft(Program.of("parent = 1", "flip"), 1, 2, f"{NET_TRACE}{'f' * 16}", PROBE)
    gate = BuildGate(Answers(Built(1, 2, f"{NET_TRACE}{'f' * 16}", PROBE), Built(1, 2, NET_TRACE, PROBE)))
    gate.remember([parent])
    drafts = [Draft(parent.program.edited("transform", text)) for text in ("flip again", "")]
    respelt, emptied = gate.judge(drafts)
    assert isinstance(respelt, Draft)
    assert isinstance(emptied, Draft)
    assert (respelt.effective, emptied.effective) == (False, True)
