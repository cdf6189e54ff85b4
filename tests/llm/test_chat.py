"""Chat templates as they come with models: what they refuse, and what they leave out without a word."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers

from deltanas.errors import ModelError
from deltanas.llm import Lesson, Message, Request, open_model
from deltanas.llm.chat import SAMPLE, Chat
from deltanas.llm.local import LocalModel
from deltanas.llm.model import plain_turns
from deltanas.rehearsal import rehearse

pytest_plugins = ["tiny_model"]

LOOP = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + LOOP
STRICT = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/...') }}{% endif %}{% endfor %}"
) + LOOP
SILENT = "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
PARTS = (
    "{% for m in messages %}<|{{ m.role }}|>{% for p in m.content %}{{ p.text.strip() }}{% endfor %}<|end|>{% endfor %}"
)
PARTS_NO_SYSTEM = PARTS.replace("<|{{", "{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}<|{{", 1)
UNUSABLE = {
    "syntax": ("{% for m in messages %}{{ m.content }}", "Unexpected end of template"),
    "a name": (LOOP + "{{ date.year }}", "'date' is undefined"),
    "an attribute": (LOOP + "{{ messages[0].when.year }}", "has no attribute 'when'"),
    "a type": (LOOP + "{{ 1 + 'a' }}", "unsupported operand"),
    "a division": (LOOP + "{{ 1 / 0 }}", "division by zero"),
    "a filter": ("{{ messages | nothing }}", "No filter named"),
    "a range": (LOOP + "{% for i in range(10 ** 9) %}{% endfor %}", "Range too big"),
    "a refusal": ("{{ raise_exception('Only tools may speak') }}", "Only tools may speak"),
    "nothing": ("<|assistant|>", "it leaves out what the system says"),
}


@pytest.fixture
def tokenizer(tiny_folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(tiny_folder)


def saved(folder: Path, tiny_folder: Path, template: str | None) -> Path:
    """A copy of the tiny model with another chat template."""
    copy = Path(shutil.copytree(tiny_folder, folder / "model"))
    (copy / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((copy / "tokenizer_config.json").read_text("utf-8"))
    settings.pop("chat_template", None)
    (copy / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    if template is not None:
        (copy / "chat_template.jinja").write_text(template, "utf-8")
    return copy


@pytest.mark.parametrize(
    ("template", "said", "plain"),
    [
        (LOOP, "", False),
        (NO_SYSTEM, "knows no system role", True),
        (STRICT, "knows no system role", True),
        (SILENT, "knows no system role", True),
        (PARTS, "lists of parts", False),
        (PARTS_NO_SYSTEM, "no system role, and takes lists", True),
    ],
    ids=["all", "no system", "strict turns", "system left out", "parts", "parts, no system"],
)
def test_a_template_gets_the_chat_in_a_form_that_it_takes(
    tokenizer: Any, caplog: pytest.LogCaptureFixture, template: str, said: str, plain: bool
) -> None:
    tokenizer.chat_template = template
    with caplog.at_level(logging.WARNING):
        chat = Chat(tokenizer, "path:mine")
    assert [said in record.getMessage() for record in caplog.records] == [True] * bool(said)
    turns = plain_turns(SAMPLE) if plain else SAMPLE
    text = chat.text(SAMPLE)
    assert text == "".join(f"<|{role}|>{content}<|end|>" for role, content in turns)
    longer = (*SAMPLE, Message("assistant", "A3"), Message("user", "U4"))
    assert chat.text(longer).startswith(chat.stem(longer, chat.text(longer)))


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_template_of_no_use_is_one_line(tokenizer: Any, tmp_path: Path, tiny_folder: Path, name: str) -> None:
    template, words = UNUSABLE[name]
    tokenizer.chat_template = template
    with pytest.raises(ModelError, match="writes no prompt") as caught:
        Chat(tokenizer, "path:mine")
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    folder = saved(tmp_path, tiny_folder, template)
    with pytest.raises(ModelError, match="writes no prompt"):
        open_model(f"path:{folder}")
    lacks = rehearse({"model": {"spec": f"path:{folder}"}, "baselines": ["mlp"]}).lacks
    assert any(words in lack.message for lack in lacks)
    # The hint, followed: another template mends it.
    assert "chat_template" in caught.value.hint
    (folder / "chat_template.jinja").write_text(NO_SYSTEM, "utf-8")
    open_model(f"path:{folder}")


def test_no_template_is_plain_text_and_said(
    tmp_path: Path, tiny_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        model = open_model(f"path:{saved(tmp_path, tiny_folder, None)}")
    assert "has no chat template" in caplog.text
    assert model.generate([Request(SAMPLE, "k", max_tokens=2)])[0].prompt == "S0\n\nU1\n\nA1\n\nU2\n\n"


@pytest.mark.parametrize("template", [NO_SYSTEM, STRICT, SILENT], ids=["no system", "strict turns", "left out"])
def test_a_model_without_a_system_role_is_asked_and_taught(tmp_path: Path, tiny_folder: Path, template: str) -> None:
    folder = saved(tmp_path, tiny_folder, template)
    model = open_model(f"path:{folder}")
    ask = Request(SAMPLE, "k", max_tokens=4)
    first, second = model.generate([ask, Request((*SAMPLE[:-1], Message("user", "U3")), "k", max_tokens=4)])
    assert first.prompt.startswith("<|user|>S0\n\nU1<|end|>")
    assert first.prompt_tokens == model.count(SAMPLE)
    assert second.prompt.endswith("U3<|end|>")
    assert isinstance(model, LocalModel)
    (loss,) = model.losses([Lesson(SAMPLE, "ok", "a")])
    assert loss.tokens == 3
    assert rehearse({"model": {"spec": f"path:{folder}"}, "baselines": ["mlp"]}).lacks == ()
