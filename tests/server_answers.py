"""What servers of language models answer instead of a plain completion, and what is to come of it."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import Any, Literal

from faulty_server import Handler, Say, answers, completion, drop, drop_half_way, says

Outcome = Literal["goes on", "passes", "ends", "without", "prompt", "candidate"]
"""The reply is read | another try helps | the run ends, to be resumed | the request is put in another form, once |
the prompt is refused, with the reason | the model said nothing of use: that is the candidate's."""
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Case:
    """words: of the error, of the refusal, or of what is said once. lacks: the field that is left out."""

    name: str
    say: Say
    outcome: Outcome
    words: str = ""
    lacks: str = ""


def told(message: str, status: int = 400, **more: Any) -> Say:
    """An error as OpenAI's servers tell it."""
    return answers(status, json.dumps({"error": {"message": message, **more}}))


def replies(**changes: Any) -> Say:
    """A completion that says yes, changed."""
    return answers(200, json.dumps({**completion("yes"), **changes}))


def chose(message: dict[str, Any], end: str | None = "stop", **more: Any) -> Say:
    return replies(choices=[{"index": 0, "finish_reason": end, "message": message, **more}])


def events(*chunks: object, done: bool = True, more: str = "") -> Say:
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"] * done + [more]
    return answers(200, ": a comment\n\n" + "".join(lines), Content_Type="text/event-stream")


