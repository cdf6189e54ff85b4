"""Widths: which are free, that networks have them; a model's vectors, what it is told, and that none comes twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from deltanas.config import TrainConfig
from deltanas.journal import Journal
from deltanas.llm import Message, Reply, Request
from deltanas.nets import baselines
from deltanas.program import Failed, Program, Refused, Trained, width_vectors
from deltanas.propose import ChannelsProposer
from deltanas.propose.widths import Survey, read, steps, surveys, told
from deltanas.records import Attempt, Candidate, Draft
from deltanas.seams import Ask, Builds, Built, Proposal
from deltanas.wiring import kept_builds, open_shape_pool, program_of

GOLDENS = Path(__file__).parents[1] / "goldens"


@pytest.fixture(scope="module")
def builds() -> Iterator[Builds]:
    with open_shape_pool((1, 28, 28), 10, TrainConfig(unsafe=True)) as pool:
        yield kept_builds(pool)


@pytest.fixture(scope="module")
def vgg() -> Program:
    return program_of(baselines()["vgg"])


@pytest.fixture(scope="module")
def survey(builds: Builds, vgg: Program) -> Survey:
    ((flow, _),) = surveys([vgg], builds)
    return flow


def test_what_is_built_has_the_widths_that_were_asked(builds: Builds) -> None:
    programs = [program_of(baselines()[name]) for name in ("resnet", "inception", "vit")]
    families = [survey for found in surveys(programs, builds) for survey in found]
    assert [survey.value for survey in families][:2] == [{"w1": 16, "w2": 16, "w3": 32, "w4": 32}, {"w1": 16}]
    vectors = [(survey, survey.drawn(Random(f"{place}"))) for place, survey in enumerate(families)]
    for (survey, vector), built in zip(
        vectors, builds.build([s.made(v) or s.program for s, v in vectors]), strict=True
    ):
        assert isinstance(built, Built)
        assert survey.fault(vector, built) == ""
        assert survey.found(built) == vector != survey.value
        assert "sizes differ" in survey.fault(survey.value, built)
        assert "other parameters" in survey.fault(vector, replace(built, widths=built.widths[1:]))


def test_of_widths_that_depend_on_one_another_one_is_free(builds: Builds) -> None:
    """In coatnet's blocks `hidden = 2 * width` doubles with the width: it is a group, but no axis."""
    program = program_of(baselines()["coatnet"])
    ((flow, _),) = surveys([program], builds)
    vectors = width_vectors(program.net)
    assert vectors is not None
    assert len(vectors.families[0]) == 3
    assert flow.value == {"w1": 24, "w2": 48}


def test_steps_keep_what_a_width_can_be_divided_by() -> None:
    assert steps(64) == list(range(32, 129, 8))
    assert steps(12) == [8, 12, 16, 20, 24]
    assert steps(4096) == [2048, 2560, 3072, 3584, 4096]
    assert steps(9) == [5, 7, 9, 11, 13, 15, 17]


class Chooser:
    """Gives every width one of its allowed values, by chance; what the grammar excludes is drawn anew."""

    name = "chooser"
    context = 100_000

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def count(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content) for message in messages) // 4

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked += requests
        return [Reply("p", self._said(request), True, 10, 20, 0.5) for request in requests]

    def _said(self, request: Request) -> str:
        assert request.grammar
        allowed, tried = re.findall(r": /(.*)/", request.grammar.replace("/ & ~TRIED", "/"))
        rng = Random(request.key)
        while True:
            text = re.sub(r"\(([^)]*)\)", lambda match: str(rng.choice(match[1].split("|"))), allowed)
            if not re.fullmatch(tried, text):
                return text


def candidate(cycle: int, proposal: Proposal, outcome: Trained | Failed | Refused) -> Candidate:
    assert proposal.program is not None
    refusal = outcome if isinstance(outcome, Refused) else None
    attempt = Attempt(proposal.edit, proposal.rung, proposal.goal, refusal, proposal.calls, note=proposal.note)
    draft = Draft(proposal.program, 12_345, 2_500_000)
    return Candidate(cycle, 0, "channels", proposal.program.parent, draft, (attempt,), outcome)


