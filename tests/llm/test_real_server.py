"""A real server (`transformers serve`) on loopback, with a tiny model of random weights."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from deltanas.errors import ModelError
from deltanas.llm import Message, Model, Request, open_model

pytest_plugins = ["tiny_model"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("uvicorn") is None, reason="transformers[serving] is not installed"),
]


@pytest.fixture(scope="module")
def served(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny model that the server may sample from: it does as the model's own settings say."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path_factory.mktemp("served") / "tiny"))
    settings = folder / "generation_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text("utf-8")), "do_sample": True}), "utf-8")
    return folder


@pytest.fixture(scope="module")
def url(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(served)]
    options = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"]
    hub = tmp_path_factory.mktemp("hub")
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(hub), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command + options, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            wait_for(port, running)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            running.kill()


def wait_for(port: int, running: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        assert running.poll() is None, "the server ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail("the server did not start")


def requests(number: int, grammar: str | None = None) -> list[Request]:
    messages = (Message("system", "You edit."), Message("user", "Change it."))
    return [Request(messages, f"{place}", grammar, max_tokens=20) for place in range(number)]


def test_it_answers_as_the_same_model_does_here(url: str, tiny: Model, served: Path) -> None:
    model = open_model(f"openai:{url}#{served}", timeout=60, retries=1)
    answers = model.generate(requests(8))
    replies = [reply for reply in answers if reply.error != "the reply is empty"]  # random weights may end at once
    assert [reply.error for reply in replies] == [""] * len(replies)
    assert len({reply.text for reply in replies}) == len(replies) > 3
    (local, *_) = tiny.generate(requests(1))
    assert {reply.prompt_tokens for reply in replies} == {local.prompt_tokens}
    assert all(0 < reply.reply_tokens <= 20 and not reply.estimated for reply in replies)
    greedy = [Request(one.messages, one.key, max_tokens=8, temperature=0.0) for one in requests(1)]
    assert model.generate(greedy)[0].text == tiny.generate(greedy)[0].text


def test_a_server_that_takes_no_grammar_is_checked_after(url: str, served: Path) -> None:
    model = open_model(f"openai:{url}#{served}", timeout=60, retries=1)
    (wrong,) = model.generate(requests(1, 'start: "never this"\n'))
    assert "does not follow the grammar" in wrong.error
    assert wrong.text
    (right,) = model.generate(requests(1, "start: /(?s:.*)/\n"))
    assert right.error == ""


def test_another_models_name_is_an_error_at_the_start(url: str) -> None:
    with pytest.raises(ModelError, match="does not answer as it should") as caught:
        open_model(f"openai:{url}#nobody/nothing", timeout=60, retries=0)
    assert "'nobody/nothing'" in caught.value.hint
