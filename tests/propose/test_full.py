"""Whole programs by a language model: what is taken out of a reply, and that edits and programs are never mixed up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from deltanas.check import ContractGate
from deltanas.errors import EditError
from deltanas.llm import Message, Reply, Request
from deltanas.program import Program, apply_edit
from deltanas.propose import Asking, DeltaProposer, FullProposer, Space
from deltanas.propose.code_blocks import extracted
from deltanas.propose.full import RUNG
from deltanas.records import Draft
from deltanas.seams import Ask, Proposal

pytest_plugins = ["tiny_model"]

CODE = "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    x = 1\n"


class Scripted:
    """Says the same whatever it is asked."""

    name = "scripted"
    context = 100_000

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[Request] = []

    def count(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content) for message in messages) // 4

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked += requests
        return [Reply("prompt", self.text, True, 10, 20, 0.5) for _ in requests]


def proposed(text: str, parent: Program) -> Proposal:
    (proposal,) = FullProposer(Scripted(text), Space(None)).propose([Ask(1, 0, 0, "0:1:0:0", parent)])
    return proposal


@pytest.mark.parametrize(
    "reply",
    [
        f"```python\n{CODE}```",
        f"Here it is:\n\n```python\n{CODE}```\nIt has a class.",
        f"```\n{CODE}```",
        f"~~~py\n{CODE}~~~\n",
        f"```python\n{CODE}",
        f"First install it:\n```bash\npip install torch\n```\nThen:\n```python\n{CODE}```\n",
        f"```python\n{CODE}```\n```python\nclass Other:\n{'    # a longer block' * 30}\n```",
        CODE,
        f"Sure! Below is the code.\n{CODE}",
    ],
)
def test_the_program_is_taken_out_of_fences_and_prose(reply: str) -> None:
    assert extracted(reply) == CODE


@pytest.mark.parametrize("reply", ["", "I can't do that.", "nn.Conv2d is what you want; import it."])
def test_prose_is_no_program(small: Program, reply: str) -> None:
    assert extracted(reply) is None
    proposal = proposed(reply, small)
    assert proposal.program is None
    assert proposal.refusal is not None
    assert (proposal.refusal.stage, proposal.edit) == ("parse", reply)


def test_a_whole_program_is_a_child_of_its_parent_under_a_mark_of_its_own(small: Program) -> None:
    net = small.net.replace("nn.ReLU()", "nn.GELU()")
    proposal = proposed(f"```python\n{net}```", small)
    assert proposal.program is not None
    assert proposal.program.net == net
    assert proposal.program.parent == small.id
    assert (proposal.rung, proposal.refusal) == (RUNG, None)
    (call,) = proposal.calls
    assert (call.model, call.reply_tokens) == ("scripted", 20)
    assert isinstance(ContractGate().judge([Draft(proposal.program)])[0], Draft)


def test_the_file_given_back_is_refused(small: Program) -> None:
    proposal = proposed(f"```python\n{small.net}\n```", small)
    assert proposal.program is None
    assert proposal.refusal is not None
    assert "repeats the file" in proposal.refusal.reason


def test_the_parent_and_a_goal_that_fits_it_are_in_the_prompt(small: Program) -> None:
    model = Scripted(CODE)
    (proposal,) = FullProposer(model, Space(None)).propose([Ask(1, 0, 0, "0:1:0:0", small)])
    (request,) = model.asked
    assert request.grammar is None
    assert any(small.net.rstrip() in message.content for message in request.messages)
    assert request.messages[-1].content.startswith(f"Goal: {proposal.goal}\nNow write the whole new file")


@pytest.mark.parametrize("reply", [CODE, f"```python\n{CODE}```", f"Here is the file.\n\n```python\n{CODE}```\nDone."])
def test_a_whole_program_is_no_edit(small: Program, reply: str) -> None:
    with pytest.raises(EditError, match="no edit"):
        apply_edit(small.net, reply)
    ask = Ask(1, 0, 0, "0:1:0:0", small)
    (proposal,) = DeltaProposer(Scripted(reply), Space(None), Asking(decoding="free")).propose([ask])
    assert proposal.program is None
    assert proposal.refusal is not None


def test_an_edit_is_no_program(small: Program) -> None:
    edit = "<<<<<<< SEARCH\n        self.act = nn.ReLU()\n=======\n        self.act = nn.GELU()\n>>>>>>> REPLACE"
    assert proposed(edit, small).program is None
    fenced = proposed(f"```\n{edit}\n```", small)
    assert fenced.program is not None
    assert not isinstance(ContractGate().judge([Draft(fenced.program)])[0], Draft)
