"""Whatever a server answers: a fault of the server is never a reply, and never costs more than it must."""

from __future__ import annotations

import logging

import pytest

from deltanas.errors import ModelError
from deltanas.llm import Message, Request, open_model
from deltanas.llm.answers import completion
from deltanas.llm.line import KEY
from faulty_server import Server, answers, hang, opened, says, trickle
from server_answers import CASES, ENDING, PASSING, READ, SAID, TOO_MUCH, WITHOUT, Case, chose, redirect, told

ASKED = Request((Message("system", "You edit."), Message("user", "Do.")), "0", max_tokens=32, top_k=5)


def named(cases: tuple[Case, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltanas.llm.server.PAUSE", 0.0)


def test_the_table_is_long_and_names_each_answer_once() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40


@named(READ)
def test_a_reply_is_read_in_all_its_forms(server: Server, case: Case) -> None:
    model = opened(server)
    server.plan = [case.say]
    (reply,) = model.generate([ASKED])
    assert (reply.text, reply.error) == ("yes", "")
    assert reply.prompt_tokens > 0
    assert reply.reply_tokens > 0


@named(PASSING)
def test_what_may_pass_is_tried_again_and_ends_the_work_if_it_stays(server: Server, case: Case) -> None:
    model = opened(server, retries=2)
    server.plan = [case.say, case.say]
    assert model.generate([ASKED])[0].text == "yes"
    assert len(server.bodies) == 3
    server.otherwise = case.say
    with pytest.raises(ModelError) as caught:
        model.generate([ASKED])
    assert len(server.bodies) == 6
    assert all(body == server.bodies[0] for body in server.bodies)
    assert case.words in caught.value.message
    assert "resumes it" in caught.value.hint


@named(ENDING)
def test_what_will_not_pass_ends_the_work_at_once(server: Server, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-very-secret")
    model = opened(server, retries=5)
    server.otherwise = case.say
    with pytest.raises(ModelError) as caught:
        model.generate([ASKED])
    assert len(server.bodies) == 1, "nothing was sent elsewhere either"
    assert case.words in str(caught.value)
    assert "resumes it" in caught.value.hint
    with pytest.raises(ModelError) as at_the_start:
        open_model(server.spec, timeout=5.0, retries=5)
    assert case.words in str(at_the_start.value)


@named(WITHOUT)
def test_what_can_be_done_without_is_left_out_and_said_once(
    server: Server, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    model = opened(server)
    server.plan = [case.say]
    with caplog.at_level(logging.WARNING):
        assert [model.generate([ASKED])[0].error for _ in range(3)] == [""] * 3
    first, *later = server.bodies
    assert len(later) == 3
    assert all(case.lacks not in body for body in later) or not case.lacks
    assert not case.lacks or case.lacks in first
    roles = [[message["role"] for message in body["messages"]] for body in later]
    if "system role" in case.words:
        assert roles == [["user"]] * 3
        assert later[0]["messages"][0]["content"] == "You edit.\n\nDo."
    else:
        assert roles == [["system", "user"]] * 3
        assert set(first) - set(later[0]) == {case.lacks}
    assert len(caplog.records) == (1 if case.words else 0)
    assert case.words in caplog.text


@named(TOO_MUCH)
def test_a_prompt_that_is_not_taken_is_refused_for_that_reason(server: Server, case: Case) -> None:
    model = opened(server, retries=5)
    server.plan = [case.say]
    assert not model.generate([ASKED])[0].error, "it is asked twice"
    server.bodies.clear()
    server.plan = [case.say, case.say]
    (reply,) = model.generate([ASKED])
    assert reply.unread
    assert "does not take the prompt" in reply.error
    assert case.words in reply.error
    assert len(server.bodies) == 2
    assert not model.generate([ASKED])[0].error


@named(TOO_MUCH)
def test_a_server_that_takes_no_prompt_at_all_ends_the_work(server: Server, case: Case) -> None:
    model = opened(server)
    server.otherwise = case.say
    with pytest.raises(ModelError) as caught:
        model.generate([ASKED, ASKED])
    assert case.words in caught.value.message
    assert "longer context" in caught.value.hint
    assert "resumes it" in caught.value.hint


@named(SAID)
def test_a_reply_that_says_nothing_is_the_models(server: Server, case: Case) -> None:
    model = opened(server, retries=5)
    server.plan = [case.say]
    (reply,) = model.generate([ASKED])
    assert not reply.unread
    assert case.words in reply.error
    assert len(server.bodies) == 1


def test_a_reply_that_the_server_cuts_off_is_told_as_that(server: Server) -> None:
    model = opened(server)
    server.plan = [says("half a", end="content_filter")]
    (reply,) = model.generate([ASKED])
    assert not reply.complete
    assert "filtered the reply" in reply.error


def test_a_model_that_declines_has_said_so(server: Server) -> None:
    model = opened(server)
    server.plan = [chose({"content": None, "refusal": "I can't help with that."})]
    assert model.generate([ASKED])[0].text == "I can't help with that."


@pytest.mark.parametrize("say", [hang, trickle], ids=["hang", "trickle"])
def test_an_answer_that_is_too_slow_ends_the_work(server: Server, say: object) -> None:
    model = opened(server, timeout=0.3, retries=3)
    server.otherwise = say  # type: ignore[assignment]
    with pytest.raises(ModelError, match=r"no reply within 0\.3 s") as caught:
        model.generate([ASKED])
    assert "model.timeout" in caught.value.hint


def test_one_fault_ends_the_requests_beside_it(server: Server) -> None:
    model = opened(server)
    server.plan = [hang, hang, told("Incorrect API key", 401)]
    with pytest.raises(ModelError, match="401"):
        model.generate([ASKED] * 3)


def test_a_server_that_sends_from_address_to_address_is_left(server: Server) -> None:
    model = opened(server)
    server.otherwise = redirect(307)
    with pytest.raises(ModelError, match="from address to address"):
        model.generate([ASKED])


def test_fields_are_left_out_one_after_another(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    model = opened(server)
    words = ("seed", "top_k", "top_p", "temperature", "max_tokens", "max_completion_tokens", "System role")
    server.plan = [told(f"{word} is not supported") for word in words]
    with caplog.at_level(logging.WARNING):
        assert model.generate([ASKED])[0].text == "yes"
    assert set(server.bodies[-1]) == {"model", "messages"}
    assert len(caplog.records) == 6
    with caplog.at_level(logging.WARNING):
        assert not any(reply.error for reply in model.generate([ASKED] * 4))
    assert len(caplog.records) == 6


def test_a_field_that_is_no_part_of_the_request_ends_the_work(server: Server) -> None:
    model = opened(server)
    server.otherwise = told('Unknown name "tools": Cannot find field.')
    with pytest.raises(ModelError, match="tools"):
        model.generate([ASKED])


def test_a_server_that_tells_a_small_context_at_the_start_is_believed(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.plan = [told("This model's maximum context length is 2048 tokens.")] * 2
    with caplog.at_level(logging.WARNING):
        assert opened(server).context == 2048
    assert "longest baseline" in caplog.text
    server.otherwise = told("This model's maximum context length is 48 tokens.")
    with pytest.raises(ModelError, match="48 tokens") as caught:
        opened(server)
    assert "longer context" in caught.value.hint


@pytest.mark.parametrize("key", ["sk-é", "sk-\nx", "“sk-x”"])
def test_a_key_that_is_none_is_told(server: Server, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, key)
    with pytest.raises(ModelError, match=KEY):
        opened(server)
    monkeypatch.setenv(KEY, " sk-x\r\n")
    opened(server)
    assert server.keys[-1] == "Bearer sk-x"


@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n", "\r"])
def test_the_text_of_a_stream_is_whole(end: str) -> None:
    pieces = ['"a\u2028b"', '"\u0085"', '"\\ud83d"', '"\\ude00!"']
    lines = [f'data: {{"choices": [{{"delta": {{"content": {piece}}}}}]}}{end}' for piece in pieces]
    found = completion(200, {}, "".join([*lines, f"data: [DONE]{end}"]).encode())
    assert found.text == "a\u2028b\u0085\U0001f600!"


def test_half_a_character_is_replaced(server: Server) -> None:
    model = opened(server)
    server.plan = [answers(200, '{"choices": [{"message": {"content": "a\\ud83d b"}, "finish_reason": "stop"}]}')]
    assert model.generate([ASKED])[0].text == "a\ufffd b"
