"""Names that libraries do not document: each is there, or the failure says which library has it no more, and where."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

from deltanas.errors import DeltanasError, LibraryError, installed
from deltanas.llm import adapters
from deltanas.llm import compat as of_transformers
from deltanas.sandbox import compat as of_ray
from deltanas.train import compat as of_torch

ROOT = Path(__file__).parents[1]
NAMES = (
    ("transformers", "cache_utils:DynamicLayer.batch_select_indices"),
    ("transformers", "cache_utils:DynamicLayer.lazy_initialization"),
    ("transformers", "cache_utils:DynamicLayer.update"),
    ("transformers", "integrations.sdpa_attention:sdpa_attention_forward"),
    ("transformers", "modeling_gguf_pytorch_utils:load_gguf_checkpoint"),
    ("transformers", "modeling_utils:AttentionInterface.register"),
    ("transformers", "modeling_utils:PreTrainedModel._tied_weights_keys"),
    ("torch", "nn.modules.batchnorm:_NormBase"),
    ("torch", "utils._python_dispatch:TorchDispatchMode.__torch_dispatch__"),
)
TESTED = {module.LIBRARY: module.TESTED for module in (of_transformers, of_torch, of_ray)}
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PRIVATE = (
    r"ray\._private|_python_dispatch|_NormBase|\._cdata|\._schema\b|cache_utils|modeling_gguf|_tied_weights_|sdpa_att"
)


def held(library: str, place: str) -> object:
    """What the library has under MODULE:NAME. Raises LibraryError, as the package itself does, where it has nothing."""
    module, _, name = place.partition(":")
    try:
        found = import_module(f"{library}.{module}")
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise LibraryError(library, place, TESTED[library]) from error
    return found


@pytest.mark.parametrize(("library", "place"), NAMES)
def test_the_library_has(library: str, place: str) -> None:
    held(library, place)


def test_torch_tells_storages_and_schemas() -> None:
    whole = torch.zeros(4)
    assert of_torch.storage_key(whole) == of_torch.storage_key(whole[1:]) != of_torch.storage_key(torch.zeros(4))
    written = [a.name for a in of_torch.schema_arguments(torch.ops.aten.add_.Tensor) if a.alias_info is not None]
    assert written == ["self"]


def test_transformers_gives_the_layers_of_a_cache_and_the_tied_weights() -> None:
    config: Any = transformers.LlamaConfig(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2
    )
    config.tie_word_embeddings = True
    cache: Any = transformers.DynamicCache(config=config)
    layers = of_transformers.layers_of(cache)
    assert [type(layer) for layer in layers] == [of_transformers.DynamicLayer] * 2
    assert layers is of_transformers.layers_of(cache)  # what replaces a layer there is the cache's
    assert of_transformers.tied_weights(transformers.LlamaForCausalLM(config)) == {"lm_head.weight"}


@pytest.mark.skipif(not find_spec("ray"), reason="needs Ray: pip install 'deltanas[ray]'")
def test_ray_has_what_silences_its_workers() -> None:
    script = (  # in a process of its own: here Ray may not be imported before a cluster of our own is started
        "import inspect, ray\n"
        "from deltanas.sandbox import compat\n"
        "compat.silence_workers(ray)\n"
        "print(ray._private.worker._worker_logs_enabled)\n"
        "print(repr(compat.TEMP_DIR) in inspect.getsource(ray.init).replace('\"', chr(39)))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    silenced, folder = done.stdout.split() or ("", "")
    assert silenced == "False", done.stderr
    assert folder == "True", str(LibraryError("ray", "init(_temp_dir)", TESTED["ray"]))


GONE: dict[str, Callable[[], object]] = {
    "transformers": lambda: held("transformers", "cache_utils:GoneLayer"),
    "torch": lambda: held("torch", "nn.modules.gone:_NormBase"),
    "DynamicCache.layers": lambda: of_transformers.layers_of(SimpleNamespace()),
    "PreTrainedModel._tied_weights_keys": lambda: of_transformers.tied_weights(torch.nn.Linear(1, 1)),
    "OpOverload._schema": lambda: of_torch.schema_arguments(SimpleNamespace()),
    "_private.worker._worker_logs_enabled": lambda: of_ray.silence_workers(SimpleNamespace()),
}


@pytest.mark.parametrize("name", GONE)
def test_a_name_that_is_gone_is_told_with_its_library_and_the_versions(name: str) -> None:
    with pytest.raises(LibraryError) as caught:
        GONE[name]()
    (library,) = [library for library in TESTED if caught.value.message.startswith(f"{library} {installed(library)} ")]
    assert "which deltanas needs" in caught.value.message
    assert name in caught.value.message
    assert caught.value.hint.endswith(f"pip install '{library}=={TESTED[library]}'")


@pytest.mark.parametrize(
    ("library", "module", "lost"),
    [
        ("transformers", "deltanas.llm.compat", "transformers.cache_utils"),
        ("torch", "deltanas.train.compat", "torch.utils._python_dispatch"),
    ],
)
def test_importing_says_so_too(library: str, module: str, lost: str) -> None:
    script = f"import sys, {library}, {lost}\nsys.modules[{lost!r}] = None\nimport {module}"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    said = rf"LibraryError: {library} {re.escape(installed(library))} has no .*{re.escape(lost)}"
    assert re.search(said, done.stderr), done.stderr


def test_no_other_module_uses_such_names() -> None:
    using = {file.name for file in SOURCES if re.search(PRIVATE, file.read_text("utf-8"))}
    assert using == {"compat.py"}


def test_the_releases_that_are_named_as_tested_are_the_locked_ones() -> None:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert {f"{library}=={release}" for library, release in [*TESTED.items(), adapters.PEFT]} <= set(lines)


@pytest.mark.parametrize("change", [KeyError, RuntimeError, TypeError])
def test_peft_that_changed_is_named_and_no_adapter_is_blamed(
    monkeypatch: pytest.MonkeyPatch, change: type[Exception]
) -> None:
    def changed(*_: object) -> None:
        raise change("r")

    monkeypatch.setattr(adapters.lora, "get_peft_model", changed)
    said = rf"peft {re.escape(installed('peft'))} can't put the adapter on the model: {change.__name__}: '?r"
    with pytest.raises(DeltanasError, match=said) as caught:
        adapters.dress(torch.nn.Linear(1, 1), SimpleNamespace())
    assert "does not fit" not in str(caught.value)
