"""The forms in which a model is named, and what opening one costs before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from deltanas.errors import UsageError
from deltanas.llm import Spec, open_model, parse_spec


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("smollm2", Spec("smollm2")),
        ("hub:Qwen/Qwen2.5-Coder-0.5B", Spec("hub", "Qwen/Qwen2.5-Coder-0.5B")),
        ("gguf:~/models/a b.gguf", Spec("gguf", "~/models/a b.gguf")),
        ("path:C:/models/x", Spec("path", "C:/models/x")),
        ("openai:http://127.0.0.1:8000/v1#a/b", Spec("openai", "http://127.0.0.1:8000/v1#a/b")),
        ("openai:https://host/v1#/models/x", Spec("openai", "https://host/v1#/models/x")),
        ("openai:http://[::1]:8000/v1#m", Spec("openai", "http://[::1]:8000/v1#m")),
    ],
)
def test_known_forms_are_read_and_written_back(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec
    assert str(spec) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "gpt-4", "smollm2:", "smollm2:x", "hub:", "hub:qwen", "hub:a/b/c", "hub:/b", "gguf:", "path", "URL:x"),
        *("openai:", "openai:gpt-4", "openai:http://host/v1", "openai:http://host/v1#", "openai:ftp://host#m"),
        *("openai:http://#m", "openai:http://user:key@host#m", "openai:http://host/v1?key=x#m", "openai:http://a#b#c"),
        *(
            "openai:http://[::1/v1#m",
            "openai:http://host:99999/v1#m",
            "openai:http://host:x/v1#m",
            "openai:http:///v1#m",
            "openai:http://host/v1#\udcff",
        ),
    ],
)
def test_other_forms_are_named_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_model(text)
    assert repr(text) in caught.value.message
    assert all(
        form in caught.value.hint for form in ("smollm2", "hub:OWNER/NAME", "gguf:PATH", "path:DIR", "openai:URL#MODEL")
    )


def test_importing_the_rooms_loads_no_heavy_package() -> None:
    script = (
        "import sys, deltanas.llm, deltanas.propose;"
        "print(sorted({'torch', 'transformers', 'llguidance', 'safetensors', 'httpx2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