def test_vectors_are_of_the_baseline_whatever_the_parent_and_none_comes_twice(builds: Builds, vgg: Program) -> None:
    model = Chooser()
    proposer = ChannelsProposer(model, builds)
    journal = [
        Candidate(0, 0, "baseline", None, Draft(vgg, 70_650, 7_471_616), (), Trained(0.5, 10, 0, 1, 1, "C", epochs=1))
    ]
    outcomes: list[Trained | Failed | Refused] = [
        Trained(0.6, 10, 0, 1, 1, "C", epochs=3),
        Failed("memory", "asked for more", 1, 1, "C"),
        Refused("build", "no\nroom"),
    ]
    parent, vectors = vgg, []
    for cycle in range(1, 10):
        ask = Ask(cycle, 0, 0, f"0:{cycle}:0:0", parent, journal=Journal(journal))
        (proposal,) = proposer.propose([ask])
        assert proposal.program is not None
        assert proposal.refusal is None
        assert (proposal.program.parent, proposal.rung) == (parent.id, "exact")
        vectors.append(proposal.note)
        survey = proposer._known[vgg.id]
        assert survey is not None
        made = survey.made(read(proposal.note))
        assert made is not None
        assert proposal.program.net == made.net, "the source is the baseline's with this vector, not edits upon edits"
        journal.append(candidate(cycle, proposal, outcomes[cycle % 3]))
        parent = proposal.program if isinstance(outcomes[cycle % 3], Trained) else parent
    assert len(set(vectors)) == 9
    assert parent != vgg
    said = model.asked[-1].messages[-1].content
    for text in (
        "w2 is 32, in line 32: nn.Conv2d(width, 2 * width, kernel_size=3, padding=1, bias=False),",
        "w1=16 w2=32 w3=64 w4=64: 50.0 % accuracy after 1 epoch, 70,650 parameters, 7.47 MFLOPs",
        f"{vectors[2]}: 60.0 % accuracy after 3 epochs, 12,345 parameters, 2.50 MFLOPs",
        f"{vectors[6]}: training failed (memory)",
        f"{vectors[7]}: refused: no room",
    ):
        assert text in said
    assert vectors[0] not in said, "only the best and the last are told"
    assert all(vector in (model.asked[-1].grammar or "") for vector in vectors[:-1]), "all are excluded"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("w1=16", "not one value for each width: w1 w2 w3 w4"),
        ("make it wider", "not one value"),
        ("w1=16 w2=32 w3=64 w4=65", "w4 may be 32, 40, "),
        ("w1=16 w2=32 w3=64 w4=64", "these are the widths it has"),
    ],
)
def test_a_reply_that_is_no_other_vector_is_refused(builds: Builds, vgg: Program, reply: str, reason: str) -> None:
    class Parrot(Chooser):
        def _said(self, request: Request) -> str:
            return reply

    (proposal,) = ChannelsProposer(Parrot(), builds).propose([Ask(1, 0, 0, "0:1:0:0", vgg)])
    assert proposal.program is None
    assert proposal.refusal is not None
    assert reason in proposal.refusal.reason
    assert len(proposal.calls) == 1


def test_where_nothing_is_free_or_left_no_model_is_asked(builds: Builds, vgg: Program, survey: Survey) -> None:
    fixed = program_of("x = 1\n")
    model = Chooser()
    (proposal,) = ChannelsProposer(model, builds).propose([Ask(1, 0, 0, "0:1:0:0", fixed)])
    assert proposal.refusal is not None
    assert "no width" in proposal.refusal.reason
    narrow = survey.narrowed(1)
    proposer = ChannelsProposer(model, builds)
    proposer._known[vgg.id] = narrow
    (name,) = narrow.value
    tried = tuple(
        Attempt("", "exact", "", Refused("novelty", ""), note=told({name: width})) for width in narrow.axes[0].allowed
    )
    (proposal,) = proposer.propose([Ask(1, 0, 0, "0:1:0:0", vgg, tried)])
    assert proposal.refusal is not None
    assert "all widths of this network were tried" in proposal.refusal.reason
    assert model.asked == []
