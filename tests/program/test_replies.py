"""Whole replies of models: a thought is never applied, all blocks are one edit, and alternatives are refused."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltanas.errors import EditError
from deltanas.program import AppliedEdit, apply_edit, diff
from deltanas.program.thoughts import MOST_MARKS, spoken
from support import block

BASE = """class Net(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(3, 16, 3)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return self.fc(self.drop(self.act(self.conv(x))))
"""


DRAFT = block("        self.drop = nn.Dropout(0.1)", "        self.drop = nn.Dropout(0.9)")
ANSWER = block("        self.act = nn.ReLU()", "        self.act = nn.GELU()")
WANTED = AppliedEdit(BASE.replace("ReLU", "GELU"), "exact")
UNFINISHED = DRAFT.split(">>>>")[0]
THOUGHT = f"First thought:\n{DRAFT}Far too much.\n"
DRAFTED_DIFF = "@@ -5,1 +5,1 @@\n-        self.drop = nn.Dropout(0.1)\n+        self.drop = nn.Dropout(0.9)\n"

THOUGHTS = {
    "think": f"<think>\n{THOUGHT}</think>\n\n{ANSWER}",
    "thinking": f"<thinking>{THOUGHT}</thinking>{ANSWER}",
    "reasoning": f"<reasoning>\n{THOUGHT}</reasoning>\n{ANSWER}",
    "thought": f"<thought>\n{THOUGHT}</thought>\n{ANSWER}",
    "scratchpad": f"<scratchpad>\n{THOUGHT}</scratchpad>\n<answer>\n{ANSWER}</answer>\n",
    "capitals": f"<THINK>\n{THOUGHT}</THINK>\n{ANSWER}",
    "attributes": f'<think budget="512">\n{THOUGHT}</think>\n{ANSWER}',
    "a name before the tag's": f"<seed:think>{THOUGHT}</seed:think>{ANSWER}",
    "CRLF": f"<think>\n{THOUGHT}</think>\n\n{ANSWER}".replace("\n", "\r\n"),
    "words before it": f"Let me see.\n<think>\n{THOUGHT}</think>\n{ANSWER}",
    "in a line": f"Well. <think>{THOUGHT}</think> So:\n{ANSWER}",
    "two thoughts": f"<think>{THOUGHT}</think>\nHm.\n<think>{THOUGHT}</think>\n{ANSWER}",
    "a thought behind the answer": f"{ANSWER}<think>\n{THOUGHT}</think>\n",
    "a thought in a thought": f"<think>\n<think>\n{DRAFT}</think>\n{THOUGHT}</think>\n{ANSWER}",
    "empty": f"<think>\n\n</think>\n\n{ANSWER}",
    "closing mark alone": f"{THOUGHT}</think>\n\n{ANSWER}",
    "closing mark at a line's end": f"{THOUGHT}So, not that.</think>\n{ANSWER}",
    "closing mark before the answer": f"{THOUGHT}</think>{ANSWER}",
    "closing mark after half a block": f"{UNFINISHED}no.\n</think>\n{ANSWER}",
    "closing mark after half a code block": f"```python\nx = 1\nno.\n</think>\n```\n{ANSWER}```\n",
    "closing mark between halves of code blocks": f"```python\nx = 1\nno, no.\n</think>\n```\n{ANSWER}",
    "closing mark behind a draft's end": f"{THOUGHT}{DRAFT.rstrip()}</think>\n{ANSWER}",
    "closing mark after a diff": f"{DRAFTED_DIFF}no.\n</think>\n{ANSWER}",
    "a closing mark that is spoken of": f"<think>I close with `</think>` then.\n{THOUGHT}</think>\n{ANSWER}",
    "brackets": f"[THINK]{THOUGHT}[/THINK]{ANSWER}",
    "triangles": f"◁think▷{THOUGHT}◁/think▷{ANSWER}",
    "begin of thought": f"<|begin_of_thought|>{THOUGHT}<|end_of_thought|>\n<|begin_of_solution|>\n{ANSWER}",
    "start thinking": f"<|START_THINKING|>{THOUGHT}<|END_THINKING|><|START_RESPONSE|>\n{ANSWER}",
    "channels": f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
    "channels, ended": (
        f"<|start|>assistant<|channel|>analysis<|message|>{THOUGHT}<|end|>"
        f"<|start|>assistant<|channel|>commentary<|message|>{THOUGHT}<|end|>"
        f"<|start|>assistant<|channel|>final<|message|>{ANSWER}<|return|>"
    ),
    "channels, the first opened before": f"{THOUGHT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
    "channels without their marks": f"analysisWe try. {THOUGHT}assistantfinal{ANSWER}",
    "another channel": f"<|channel>thought\n{THOUGHT}<channel|>{ANSWER}",
    "as a terminal shows it": f"Thinking...\n{THOUGHT}...done thinking.\n\n{ANSWER}",
    "as a page shows it": (
        f'<details type="reasoning" done="true">\n<summary>Thought for 3 s</summary>\n{THOUGHT}</details>\n{ANSWER}'
    ),
    "the answer in a fence": f"<think>\n{THOUGHT}</think>\n```python\n{ANSWER}```\n",
    "the answer is a diff": f"<think>\n{THOUGHT}</think>\n{diff(BASE, WANTED.source)}",
}


@pytest.mark.parametrize("name", THOUGHTS)
def test_what_is_thought_is_not_applied(name: str) -> None:
    assert apply_edit(BASE, THOUGHTS[name]) == WANTED


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>\n{THOUGHT}",
        f"<thinking>{DRAFT}",
        f"<think>\n{DRAFT}</think>\n",
        f"<|channel|>analysis<|message|>{DRAFT}",
        f"analysisWe try. {DRAFT}",
        f"{DRAFT}</think>",
        "<think></think>" * MOST_MARKS + ANSWER,
    ],
)
def test_a_thought_alone_is_no_edit(reply: str) -> None:
    with pytest.raises(EditError, match="a thought and no edit") as caught:
        apply_edit(BASE, reply)
    assert caught.value.edit == 0


@pytest.mark.parametrize(
    "heading", ["[Plan]", "[Analysis] Two ways.", "[REASONING]", "[Draft]", "[Thoughts]\nIt is hard."]
)
def test_a_heading_in_brackets_is_no_thought(heading: str) -> None:
    assert apply_edit(BASE, f"{heading}\n{ANSWER}") == WANTED
    assert apply_edit(BASE, f"<think>\n{THOUGHT}</think>\n{heading}\n{ANSWER}") == WANTED
    word = heading[1:].partition("]")[0]
    assert apply_edit(BASE, f"{heading}\n{THOUGHT}[/{word}]\n{ANSWER}") == WANTED


def test_a_long_program_with_many_marks_takes_no_minute() -> None:
    program = "import a\n" + "x = 1\n" * 2_000 + "# <think>\n" * (MOST_MARKS - 10)
    began = process_time()
    assert spoken(program).answer == program
    assert process_time() - began < 5


SPEAKING = [
    'TAGS = ("<think>", "</think>")\n',
    "x = 1  # <think> twice </think>\n",
    '"""\n<think>\nof it\n</think>\n"""\n',
    "# </think>\n",
    'STOP = "<|channel|>final<|message|>"\n',
    "[THINK]\n[/THINK]\n",
]


@pytest.mark.parametrize("lines", SPEAKING)
@pytest.mark.parametrize("before", ["", "<think>\nno\n</think>\n\n", "no\n</think>\n\n", "Like this.\n\n"])
def test_a_network_that_holds_such_marks_is_edited_as_any(lines: str, before: str) -> None:
    base = f"{lines}a = 1\n{lines.replace('1', '2')}"
    whole = lines + "a = 1"
    for wanted in (base.replace("a = 1", "a = 2"), base.replace(lines, "b = 3\n", 1)):
        old = whole if "b = 3" in wanted else f"a = 1\n{lines.replace('1', '2')}".rstrip("\n")
        new = "b = 3\na = 1" if "b = 3" in wanted else old.replace("a = 1", "a = 2")
        assert apply_edit(base, before + block(old, new)).source == wanted
        assert apply_edit(base, before + diff(base, wanted)).source == wanted
        assert apply_edit(base, f"{before}```diff\n{diff(base, wanted)}```\n").source == wanted


@pytest.mark.parametrize("lines", SPEAKING[:5])
def test_a_program_that_holds_such_marks_is_an_answer(lines: str) -> None:
    program = f"import torch\n{lines}\n\nclass Net:\n    pass\n"
    for reply in (program, f"```python\n{program}```\n"):
        assert spoken(reply).answer == reply


TAGGED = st.lists(st.sampled_from(["a", "", "<think>", "</think>", "# </think>", '"<think>"', "[THINK]"]), max_size=6)


@settings(max_examples=300, deadline=None)
@given(TAGGED, TAGGED)
def test_a_diff_of_texts_with_marks_is_read_as_it_is_written(old: list[str], new: list[str]) -> None:
    base, edited = ("".join(f"{line}\n" for line in lines) for lines in (old, new))
    if base != edited:
        assert apply_edit(base, diff(base, edited)) == AppliedEdit(edited, "exact")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from([DRAFT, "Hm.\n", "```\n", "<<<<<<< SEARCH\n", "@@ -1 +1 @@\n-a\n", "`</think>`\n"]), max_size=5
    )
)
def test_no_thought_is_applied_whatever_it_holds(pieces: list[str]) -> None:
    assert apply_edit(BASE, f"<think>\n{''.join(pieces)}</think>\n\n{ANSWER}") == WANTED


SECOND = block("        self.fc = nn.Linear(16, 10)", "        self.fc = nn.Linear(16, 12)")
BOTH = AppliedEdit(WANTED.source.replace("16, 10", "16, 12"), "exact")
RENAME = [
    block("        self.act = nn.ReLU()", "        self.relu = nn.ReLU()"),
    block("self.fc(self.drop(self.act(self.conv(x))))", "self.fc(self.drop(self.relu(self.conv(x))))").replace(
        "self.fc(self.drop", "        return self.fc(self.drop"
    ),
]


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        (f"Both changes belong together.\n\n{ANSWER}\n{SECOND}", BOTH),
        (f"First the activation:\n```python\n{ANSWER}```\nThen the classifier:\n```python\n{SECOND}```\n", BOTH),
        (f"Step 1\n{ANSWER}\nStep 2\n{SECOND}", BOTH),
        (f"1. Use GELU.\n\n{ANSWER}\n2. Widen.\n\n{SECOND}\nThis keeps option A open, or so I hope.", BOTH),
        (f"### Change 1\n{SECOND}### Change 2\n{ANSWER}", BOTH),
        (f"\ufeff{ANSWER}\nThen select one unit more, and choose any width:\n{SECOND}", BOTH),
        (f"```diff\n{ANSWER}```\n- wider:\n```diff\n{SECOND}```\n", BOTH),
        (f"{ANSWER}{ANSWER}{SECOND}", BOTH),
        (f"Of two options I take option 2:\n{ANSWER}and with it\n{SECOND}", BOTH),
        ("".join(RENAME), AppliedEdit(BASE.replace("self.act", "self.relu"), "exact")),
        ("".join(RENAME[::-1]), AppliedEdit(BASE.replace("self.act", "self.relu"), "exact")),
        (f"```diff\n{diff(BASE, WANTED.source)}```\nand\n```diff\n@@\n-    def forward(self, x):\n"
         "+    def forward(self, y, x):\n```\n", AppliedEdit(WANTED.source.replace("self, x", "self, y, x"), "exact")),
    ],
)  # fmt: skip
def test_all_blocks_of_a_reply_are_one_edit(reply: str, wanted: AppliedEdit) -> None:
    assert apply_edit(BASE, reply) == wanted


ALTERNATIVES = [
    (f"Option 1:\n{ANSWER}\nOption 2:\n{SECOND}", "offers alternatives"),
    (f"**Option A** (smoother)\n```\n{ANSWER}```\n**Option B** (wider)\n```\n{SECOND}```\n", "offers alternatives"),
    (f"## Approach 1\n{ANSWER}\n## Approach 2\n{SECOND}", "offers alternatives"),
    (f"{ANSWER}\nAlternatively, widen the classifier:\n\n{SECOND}", "offers alternatives"),
    (f"{ANSWER}\nThis is smooth. Alternatively:\n{SECOND}", "offers alternatives"),
    (f"{ANSWER}\nor\n\n{SECOND}", "offers alternatives"),
    (f"{ANSWER}\nAnother option is a wider one:\n{SECOND}", "offers alternatives"),
    (f"The first option:\n{ANSWER}\nThe second option:\n{SECOND}", "offers alternatives"),
    (f"If you prefer:\n{ANSWER}\nIf you prefer width:\n{SECOND}", "offers alternatives"),
    (f"{ANSWER}\nA different approach:\n{SECOND}", "offers alternatives"),
    (f"v1:\n{ANSWER}\nv2:\n{SECOND}", "offers alternatives"),
    (f"Variante 1:\n{ANSWER}\nVariante 2:\n{SECOND}", "offers alternatives"),
    (f"方案一:\n{ANSWER}\n方案二:\n{SECOND}", "offers alternatives"),
    (f"Pick one of these:\n{ANSWER}\n{SECOND}", "offers alternatives"),
    (f"Here are two options, choose either:\n{ANSWER}\n---\n{SECOND}", "offers alternatives"),
    (f"**Thinking:**\n{ANSWER}\n**Answer:**\n{SECOND}", "revises itself"),
    (f"### Reasoning\n{ANSWER}\n### Final\n{SECOND}", "revises itself"),
    (f"Draft:\n{ANSWER}\nFinal edit:\n{SECOND}", "revises itself"),
    (f"{ANSWER}\n```diff\n-        self.head = old\n+        self.head = new\n```\n", "a hunk of a diff among SEARCH"),
    (f"{ANSWER}\nWait, that is not the goal.\n\n{SECOND}", "revises itself"),
    (f"{ANSWER}\nOn second thought:\n{SECOND}", "revises itself"),
    (f"{ANSWER}\nHere is the corrected version:\n{SECOND}", "revises itself"),
    (f"Draft 1\n{ANSWER}\nDraft 2\n{ANSWER.replace('GELU', 'SiLU')}", "offers alternatives"),
    (
        f"Option 1:\n```diff\n{DRAFTED_DIFF}```\nOption 2:\n```diff\n{diff(BASE, WANTED.source)}```\n",
        "offers alternatives",
    ),
    (f"Option 1:\n{DRAFTED_DIFF}\nOption 2:\n{diff(BASE, WANTED.source)}", "offers alternatives"),
    (f"{ANSWER}{ANSWER.replace('GELU', 'SiLU')}", "overlap at line 4"),
    (f"{ANSWER}Better:\n{ANSWER.replace('nn.GELU()', 'nn.Mish()')}", "overlap at line 4"),
    (
        ANSWER + block("        self.act = nn.GELU()", "        self.act = nn.SiLU()"),
        "Edit 2 quotes lines that an edit before",
    ),
    (ANSWER + block("nn.Gulu", "nn.Gelu"), "Edit 2 quotes lines that the file does not have"),
]


@pytest.mark.parametrize(("reply", "reason"), ALTERNATIVES)
def test_a_reply_of_several_edits_is_refused_with_the_reason(reply: str, reason: str) -> None:
    with pytest.raises(EditError, match=reason) as caught:
        apply_edit(BASE, reply)
    assert caught.value.hint
    assert caught.value.edit == 2
