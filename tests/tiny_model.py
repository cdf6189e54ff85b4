"""A language model of 60,000 random weights that reads bytes: real in every part, and made in milliseconds.

A test module takes the fixtures by `pytest_plugins = ["tiny_model"]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from deltanas.llm import Model, open_model
from deltanas.program import Program
from deltanas.testing import examples

CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


SMALL = examples.SMALL.replace("nn.ReLU()", 'nn.ReLU()  # "quoted" \\n é')
"""With what must be escaped in a string of its text."""


def save_tiny_model(folder: Path, *, seed: int = 0) -> Path:
    """Write it to `folder` as transformers saves models; return the folder."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    # No format knows a tokenizer without merges: qz is a token of its own. llguidance keeps the byte 255 for itself.
    vocabulary = [*sorted(set(pre_tokenizers.ByteLevel.alphabet()) - {"ÿ"}), "qz"]
    words = Tokenizer(models.BPE({token: place for place, token in enumerate(vocabulary)}, [("q", "z")]))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    marks = ["<|system|>", "<|user|>", "<|assistant|>"]
    tokenizer: Any = cast("Any", PreTrainedTokenizerFast)(
        tokenizer_object=words, eos_token="<|end|>", additional_special_tokens=marks, chat_template=CHAT
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        initializer_range=0.15,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        pad_token_id=None,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Model:
    return open_model(f"path:{tiny_folder}")


@pytest.fixture(scope="session")
def smollm2() -> Model:
    """The embedded model; the first use on a machine converts it."""
    return open_model("smollm2")


@pytest.fixture(scope="session")
def small() -> Program:
    return Program.of(SMALL)
