"""Two roles and a memory: what is remembered, that it stays small, that nothing is asked for twice, and resuming."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from llguidance import LLMatcher, LLTokenizer

from deltanas.archive import RunArchive, create_run, open_run, sqlite_url
from deltanas.journal import Journal
from deltanas.llm import Message, Model, Reply, Request
from deltanas.novelty import NoveltyGate
from deltanas.plan import Plan
from deltanas.program import Failed, Program, Refused, Trained, edits_of
from deltanas.propose import Asking, FeedbackProposer, Space
from deltanas.propose.feedback import ADVICE, FIELD, FeedbackSettings, Form, Trial, window
from deltanas.propose.prompt import render
from deltanas.records import Attempt, Call, Candidate, Draft, Telemetry
from deltanas.seams import Ask, Built, Split, silent
from deltanas.search import Search

pytest_plugins = ["tiny_model"]

ADVISED = "Problem: It is slow.\nSuggestion: Make it faster."


class StopError(Exception):
    """Stands for a kill."""


class Talker:
    """Gives long advice, and one of the offered edits, by the key of the request alone; a whole program if asked."""

    name = "talker"
    context = 100_000

    def __init__(self) -> None:
        self.advised: list[Request] = []
        self.written: list[Request] = []

    def count(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content) for message in messages) // 4

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        return [Reply(request.messages[-1].content, self._said(request), True, 10, 20, 0.5) for request in requests]

    def _said(self, request: Request) -> str:
        rng = Random(request.key)
        if request.key.endswith(":advice"):
            self.advised.append(request)
            return f"Problem: {'slow ' * 90}\nSuggestion: Try {rng.random()} {'more ' * rng.randrange(5, 90)}"
        self.written.append(request)
        if request.grammar is None:
            return f"```python\n{source(request)}\n# {rng.random()}\nx = {rng.random()}\n```"
        rules = [re.findall(r'"(?:[^"\\]|\\.)*"', line) for line in request.grammar.splitlines()[1:]]
        old, *news = map(json.loads, rng.choice(rules))
        return f"{old}{rng.choice(news)}"


def source(request: Request) -> str:
    found = next(message.content for message in request.messages[::-1] if "class Net" in message.content)
    return found.split("```python\n")[1].split("\n```")[0]


class Scores:
    """Scores by identity; some trainings fail, with a long reason. `fuse`: trainings until it stops."""

    tier = "C"

    def __init__(self, fuse: int = 10**9) -> None:
        self.fuse = fuse

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        raise AssertionError("no gate here builds")

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        for place, program in enumerate(programs):
            self.fuse -= 1
            if self.fuse < 0:
                raise StopError
            share = int(hashlib.sha256(program.id.encode()).hexdigest(), 16) % 1000 / 1000
            failed = share < 0.2 and program.parent
            yield place, Failed("error", "no " * 200, 1, 1, "C") if failed else Trained(share, 100, seed, 1, 1, "C")


def searched(
    archive: RunArchive, small: Program, cycles: int, *, form: Form = "delta", most: int = 5, fuse: int = 10**9
) -> Talker:
    talker = Talker()
    proposer = FeedbackProposer(talker, Space(None), FeedbackSettings(window=most, form=form), Asking(max_prompt=9999))
    plan = Plan(cycles=cycles, candidates=1, seed=2, finals=0)
    Search(plan, {"small": small}, proposer, [], NoveltyGate(), Scores(fuse), archive, silent).run()
    return talker


@pytest.mark.parametrize(("form", "cycles"), [("delta", 100), ("full", 25)])
def test_the_prompt_stays_as_long_and_nothing_is_tried_twice(
    tmp_path: Path, small: Program, form: Form, cycles: int
) -> None:
    with create_run(sqlite_url(tmp_path / "archive.db"), "run", {}) as archive:
        talker = searched(archive, small, cycles, form=form)
        candidates = archive.candidates()
    full = [Trial("x" * FIELD, "x" * FIELD, "x" * FIELD)] * 5
    kinds = sorted({edit.kind for edit in edits_of(small.net)})
    longest = render("advice", source="", trials=full, facts=["x" * 80], kinds=kinds)
    bound = sum(len(message.content) for message in longest)
    lengths = [sum(len(m.content) for m in one.messages) - len(source(one)) for one in talker.advised]
    assert len(lengths) >= cycles
    assert max(lengths) <= bound
    assert min(lengths[10:]) > lengths[0] + 5 * FIELD, "the window is full from the sixth on"
    assert len({len(one.messages) for one in talker.advised}) == 1
    evaluated = [c.program.id for c in candidates if c.program and not isinstance(c.outcome, Refused)]
    assert len(evaluated) == len(set(evaluated)) == cycles + 1
    edits = [(c.parent, attempt.edit) for c in candidates if c.cycle for attempt in c.attempts]
    assert len(edits) == len(set(edits)) >= cycles
    rungs = {attempt.rung for c in candidates if c.cycle for attempt in c.attempts}
    assert rungs == ({"full"} if form == "full" else {"exact"})


def test_a_killed_run_remembers_what_it_did(tmp_path: Path, small: Program) -> None:
    def prompts(archive: RunArchive) -> list[str]:
        return [call.prompt for c in archive.candidates() for attempt in c.attempts for call in attempt.calls]

    with create_run(sqlite_url(tmp_path / "one.db"), "run", {}) as archive:
        searched(archive, small, 12)
        expected = prompts(archive)
    assert "Outcome: " in expected[-2]
    url = sqlite_url(tmp_path / "two.db")
    with create_run(url, "run", {}) as archive, pytest.raises(StopError):
        searched(archive, small, 12, fuse=8)
    with open_run(url, "run", writer=True) as archive:
        talker = searched(archive, small, 12)
        assert prompts(archive) == expected
    assert len(talker.advised) == 12 - 8


def row(cycle: int, parent: str | None, outcome: Trained | Failed | Refused, said: str, net: str) -> Candidate:
    refusal = outcome if isinstance(outcome, Refused) else None
    calls = (Call("m", "p", said, 1, 1, 1.0), Call("m", "p", "the edit", 1, 1, 1.0))
    attempts = (Attempt("edit", "exact", "goal", refusal, calls, note=said),)
    return Candidate(cycle, 0, "feedback", parent, Draft(Program.of(net)), attempts, outcome)


def test_the_window_holds_the_last_trials_and_failures_are_trials(small: Program) -> None:
    def said(number: int) -> str:
        return f"**Problem**: p{number}\n\n**Suggestion**: s{number}\n"

    base = Candidate(0, 0, "baseline", None, Draft(small), (), Trained(0.5, 10, 0, 1, 1, "C"))
    journal = (
        base,
        row(1, small.id, Trained(0.625, 10, 0, 1, 1, "C"), said(1), "a = 1"),
        row(2, small.id, Failed("timeout", "too\nslow", 1, 1, "C"), said(2), "a = 2"),
        row(3, "unknown", Trained(0.25, 10, 0, 1, 1, "C"), said(3), "a = 3"),
        row(4, small.id, Refused("build", "x" * 999), said(4), "a = 4"),
        row(5, small.id, Refused("parse", "no advice"), "I can't say.", "a = 5"),
    )
    earlier = row(6, small.id, Refused("novelty", "known"), said(6), "a = 6").attempts
    ask = Ask(6, 0, 1, "0:6:0:1", small, earlier, journal=Journal(journal))
    assert window(ask, 5) == [
        Trial("p1", "s1", "62.5 % accuracy, +12.5 points"),
        Trial("p2", "s2", "training failed (timeout): too slow"),
        Trial("p3", "s3", "25.0 % accuracy"),
        Trial("p4", "s4", f"refused (build): {'x' * (FIELD - 20)}..."),
        Trial("p6", "s6", "refused (novelty): known"),
    ]
    assert [trial.problem for trial in window(ask, 2)] == ["p4", "p6"]
    assert window(ask, 0) == []


def test_both_calls_are_on_record_and_the_suggestion_is_the_goal(tiny: Model, small: Program) -> None:
    ask = Ask(1, 0, 0, "0:1:0:0", small, telemetry=Telemetry(0.5, 100))
    (proposal,) = FeedbackProposer(tiny, Space(None)).propose([ask])
    improver, generator = proposal.calls
    assert "The network reaches 50.0 % accuracy with 100 parameters." in improver.prompt
    assert " ".join(improver.reply.split()).endswith(f"Suggestion: {proposal.goal}")
    assert f"Goal: {proposal.goal}" in generator.prompt
    assert (proposal.rung, proposal.refusal) == ("exact", None)


@pytest.mark.parametrize("reply", ["", "Problem: It is slow.", "Make it wider."])
def test_advice_without_a_suggestion_is_refused_with_its_call(small: Program, reply: str) -> None:
    class Mute(Talker):
        def _said(self, request: Request) -> str:
            return reply

    (proposal,) = FeedbackProposer(Mute(), Space(None)).propose([Ask(1, 0, 0, "0:1:0:0", small)])
    assert (proposal.program, len(proposal.calls)) == (None, 1)
    assert proposal.refusal
    assert (proposal.refusal.stage, proposal.edit) == ("parse", reply)


def test_the_grammar_takes_two_lines_of_bounded_length() -> None:
    def accepts(text: str) -> bool:
        matcher = LLMatcher(LLTokenizer("byte"), ADVICE, log_level=0)
        assert not matcher.is_error(), matcher.get_error()
        return bool(matcher.consume_tokens(list(text.encode()))) and bool(matcher.is_accepting())

    assert accepts(ADVISED)
    for text in ("", ADVISED.split("\n")[0], ADVISED + "\n\n", ADVISED + "x" * FIELD, ADVISED.replace("It", "it")):
        assert not accepts(text)
