"""Batched decoding: rows do not disturb each other, and each is held to its own grammar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from deltanas.errors import ModelError
from deltanas.llm import Message, Model, Reply, Request
from deltanas.llm.local import LocalModel, nucleus_draw

pytest_plugins = ["tiny_model"]

CHOICE = 'start: "pick " ("one" | "two thousand and three" | "three") "!"'


def chat(*turns: str) -> tuple[Message, ...]:
    roles = ("user", "assistant") * len(turns)
    return tuple(Message(role, turn) for role, turn in zip(roles, turns, strict=False))  # type: ignore[arg-type]


def texts(replies: list[Reply]) -> list[str]:
    return [reply.text for reply in replies]


def test_no_request_gives_no_reply(tiny: Model) -> None:
    assert tiny.generate([]) == []


def test_greedy_rows_of_unlike_length_equal_transformers_own_greedy_search(tiny: Model, tiny_folder: Path) -> None:
    chats = [chat("x"), chat("shared", "so", "first end"), chat("shared", "so", "no"), chat("shared", "else", "a" * 70)]
    replies = tiny.generate([Request(one, key="k", temperature=0, max_tokens=24) for one in chats])

    model: Any = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_folder)
    for one, reply in zip(chats, replies, strict=True):
        prompt = tokenizer.apply_chat_template([m._asdict() for m in one], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
        expected = model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24, pad_token_id=0
        )[0, ids.shape[1] :]
        ended = tokenizer.eos_token_id in expected.tolist()
        assert reply.prompt == prompt
        assert reply.prompt_tokens == ids.shape[1] == tiny.count(one)
        assert reply.complete == ended
        assert reply.reply_tokens == len(expected) - ended
        assert reply.text == tokenizer.decode(expected[: reply.reply_tokens])


def test_draws_depend_on_the_key_alone(tiny: Model) -> None:
    def ask(key: str, last: str = "go") -> Request:
        return Request(chat("one", "two", last), key=key, max_tokens=20)

    alone = texts(tiny.generate([ask("a")]))
    among = texts(tiny.generate([ask("b"), ask("c", "a longer end"), ask("a")]))
    assert among[2] == alone[0]
    assert among[0] != among[2]
    assert texts(tiny.generate([ask("b"), ask("c", "a longer end"), ask("a")])) == among


def test_every_reply_is_of_its_rows_grammar(tiny: Model) -> None:
    other = 'start: "x" | "xy" | "xyz"'
    keys = [str(number) for number in range(40)]
    requests = [
        Request(chat("go"), key, grammar=CHOICE if number % 2 else other, temperature=2, top_p=1)
        for number, key in enumerate(keys)
    ]
    replies = tiny.generate(requests)
    assert all(reply.complete for reply in replies)
    assert {reply.text for reply in replies[1::2]} == {"pick one!", "pick two thousand and three!", "pick three!"}
    assert {reply.text for reply in replies[::2]} == {"x", "xy", "xyz"}
    assert all(reply.reply_tokens == len(reply.text) for reply in replies)


def test_forced_text_costs_no_step_of_its_own(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    forward = transformers.LlamaForCausalLM.forward

    def counted(self: object, **inputs: object) -> object:
        steps.append(inputs)
        return forward(self, **inputs)

    monkeypatch.setattr(transformers.LlamaForCausalLM, "forward", counted)
    (reply,) = tiny.generate([Request(chat("go"), key="k", grammar=f'start: "{"a" * 200}" ("b" | "c") "{"d" * 200}"')])
    assert len(reply.text) == 401
    assert len(steps) == 1


def test_a_reply_is_cut_off_at_max_tokens(tiny: Model) -> None:
    grammar = "start: /[ab]{40}/"
    long, short = tiny.generate([Request(chat("go"), key="k", grammar=grammar, max_tokens=n) for n in (40, 39)])
    assert long.complete
    assert not short.complete
    assert short.reply_tokens == 39
    forced = [Request(chat("go"), "k", grammar='start: "abcdef"', max_tokens=n) for n in (4, 6)]
    assert [(reply.text, reply.complete) for reply in tiny.generate(forced)] == [("abcd", False), ("abcdef", True)]


@pytest.mark.parametrize("grammar", ["start: nothing", "start: (", ""])
def test_a_grammar_that_does_not_compile_is_an_error(tiny: Model, grammar: str) -> None:
    with pytest.raises(ModelError, match="does not compile"):
        tiny.generate([Request(chat("go"), key="k", grammar=grammar)])


def test_a_model_without_a_chat_template_reads_plain_text(tiny: Model, tiny_folder: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.chat_template = None
    plain = LocalModel("plain", model, tokenizer)
    (reply,) = plain.generate([Request(chat("one", "two"), key="k", grammar=CHOICE)])
    assert reply.prompt == "one\n\ntwo\n\n"


def test_nucleus_draw_follows_the_softmax_and_leaves_out_the_tail() -> None:
    scores = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    chance = torch.Generator().manual_seed(0)
    n = 4000
    counts = [0] * 4
    for _ in range(n):
        counts[nucleus_draw(scores, 1.0, 0.9, chance)] += 1
    # Three make up 0.95 >= 0.9, two only 0.8: shares 0.5, 0.3, 0.15 of 0.95. Five standard errors are 0.04.
    for count, share in zip(counts, (0.526, 0.316, 0.158, 0.0), strict=True):
        assert abs(count / n - share) < 0.04
    assert counts[3] == 0
    assert {nucleus_draw(scores, 1.0, 0.4, chance) for _ in range(50)} == {0}
    assert {nucleus_draw(scores, 1.0, 1.0, chance, 1) for _ in range(50)} == {0}
    assert nucleus_draw(scores, 0, 1.0, chance) == 0
    assert {nucleus_draw(torch.zeros(3), 1.0, 1.0, chance) for _ in range(200)} == {0, 1, 2}