def piece(text: str, end: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": end}]}


def packed(content: bytes) -> Say:
    return lambda handler, _: handler.send(200, content, headers={"Content_Encoding": "gzip"})


def chunked_cut_off(handler: Handler, _: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b'10\r\n{"choices": [{"i')
    handler.connection.close()


def redirect(status: int, host: str = "127.0.0.1", path: str = "/v1/chat/completions/") -> Say:
    def send(handler: Handler, _: dict[str, Any]) -> None:
        handler.send(status, "", headers={"Location": f"http://{host}:{handler.server.server_port}{path}"})

    return send


READ = (
    Case(
        "content in parts",
        chose({"content": [{"type": "text", "text": "y"}, {"type": "text", "text": "es"}]}),
        "goes on",
    ),
    Case("usage null", replies(usage=None), "goes on"),
    Case("usage partial", replies(usage={"prompt_tokens": 7}), "goes on"),
    Case("usage of other types", replies(usage={"prompt_tokens": "7", "completion_tokens": -1}), "goes on"),
    Case("finish_reason null", chose({"content": "yes"}, None), "goes on"),
    Case("no finish_reason", replies(choices=[{"message": {"content": "yes"}}]), "goes on"),
    Case("error null", replies(error=None, object=None), "goes on"),
    Case("byte order mark", answers(200, "\ufeff" + json.dumps(completion("yes"))), "goes on"),
    Case("status 201", answers(201, json.dumps(completion("yes"))), "goes on"),
    Case("named plain text", answers(200, json.dumps(completion("yes")), Content_Type="text/plain"), "goes on"),
    Case("gzip", packed(gzip.compress(json.dumps(completion("yes")).encode())), "goes on"),
    Case("a stream", events(piece("y"), piece("es", "stop")), "goes on"),
    Case("a stream with usage", events(piece("yes"), {"choices": [], "usage": {"prompt_tokens": 1}}), "goes on"),
    Case("a stream of another name", answers(200, f"data: {json.dumps(piece('yes', 'stop'))}\n"), "goes on"),
    Case("redirect 307 on the host", redirect(307), "goes on"),
    Case("redirect 308 on the host", redirect(308), "goes on"),
    Case("redirect 301 on the host", redirect(301), "goes on"),
)
PASSING = (
    Case("500", answers(500, "boom"), "passes", "status 500: boom"),
    Case(
        "502 page",
        answers(502, "<html><title>Bad Gateway</title></html>", Content_Type="text/html"),
        "passes",
        "502: Bad",
    ),
    Case("503 loading", told("Loading model", 503), "passes", "503: Loading model"),
    Case("504", answers(504, ""), "passes", "504"),
    Case("520", answers(520, "error code: 520"), "passes", "520"),
    Case("529", told("Overloaded", 529, type="overloaded_error"), "passes", "529: Overloaded"),
    Case("429", told("Rate limit reached for requests", 429), "passes", "429: Rate limit"),
    Case("429 soon", told("You exceeded your current quota. Please try again in 20ms.", 429), "passes", "429"),
    Case("429 no number", told("Please try again in 1.2.3s", 429), "passes", "429: Please"),
    Case("429 dots", told("Please try again in ...s", 429), "passes", "429: Please"),
    Case("a stream of no choices", events({"choices": 3}), "passes", "no choice"),
    Case("a stream of texts", events({"choices": ["yes"]}), "passes", "no choice"),
    Case("a stream of bare deltas", events({"choices": [{"delta": "yes"}]}), "passes", "no choice"),
    Case("429 Retry-After", answers(429, "slow down", Retry_After="0.01"), "passes", "429: slow"),
    Case("429 date", answers(429, "slow", Retry_After="Fri, 01 Jan 2021 00:00:00 GMT"), "passes", "429: slow"),
    Case("408", answers(408, "late"), "passes", "408"),
    Case("409", answers(409, "busy"), "passes", "409"),
    Case("425", answers(425, "early"), "passes", "425"),
    Case("429 in words", told("You exceeded your current quota. Please retry in 0.01 seconds.", 429), "passes", "429"),
    Case("429 of many digits", told(f"try again in {'9' * 5000}m 3s", 429), "passes", "429: try"),
    Case("503 alternative", told("No capacity; try an alternative region", 503), "passes", "503: No"),
    Case("400 tokens a minute", told("tokens per minute exceeded, slow down"), "passes", "400: tokens"),
    Case(
        "tokens a minute in a 200",
        answers(200, '{"error": {"message": "tokens per minute limit exceeded", "code": "rate_limit_exceeded"}}'),
        "passes",
        "tokens per minute",
    ),
    Case(
        "in flight in a 200",
        answers(200, '{"error": {"message": "Your request was rejected: too many requests in flight"}}'),
        "passes",
        "in flight",
    ),
    Case("500 open files", told("Request failed: [Errno 24] Too many open files", 500), "passes", "open files"),
    Case("500 moderation", told("the content filter crashed", 500), "passes", "500: the content filter"),
    Case(
        "a piece cut in a stream",
        events(piece("y"), done=False, more='data: {"choi\n\ndata: [DONE]\n\n'),
        "passes",
        "piece",
    ),
    Case("dropped", drop, "passes", "the connection failed"),
    Case("dropped half way", drop_half_way, "passes", "the connection failed"),
    Case("chunked, cut off", chunked_cut_off, "passes", "the connection failed"),
    Case("no gzip", packed(b"no gzip at all"), "passes", "the connection failed"),
    Case("truncated JSON", answers(200, json.dumps(completion("yes"))[:60]), "passes", "no chat completion"),
    Case("nothing", answers(200, ""), "passes", "no chat completion"),
    Case("JSON of another kind", answers(200, "[1, 2]"), "passes", "no chat completion"),
    Case("JSON, deep", answers(200, "[" * 100_000), "passes", "no chat completion"),
    Case("binary", answers(200, "\x00\x01"), "passes", "no chat completion"),
    Case("no choice", replies(choices=[]), "passes", "no choice"),
    Case("choices null", replies(choices=None), "passes", "no chat completion"),
    Case("an error in a 200", answers(200, '{"error": {"message": "overloaded"}}'), "passes", "overloaded"),
    Case("an error in a 200, 503", answers(200, '{"error": {"message": "down", "code": 503}}'), "passes", "503: down"),
    Case("an error of text in a 200", answers(200, '{"error": "worker died"}'), "passes", "worker died"),
    Case(
        "an error in a choice",
        chose({"content": ""}, "error", error={"code": 502, "message": "no"}),
        "passes",
        "502: no",
    ),
    Case("aborted", chose({"content": "ye"}, "abort"), "passes", "broke the reply off"),
    Case("a stream breaks off", events(piece("ye"), done=False), "passes", "breaks off"),
    Case("an error in a stream", events(piece("ye"), {"error": {"message": "engine died"}}), "passes", "engine died"),
    Case("10 MB", says("x" * 10_000_000), "passes", "longer than"),
)
ENDING = (
    Case(
        "quota",
        told("You exceeded your current quota.", 429, code="insufficient_quota"),
        "ends",
        "nothing left to spend",
    ),
    Case("quota of a day", told("Limit of requests per day reached", 429), "ends", "nothing left to spend"),
    Case("402", told("Insufficient credits", 402), "ends", "nothing left to spend"),
    Case("400 credit", told("Your credit balance is too low to access the API."), "ends", "nothing left to spend"),
    Case("402 in a 200", answers(200, '{"error": {"message": "no", "code": 402}}'), "ends", "nothing left to spend"),
    Case("429 for an hour", answers(429, "later", Retry_After="3600"), "ends", "asks to wait 3,600 s"),
    Case("401", told("Incorrect API key provided", 401), "ends", "Put a key"),
    Case("401 in a 200", answers(200, '{"error": {"message": "expired", "code": "401"}}'), "ends", "Put a key"),
    Case("403", told("Forbidden", 403), "ends", "Put a key"),
    Case("400 key", told("API key not valid. Please pass a valid API key."), "ends", "Put a key"),
    Case("404", told("The model `m` does not exist", 404), "ends", "the model's name"),
    Case("410", told("The model was retired", 410), "ends", "the model's name"),
    Case("404 error true", answers(404, '{"error": true, "message": "no m here"}'), "ends", "404: no m here"),
    Case("404 error named", answers(404, '{"error": "not_found", "message": "no m here"}'), "ends", "404: no m here"),
    Case(
        "max_tokens too large",
        told("max_tokens is too large: 1536. This model supports at most 1024 completion tokens.", param="max_tokens"),
        "ends",
        "lower model.max_tokens",
    ),
    Case(
        "max_tokens out of range",
        told("Invalid max_tokens value, the valid range of max_tokens is [1, 32]"),
        "ends",
        "lower model.max_tokens",
    ),
    Case("405", answers(405, "Method Not Allowed"), "ends", "405"),
    Case("501", answers(501, "not here"), "ends", "501"),
    Case("400", told("something is wrong"), "ends", "400: something"),
    Case(
        "page", answers(200, "<html>Please log in</html>"), "ends", "an HTML page and no chat completion: Please log in"
    ),
    Case("page by name", answers(200, "Hi", Content_Type="text/html; charset=utf-8"), "ends", "an HTML page"),
    Case("redirect 301", redirect(301, "localhost"), "ends", "sends to http://localhost"),
    Case("redirect 302", redirect(302, "localhost", "/login"), "ends", "sends to http://localhost"),
    Case("redirect 307", redirect(307, "localhost"), "ends", "sends to http://localhost"),
    Case("redirect 308", redirect(308, "localhost"), "ends", "sends to http://localhost"),
    Case("redirect to no port", redirect(307, "127.0.0.1:7"), "ends", "sends to http://127.0.0.1:7:"),
    Case("redirect to no host", redirect(307, "[::1"), "ends", "sends to http://[::1"),
)
WITHOUT = (
    Case(
        "seed (Gemini)",
        told('Invalid JSON payload. Unknown name "seed": Cannot find field.'),
        "without",
        "'seed'",
        "seed",
    ),
    Case("seed (param)", told("Unsupported parameter", param="seed"), "without", "'seed'", "seed"),
    Case("seed (Groq)", told("property 'seed' is unsupported"), "without", "'seed'", "seed"),
    Case(
        "seed (FastAPI)",
        answers(
            422,
            json.dumps({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted", "input": 7}]}),
        ),
        "without",
        "'seed'",
        "seed",
    ),
    Case("seed (500)", told("Got unexpected keyword argument 'seed'", 500), "without", "'seed'", "seed"),
    Case("seed in a 200", answers(200, '{"error": "seed is not supported"}'), "without", "'seed'", "seed"),
    Case(
        "temperature",
        told("Unsupported value: 'temperature' does not support 0.7 with this model."),
        "without",
        "'temperature'",
        "temperature",
    ),
    Case("top_p", told("Unrecognized request argument supplied: topP"), "without", "'top_p'", "top_p"),
    Case("one of two", told("`temperature` and `top_p` cannot both be specified"), "without", "'top_p'", "top_p"),
    Case(
        "top_k", told("Additional properties are not allowed ('top_k' was unexpected)"), "without", "'top_k'", "top_k"
    ),
    Case("top-k", told("Top-K sampling is not available here"), "without", "'top_k'", "top_k"),
    Case("max_tokens", told("Unsupported parameter: use 'max_completion_tokens'"), "without", "", "max_tokens"),
    Case("max_tokens alone", told("Unsupported parameter: 'max_tokens'"), "without", "", "max_tokens"),
    Case("system (Gemma)", told("System role not supported"), "without", "no system role"),
    Case("system (llama.cpp)", told("Jinja Exception: System role not supported", 500), "without", "no system role"),
    Case("system (Google)", told("Developer instruction is not enabled for models/x"), "without", "no system role"),
    Case(
        "system (TGI)",
        told("Template error: only user and assistant roles are supported", 422),
        "without",
        "no system role",
    ),
    Case("turns (Mistral)", told("Conversation roles must alternate user/assistant/user"), "without", "no system role"),
    Case("system in a 200", answers(200, '{"error": "unexpected role: system"}'), "without", "no system role"),
)
TOO_MUCH = (
    Case(
        "context (OpenAI)",
        told("This model's maximum context length is 4097 tokens.", code="context_length_exceeded"),
        "prompt",
        "4097",
    ),
    Case(
        "context (vLLM)",
        told("'max_tokens' is too large: 512. The maximum context length is 600 tokens"),
        "prompt",
        "600",
    ),
    Case(
        "context (llama.cpp)",
        told("the request exceeds the available context size", n_ctx=900),
        "prompt",
        "context size",
    ),
    Case("context (TGI)", told("`inputs` tokens + `max_new_tokens` must be <= 4096.", 422), "prompt", "4096"),
    Case(
        "context (Gemini)", told("The input token count (5000) exceeds the maximum number of tokens"), "prompt", "5000"
    ),
    Case("context (Anthropic)", told("prompt is too long: 210000 tokens > 200000 maximum"), "prompt", "too long"),
    Case("413", answers(413, "Request Entity Too Large"), "prompt", "413"),
    Case(
        "filtered",
        told("The response was filtered by the content management policy", code="content_filter"),
        "prompt",
        "filtered",
    ),
)
SAID = (
    Case("empty text", says(""), "candidate", "the reply is empty"),
    Case("no text", says(None), "candidate", "the reply is empty"),
    Case("cut off before a word", says("", end="length"), "candidate", "it ended by length"),
    Case("filtered out", chose({"content": None}, "content_filter"), "candidate", "it ended by content_filter"),
    Case("a tool is called", chose({"content": None, "tool_calls": []}, "tool_calls"), "candidate", "tool_calls"),
    Case(
        "no message", replies(choices=[{"message": None, "finish_reason": "stop"}]), "candidate", "the reply is empty"
    ),
)
CASES = (*READ, *PASSING, *ENDING, *WITHOUT, *TOO_MUCH, *SAID)
