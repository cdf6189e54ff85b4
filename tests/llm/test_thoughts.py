"""What a model thinks before its answer is kept and set aside, wherever it stands: in a field, or in the text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deltanas.llm import Message, Model, Reply, Request, open_model
from faulty_server import Say, Server, completion, says

pytest_plugins = ["tiny_model"]

GRAMMAR = 'start: "w=" /[0-9]+/\n'


def thinks(text: Any, end: str = "stop", **fields: Any) -> Say:
    """An answer whose message has `fields` beside its content."""
    said = completion("", end=end)
    said["choices"][0]["message"] |= {"content": text, **fields}
    return lambda handler, _: handler.send(200, json.dumps(said))


def asked(server: Server, say: Say, grammar: str | None = None) -> Reply:
    model = open_model(server.spec, timeout=5.0, retries=0)
    server.plan = [say]
    (reply,) = model.generate([Request((Message("user", "Do."),), "0", grammar, max_tokens=32)])
    return reply


@pytest.mark.parametrize(
    ("say", "said"),
    [
        (says("<think>w=1?</think>\n\nw=2"), "<think>w=1?</think>\n\nw=2"),
        (says("w=1?\n</think>\n\nw=2"), "w=1?\n</think>\n\nw=2"),
        (thinks("w=2", reasoning_content="w=1?"), "<think>\nw=1?\n</think>\n\nw=2"),
        (thinks("w=2", reasoning="w=1?"), "<think>\nw=1?\n</think>\n\nw=2"),
        (thinks("\n\nw=2", reasoning_content="w=1? </think> <think>"), None),
        (
            thinks(
                [{"type": "thinking", "thinking": [{"type": "text", "text": "w=1?"}]}, {"type": "text", "text": "w=2"}]
            ),
            "<think>\nw=1?\n</think>\n\nw=2",
        ),
        (thinks("w=2", reasoning_content=None, reasoning={"effort": "low"}), ""),
    ],
)
@pytest.mark.parametrize("grammar", [None, GRAMMAR])
def test_a_servers_thought_is_kept_and_is_no_part_of_the_answer(
    server: Server, say: Say, said: str | None, grammar: str | None
) -> None:
    reply = asked(server, say, grammar)
    assert (reply.text.strip("\n"), reply.error, reply.complete) == ("w=2", "", True)
    assert said is None or reply.said == said
    assert said == "" or "w=1?" in reply.said


@pytest.mark.parametrize(
    ("say", "reason"),
    [
        (thinks(None, "length", reasoning_content="w=1? Or"), "ends within its thought"),
        (thinks("", reasoning="w=1?"), "no answer"),
        (says("<think>w=1? Or", end="length"), "ends within its thought"),
        (says("<think>w=1?</think>\n"), "no answer"),
        (says("<|channel|>analysis<|message|>w=1? Or", end="length"), "ends within its thought"),
    ],
)
def test_a_thought_without_an_answer_is_told_as_such(server: Server, say: Say, reason: str) -> None:
    reply = asked(server, say)
    assert (reply.text.strip(), reply.complete) == ("", False)
    assert reason in reply.error
    assert "w=1?" in reply.said


@pytest.mark.parametrize("end", ["stop", "eos", "end_turn", None])
def test_a_reply_that_ends_by_itself_is_complete(server: Server, end: str | None) -> None:
    assert asked(server, thinks("yes", end=end)).complete  # type: ignore[arg-type]


THINKING = {
    "opened": ("<|assistant|><think>\n", "<|assistant|><think>\n\n</think>\n\n"),
    "asked not to": (
        "<|assistant|>{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}",
        "<|assistant|><think></think>",
    ),
    "in brackets": ("<|assistant|>[THINK]", "<|assistant|>[THINK]\n[/THINK]\n\n"),
    "another name": ("<|assistant|><seed:think>", "<|assistant|><seed:think>\n</seed:think>\n\n"),
    "channels": ("<|start|>assistant", "<|start|>assistant<|channel|>final<|message|>"),
    "none": ("<|assistant|>", "<|assistant|>"),
}


@pytest.mark.parametrize("name", THINKING)
def test_a_template_that_opens_a_thought_has_it_closed(name: str, tiny_folder: Path) -> None:
    from transformers import AutoTokenizer

    from deltanas.llm.local import LocalModel

    opening, wanted = THINKING[name]
    model = open_model(f"path:{tiny_folder}")
    assert isinstance(model, LocalModel)
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.chat_template = (
        "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
        f"{{% if add_generation_prompt %}}{opening}{{% endif %}}"
    )
    model = LocalModel("tiny", model.network, tokenizer)
    (reply,) = model.generate([Request((Message("user", "Do."),), "0", GRAMMAR, max_tokens=8)])
    assert reply.prompt == f"<|user|>Do.<|end|>{wanted}"
    assert reply.text.startswith("w=")
    row = model.row((Message("user", "Do."),), "w=2")
    assert row.begin == reply.prompt_tokens, "lessons are read after the same prompt"


def test_a_thought_that_a_local_model_writes_is_set_aside(tiny: Model) -> None:
    (reply,) = tiny.generate([Request((Message("user", "Do."),), "0", 'start: "<think>a</think>b"\n')])
    heard = reply.heard()
    assert (heard.text, heard.said, heard.error) == ("b", "<think>a</think>b", "")
    assert heard.heard() == heard
