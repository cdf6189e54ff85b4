"""A model behind a server: what is asked of the server, what its faults cost, and what is told of them."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from httpx2 import create_ssl_context
from llguidance import LLMatcher, grammar_from

from deltanas.errors import ModelError, UsageError
from deltanas.llm import Message, Request, open_model
from deltanas.llm.gbnf import gbnf
from deltanas.llm.line import KEY, MOST_BYTES
from deltanas.nets import baselines
from deltanas.propose.grammar import anchored_grammar
from faulty_server import Server, answers, hang, opened, says, slowly
from server_answers import redirect

GRAMMAR = 'start: "    a = " /[0-9]+/ "\\n=>\\n" ("b" | "c")\n'
HELD = "    a = 12\n=>\nb"


def ask(key: str = "0", grammar: str | None = None) -> Request:
    return Request((Message("system", "You edit."), Message("user", "Do.")), key, grammar, max_tokens=32)


def test_what_is_sent_and_what_comes_back(server: Server) -> None:
    model = opened(server)
    server.plan = [says("hello", usage=(11, 5))]
    (reply,) = model.generate([ask("7")])
    assert (reply.text, reply.complete, reply.error, reply.estimated) == ("hello", True, "", False)
    assert (reply.prompt_tokens, reply.reply_tokens) == (11, 5)
    assert reply.prompt == "[system]\nYou edit.\n\n[user]\nDo.\n\n"
    assert reply.seconds > 0
    (body,) = server.bodies
    assert body.pop("seed") >= 0
    assert body == {
        "model": "some/model",
        "messages": [{"role": "system", "content": "You edit."}, {"role": "user", "content": "Do."}],
        "max_tokens": 32,
        "temperature": 0.7,
        "top_p": 0.9,
    }
    assert model.name == server.spec


def test_seeds_come_from_keys(server: Server) -> None:
    model = opened(server)
    for key in ("a", "b", "a"):
        model.generate([ask(key)])
    first, second, third = (body["seed"] for body in server.bodies)
    assert first == third != second


def test_tokens_that_the_server_does_not_count_are_estimates(server: Server) -> None:
    model = opened(server)
    server.plan = [says("x" * 30, usage=None)]
    (reply,) = model.generate([ask()])
    assert reply.estimated
    assert (reply.prompt_tokens, reply.reply_tokens) == (model.count(ask().messages), 10)


def test_a_reply_cut_off_is_not_complete(server: Server) -> None:
    model = opened(server)
    server.plan = [says("half a", end="length")]
    assert not model.generate([ask()])[0].complete


def test_replies_come_in_the_order_of_their_requests_and_side_by_side(server: Server) -> None:
    model = opened(server)
    server.otherwise = lambda handler, body: slowly(says(f"seed {body['seed']}"))(handler, body)
    began = time.monotonic()
    replies = model.generate([ask(str(number)) for number in range(8)])
    assert time.monotonic() - began < 8 * 0.3
    assert server.most_under_way > 4
    again = [model.generate([ask(str(number))])[0].text for number in range(2)]
    assert [reply.text for reply in replies[:2]] == again
    assert len({reply.text for reply in replies}) == 8


def test_the_server_says_how_long_to_wait(server: Server) -> None:
    model = opened(server, retries=1)
    server.plan = [answers(429, "slow down", Retry_After="1")]
    began = time.monotonic()
    assert model.generate([ask()])[0].text == "yes"
    assert time.monotonic() - began >= 1


def test_no_reply_outlives_its_deadline_with_retries(server: Server) -> None:
    model = opened(server, timeout=1.0, retries=50)
    server.otherwise = answers(503, "loading")
    began = time.monotonic()
    with pytest.raises(ModelError, match="503: loading"):
        model.generate([ask()])
    assert time.monotonic() - began < 3


def test_an_answer_of_many_megabytes_is_not_read_to_its_end(server: Server) -> None:
    model = opened(server)
    server.plan = [says("x" * (MOST_BYTES - 1000)), says("x" * MOST_BYTES)]
    assert len(model.generate([ask()])[0].text) == MOST_BYTES - 1000
    with pytest.raises(ModelError, match="longer than"):
        model.generate([ask()])


def test_a_reply_is_held_to_its_grammar(server: Server) -> None:
    model = opened(server)
    wrong = ["    a = 12\n=>\nd", "    a = 12", "Sure!\n" + HELD, HELD + "\nThat is it."]
    server.plan = [says(text) for text in (HELD, f"{HELD}\n", *wrong)]
    replies = [model.generate([ask(grammar=GRAMMAR)])[0] for _ in range(6)]
    assert [(reply.text, reply.error, reply.complete) for reply in replies[:2]] == [(HELD, "", True)] * 2
    assert [reply.text for reply in replies[2:]] == wrong
    assert all("does not follow the grammar" in reply.error and not reply.complete for reply in replies[2:])
    assert ["'d'" in replies[2].error, "too early" in replies[3].error, "'Sure!" in replies[4].error] == [True] * 3


def test_a_grammar_that_does_not_compile_is_an_error(server: Server) -> None:
    with pytest.raises(ModelError, match="does not compile"):
        opened(server).generate([ask(grammar="start: nothing")])


@pytest.mark.parametrize(
    ("owner", "sent"),
    [
        ("vllm", {"structured_outputs": {"grammar": gbnf(GRAMMAR)}}),
        ("llamacpp", {"grammar": gbnf(GRAMMAR)}),
        ("sglang", {"ebnf": gbnf(GRAMMAR)}),
        ("somebody", {}),
    ],
)
def test_servers_that_take_a_grammar_get_it(server: Server, owner: str, sent: dict[str, object]) -> None:
    server.listing = {"data": [{"id": "some/model", "owned_by": owner, "max_model_len": 4321}]}
    model = opened(server)
    assert model.context == 4321
    server.plan = [says(HELD)]
    model.generate([ask(grammar=GRAMMAR)])
    (body,) = server.bodies
    assert {key: body[key] for key in body if key in ("structured_outputs", "grammar", "ebnf")} == sent


def test_a_server_that_refuses_a_grammar_is_asked_without(server: Server) -> None:
    server.listing = {"data": [{"id": "some/model", "owned_by": "llamacpp"}]}
    model = opened(server)
    server.plan = [answers(400, "failed to parse grammar"), says(HELD), says(HELD)]
    for _ in range(2):
        assert model.generate([ask(grammar=GRAMMAR)])[0].text == HELD
    assert ["grammar" in body for body in server.bodies] == [True, False, False]


def test_one_refused_grammar_turns_no_other_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltanas.llm.server.PAUSE", 0.0)
    server.listing = {"data": [{"id": "some/model", "owned_by": "vllm"}]}
    server.otherwise = says(HELD)
    model = open_model(server.spec, timeout=5.0, retries=2, first=ask(grammar=GRAMMAR))
    refusals = [
        answers(400, "Failed to compile structured output grammar: timed out"),
        answers(500, "grammar backend: invalid state, restarting"),
    ]
    for refusal in refusals:
        server.plan = [refusal] * 2
        assert model.generate([ask(grammar=GRAMMAR)])[0].text == HELD
        server.plan = [refusal] * 3
        (left,) = model.generate([ask(grammar=GRAMMAR)])
        assert left.unread
        assert "does not take the grammar" in left.error
        assert model.generate([ask(grammar=GRAMMAR)])[0].text == HELD
    assert {"structured_outputs" in body for body in server.bodies} == {True}


def test_the_grammars_are_such_as_vllm_passes_to_llguidance() -> None:
    for grammar in (GRAMMAR, anchored_grammar(baselines()["vgg"])):
        for said in (grammar, gbnf(grammar)):
            assert said
            assert not LLMatcher.validate_grammar(grammar_from("grammar", said))


def test_a_grammar_that_gbnf_can_not_say_goes_to_llguidance(server: Server) -> None:
    server.listing = {"data": [{"id": "some/model", "owned_by": "llamacpp"}]}
    grammar = "start: /a.c/\n"
    server.otherwise = says("abc")
    opened(server).generate([ask(grammar=grammar)])
    assert server.bodies[0]["grammar"] == f"%llguidance {{}}\n{grammar}"


def test_the_key_goes_to_the_server_and_nowhere_else(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-very-secret")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-for-another")
    model = opened(server)
    escaped = '{"error": {"message": "bad key sk\\u002dvery-secret"}}'
    server.plan = [
        answers(401, "bad key sk-very-secret"),
        answers(401, escaped),
        redirect(302, "a", "/?k=sk-very-secret"),
    ]
    for told in (r"bad key \*\*\*", r"bad key \*\*\*", r"\?k=\*\*\*"):
        with pytest.raises(ModelError, match=told):
            model.generate([ask()])
    server.plan = [answers(401, f"{'x' * 190} sk-very-secret")]
    with pytest.raises(ModelError) as caught:
        model.generate([ask()])
    assert "sk-v" not in str(caught.value)
    assert set(server.keys) == {"Bearer sk-very-secret"}
    assert "secret" not in model.name


def test_words_of_a_reply_that_are_the_key_too_stay_as_they_are(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "token")
    model = opened(server)
    server.plan = [says("self.token = nn.Parameter(token)")]
    (reply,) = model.generate([ask()])
    assert (reply.text, reply.estimated) == ("self.token = nn.Parameter(token)", False)


def test_proxies_that_can_not_be_used_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for proxy in ("socks5://127.0.0.1:1", "ftp://x:1", "http://[::1"):
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
            monkeypatch.setenv(name.lower(), proxy)
        with pytest.raises(ModelError) as caught:
            open_model("openai:http://192.0.2.1:8000/v1#m", timeout=1.0, retries=0)
        assert "ALL_PROXY" in caught.value.hint


def test_certificates_that_are_missing_are_told_where_they_are_needed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deltanas.llm.line._certificates", create_ssl_context)
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    assert opened(server).generate([ask()])[0].text == "yes"
    with pytest.raises(ModelError) as caught:
        open_model(server.spec.replace("http:", "https:"), timeout=1.0, retries=0)
    assert "SSL_CERT_FILE" in caught.value.hint


def test_without_a_key_none_is_sent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    opened(server)
    assert set(server.keys) == {None}


def test_no_server_at_the_start_is_an_error_with_a_way_out(server: Server) -> None:
    server.server_close()
    with pytest.raises(ModelError, match="no connection") as caught:
        open_model(server.spec, timeout=2.0, retries=0)
    assert server.url in caught.value.message
    assert "/v1" in caught.value.hint


@pytest.mark.parametrize(("status", "hint"), [(401, KEY), (403, KEY), (404, "'some/model'"), (500, "Try again")])
def test_a_server_that_does_not_work_at_the_start_is_an_error(server: Server, status: int, hint: str) -> None:
    server.otherwise = answers(status, json.dumps({"detail": "no"}))
    with pytest.raises(ModelError, match=f"status {status}: no") as caught:
        open_model(server.spec, timeout=2.0, retries=0)
    assert hint in caught.value.hint


def test_a_server_that_hangs_at_the_start_is_an_error(server: Server) -> None:
    server.otherwise = hang
    with pytest.raises(ModelError, match="no reply within 1 s"):
        open_model(server.spec, timeout=1.0, retries=0)


def test_a_server_that_lists_no_models_will_do(server: Server) -> None:
    server.listing = {"models": "none"}
    assert opened(server).context is None
    server.listing = {"data": [{"id": "some/model", "max_model_len": -5}]}
    assert opened(server).context is None


def test_a_server_that_is_gone_ends_the_work(server: Server) -> None:
    model = opened(server)
    server.shutdown()
    server.server_close()
    with pytest.raises(ModelError, match="is gone") as caught:
        model.generate([ask(), ask("1")])
    assert "resume" in caught.value.hint


def test_it_works_where_a_loop_runs_already(server: Server) -> None:
    model = opened(server)

    async def notebook() -> str:
        return model.generate([ask()])[0].text

    assert asyncio.run(notebook()) == "yes"


def test_four_bits_are_not_a_servers_matter(server: Server) -> None:
    with pytest.raises(UsageError, match="server"):
        open_model(server.spec, four_bit=True)
    with pytest.raises(UsageError, match="server"):
        open_model(server.spec, dtype="bfloat16")
