"""Every strategy holds the contract of proposers, the ones with a model by the tiny one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from random import Random

import pytest

from deltanas.config import TrainConfig, read_config
from deltanas.llm import Message, Model, Reply, Request
from deltanas.nets import baselines
from deltanas.program import Program
from deltanas.propose import STRATEGIES, Context
from deltanas.seams import Builds, Proposer
from deltanas.testing import ProposerContract
from deltanas.wiring import kept_builds, open_shape_pool, program_of
from deltanas.wiring.proposing import proposer_of

pytest_plugins = ["tiny_model"]


@pytest.fixture(scope="module")
def builds() -> Iterator[Builds]:
    with open_shape_pool((1, 8, 8), 10, TrainConfig(unsafe=True)) as pool:
        yield kept_builds(pool)


class Writer:
    """Writes the prompt's program with another number, gives advice, or takes an offered edit, by the request's key."""

    name = "writer"
    context = 100_000

    def count(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content) for message in messages) // 4

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        return [Reply(request.messages[-1].content, _written(request), True, 10, 20, 0.5) for request in requests]


def _written(request: Request) -> str:
    rng = Random(request.key)
    if request.key.endswith(":advice"):
        return f"Problem: It is slow.\nSuggestion: Try {rng.random()}."
    if request.grammar is not None:
        rules = [re.findall(r'"(?:[^"\\]|\\.)*"', line) for line in request.grammar.splitlines()[1:]]
        old, *news = map(json.loads, rng.choice(rules))
        return f"{old}{rng.choice(news)}"
    said = next(message.content for message in request.messages[::-1] if "class Net" in message.content)
    net = said.split("```python\n")[1].split("\n```")[0]
    return f"```python\n{net}\n\nSIZE = {rng.randrange(1000)}\n```"


class Held(ProposerContract):
    """Made from its record, as a search makes it. settings: of the search."""

    settings: dict[str, object]

    def proposer(self) -> Proposer:
        return proposer_of(read_config(self.settings), self.builds, self.model)

    builds: Builds | None = None
    model: Model | None = None
    writer: Writer | None = None
    """In place of the tiny model, whose random text holds no program."""

    @pytest.fixture(autouse=True)
    def _given(self, request: pytest.FixtureRequest) -> None:
        self.builds = request.getfixturevalue("builds")
        if STRATEGIES[str(self.settings["strategy"])].calls:
            self.model = self.writer or request.getfixturevalue("tiny")


class TestRandom(Held):
    settings = {"strategy": "random"}  # noqa: RUF012


class TestEvolution(Held):
    settings = {"strategy": "evolution"}  # noqa: RUF012


class TestBandit(Held):
    settings = {"strategy": "bandit"}  # noqa: RUF012


class TestDelta(Held):
    settings = {"strategy": "delta"}  # noqa: RUF012


class TestDeltaThatRanks(Held):
    settings = {"strategy": "delta", "model": {"choice": "ranked"}}  # noqa: RUF012


class TestDeltaAnchored(Held):
    settings = {"strategy": "delta", "model": {"decoding": "anchored", "max_tokens": 200}}  # noqa: RUF012
    avoids_tried = False


class TestFull(Held):
    settings = {"strategy": "full"}  # noqa: RUF012
    writer = Writer()
    avoids_tried = False
    whole_files = True


class TestFeedback(Held):
    settings = {"strategy": "feedback"}  # noqa: RUF012
    writer = Writer()


class TestChannels(Held):
    settings = {"strategy": "channels"}  # noqa: RUF012

    def parents(self) -> Sequence[Program]:
        return [program_of(baselines()[name]) for name in ("vgg", "resnet")]


def test_none_is_left_out() -> None:
    held = {str(one.settings["strategy"]) for one in Held.__subclasses__()}
    joining = {name for name, one in STRATEGIES.items() if one.joins(Context())}  # no edits: test_experts.py
    assert held == set(STRATEGIES) - joining - {"outside"}, "which proposes nothing itself"
