"""What strategies make of whole replies: the answer alone is read, and the call keeps all that was said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from deltanas.llm import Message, Model, Reply, Request
from deltanas.program import Program, Refused
from deltanas.propose import Asking, DeltaProposer, FeedbackProposer, FullProposer, Space
from deltanas.propose.asking import ModelProposer, recalled
from deltanas.propose.feedback import FeedbackSettings, advice
from deltanas.propose.widths import read
from deltanas.records import Attempt
from deltanas.seams import Ask, Proposal
from support import block

pytest_plugins = ["tiny_model"]

FREE = Asking(decoding="free")
ADVICE = "Problem: The activation is hard.\nSuggestion: Use a smoother activation."


class Says:
    """Answers with the replies that it is given, one after another, and with the last one for ever."""

    name = "says"
    context = 100_000

    def __init__(self, *texts: str, complete: bool = True) -> None:
        self.texts, self.complete = list(texts), complete
        self.asked: list[Request] = []

    def count(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content) for message in messages) // 4

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked += requests
        return [Reply("p", self._next(), self.complete, 10, 20, 0.5) for _ in requests]

    def _next(self) -> str:
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


DRAFT = block('        self.act = nn.ReLU()  # "quoted" \\n é', "        self.act = nn.Tanh()")
ANSWER = DRAFT.replace("Tanh", "GELU")
WRAPS: dict[str, Callable[[str, str], str]] = {
    "think": lambda draft, answer: f"<think>\n{draft}Too hard.\n</think>\n\n{answer}",
    "reasoning": lambda draft, answer: f"<reasoning>{draft}</reasoning>\n{answer}",
    "closing mark": lambda draft, answer: f"{draft}Too hard.\n</think>\n\n{answer}",
    "brackets": lambda draft, answer: f"[THINK]{draft}[/THINK]{answer}",
    "channels": lambda draft, answer: (
        f"<|channel|>analysis<|message|>{draft}<|end|><|start|>assistant<|channel|>final<|message|>{answer}"
    ),
    "details": lambda draft, answer: f'<details type="reasoning" done="true">\n{draft}</details>\n{answer}',
}


def whole(program: Program, act: str) -> str:
    return f"```python\n{program.net.replace('nn.ReLU()', f'nn.{act}()')}```\n"


def proposed(proposer: ModelProposer, parent: Program) -> Proposal:
    (proposal,) = proposer.propose([Ask(1, 0, 0, "0:1:0:0", parent)])
    return proposal


def strategies(
    parent: Program, wrap: Callable[[str, str], str]
) -> dict[str, tuple[Callable[[Model], ModelProposer], list[str]]]:
    edit, file = wrap(DRAFT, ANSWER), wrap(whole(parent, "Tanh"), whole(parent, "GELU"))
    advised = wrap(ADVICE.replace("smoother", "harder"), ADVICE)
    full = FeedbackSettings(form="full")
    return {
        "delta": (lambda model: DeltaProposer(model, Space(None), FREE), [edit]),
        "full": (lambda model: FullProposer(model, Space(None), FREE), [file]),
        "feedback": (lambda model: FeedbackProposer(model, Space(None), None, FREE), [advised, edit]),
        "feedback, full": (lambda model: FeedbackProposer(model, Space(None), full, FREE), [advised, file]),
    }


@pytest.mark.parametrize("strategy", ["delta", "full", "feedback", "feedback, full"])
@pytest.mark.parametrize("wrap", WRAPS)
def test_a_thought_is_kept_and_never_applied(small: Program, strategy: str, wrap: str) -> None:
    build, texts = strategies(small, WRAPS[wrap])[strategy]
    model = Says(*texts)
    proposal = proposed(build(model), small)
    assert proposal.refusal is None
    assert proposal.program is not None
    assert "nn.GELU()" in proposal.program.net
    assert "Tanh" not in proposal.program.net + proposal.edit + proposal.note
    assert [call.reply for call in proposal.calls] == texts
    if len(texts) == 2:
        assert proposal.goal == "Use a smoother activation."
        assert "harder" not in "".join(message.content for message in model.asked[1].messages)


@pytest.mark.parametrize("text", [f"<think>{DRAFT}", f"<think>\n{DRAFT}</think>\n", f"{DRAFT}</think>"])
def test_a_thought_without_an_answer_is_refused_and_kept(small: Program, text: str) -> None:
    for proposer in (DeltaProposer(Says(text), Space(None), FREE), FullProposer(Says(text), Space(None), FREE)):
        proposal = proposed(proposer, small)
        assert proposal.refusal is not None
        assert "thought" in proposal.refusal.reason
        assert proposal.calls[0].reply == text


def test_what_goes_back_to_the_model_is_its_answer() -> None:
    said = f"<think>\n{DRAFT}</think>\n\n{ANSWER}"
    with_call = Attempt(ANSWER, "exact", "", Refused("novelty", "known"))
    from deltanas.records import Call

    told = recalled([replace(with_call, calls=(Call("m", "p", said, 1, 1, 0.1),))])
    assert told == f"{ANSWER}\nRefused: known"


def test_all_blocks_are_applied_and_kept(small: Program) -> None:
    rename = [
        DRAFT.replace("self.act = nn.Tanh()", "self.gelu = nn.GELU()"),
        block("        x = self.act(self.conv(x))", "        x = self.gelu(self.conv(x))"),
    ]
    for text in ("".join(rename), f"First:\n```\n{rename[1]}```\nThen:\n```\n{rename[0]}```\n"):
        proposal = proposed(DeltaProposer(Says(text), Space(None), FREE), small)
        assert proposal.program is not None
        assert "self.act" not in proposal.program.net
        assert proposal.calls[0].reply == text == proposal.edit


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"Option 1:\n{ANSWER}Option 2:\n{DRAFT}", "offers alternatives"),
        (
            f"{ANSWER}Alternatively:\n" + block("        x = self.pool(x).flatten(1)", "        x = x.mean((2, 3))"),
            "alternatives",
        ),
        (ANSWER + DRAFT, "overlap"),
        (ANSWER + ANSWER.split(">>>>")[0], "no REPLACE line"),
        (ANSWER + block("        self.nothing = 1", "        self.nothing = 2"), "Edit 2 quotes lines"),
    ],
)
def test_half_a_reply_is_never_taken_for_an_edit(small: Program, text: str, reason: str) -> None:
    proposal = proposed(DeltaProposer(Says(text), Space(None), FREE), small)
    assert proposal.program is None
    assert proposal.refusal is not None
    assert reason in proposal.refusal.reason
    assert proposal.calls[0].reply == text


@pytest.mark.parametrize("strategy", ["delta", "full"])
def test_a_reply_that_was_cut_off_proposes_nothing(small: Program, strategy: str) -> None:
    """More blocks may have been to come."""
    build, texts = strategies(small, lambda _, answer: answer)[strategy]
    assert proposed(build(Says(*texts)), small).program is not None
    proposal = proposed(build(Says(*texts, complete=False)), small)
    assert proposal.program is None
    assert proposal.refusal is not None
    assert "cut off after 20 tokens" in proposal.refusal.reason


def test_no_request_ends_at_a_first_block(small: Program) -> None:
    model = Says(ANSWER)
    proposed(DeltaProposer(model, Space(None), FREE), small)
    assert not hasattr(model.asked[0], "stop")


def test_contradicting_widths_and_suggestions_are_none() -> None:
    assert read("w1=8 w2=16 w1=8") == {"w1": 8, "w2": 16}
    assert read("Option 1: w1=8 w2=16\nOption 2: w1=12 w2=16") == {"w2": 16}
    assert advice(ADVICE)[1] == "Use a smoother activation."
    assert advice(f"{ADVICE}\n{ADVICE}")[1] == "Use a smoother activation."
    assert advice(f"{ADVICE}\nSuggestion: Widen.") == ("The activation is hard.", "")


@pytest.mark.parametrize("mark", ["</think>", "<think>", "[/THINK]", "<think> and </think>"])
def test_a_reply_by_the_grammar_holds_no_thought(small: Program, mark: str) -> None:
    """Level `typed` quotes lines of the network, whatever they hold."""
    parent = Program.of(small.net.replace('# "quoted" \\n é', f"# {mark}"))
    lines = f"        self.act = nn.ReLU()  # {mark}\n=>\n        self.act = nn.GELU()  # {mark}"

    class Chooses(Says):
        def generate(self, requests: Sequence[Request]) -> list[Reply]:
            from deltanas.llm.held import fault

            assert requests[0].grammar
            assert fault(requests[0].grammar, lines) == ""
            return super().generate(requests)

    ask = Ask(1, 0, 0, "0:1:0:0", parent)
    offered = DeltaProposer(Chooses(lines), Space(None), Asking(offers=400, choice="any"))
    (proposal,) = offered.propose([ask])
    assert proposal.refusal is None
    assert proposal.program is not None
    assert f"nn.GELU()  # {mark}" in proposal.program.net
