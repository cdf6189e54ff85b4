"""Heads that were read before: nothing is read twice, nothing is taken for what it is not."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
import transformers

from deltanas.llm import Message, Model, Request, parse_spec
from deltanas.llm.adapters import lora, weights_of
from deltanas.llm.batch import Batch
from deltanas.llm.heads import Heads
from deltanas.llm.local import LocalModel

pytest_plugins = ["tiny_model"]


class Watched:
    """A network that counts the tokens it is fed."""

    def __init__(self, network: Any) -> None:
        self.network, self.fed = network, 0
        self.config, self.device, self.dtype = network.config, network.device, network.dtype

    def __call__(self, **inputs: Any) -> Any:
        self.fed += inputs["input_ids"].numel()
        return self.network(**inputs)


@pytest.fixture
def network(tiny_folder: Path) -> Watched:
    return Watched(transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32))


def some(rng: Random, number: int) -> list[int]:
    return [rng.randrange(200) for _ in range(number)]


def read(network: Watched, heads: Heads, head: list[int]) -> int:
    """How many tokens the network was fed for a head."""
    before = network.fed
    with torch.inference_mode():
        keys = heads.read(network, tuple(head))
    assert {part.shape[2] for pair in keys for part in pair} == {len(head)}
    return network.fed - before


def test_what_a_head_begins_alike_with_is_read_once(network: Watched) -> None:
    heads, rng = Heads(), Random(0)
    same, one, other = some(rng, 30), some(rng, 12), some(rng, 9)
    assert read(network, heads, same + one) == 42
    assert read(network, heads, same + one) == 0
    assert read(network, heads, [*same, *one[:4], 201, *one]) == 13
    assert read(network, heads, same + other) == 9
    assert read(network, heads, same) == 0
    assert read(network, heads, [*same, *other, 3, 4]) == 2


def test_the_head_that_was_not_used_for_longest_leaves(network: Watched) -> None:
    rng = Random(1)
    texts = [[number, *some(rng, 9)] for number in range(3)]
    with torch.inference_mode():
        size = sum(part.nbytes for pair in Heads().read(network, tuple(texts[0])) for part in pair)
    heads = Heads(most=2 * size)
    assert [read(network, heads, texts[number]) for number in (0, 1, 0, 2, 0, 1)] == [10, 10, 0, 10, 0, 10]
    assert read(network, Heads(most=0), texts[0]) == 10


@pytest.mark.parametrize("tree", [False, True])
def test_scores_behind_known_heads_are_those_of_each_row_alone(network: Watched, tree: bool) -> None:
    heads, rng = Heads(), Random(2)
    texts = [some(rng, 20)]
    with torch.inference_mode():
        for _ in range(6):
            known = rng.choice(texts)
            texts += [known[: rng.randint(1, len(known))] + some(rng, rng.randint(1, 9)), known]
            rows = rng.sample(texts, min(4, len(texts)))
            batch = Batch(network, tree=tree, heads=heads)
            batch.share(rows)
            for _ in range(3):
                chunks = [some(rng, rng.randint(1, 4)) for _ in rows]
                rows = [row + chunk for row, chunk in zip(rows, chunks, strict=True)]
                scores = batch.feed(chunks)
            for row, found in zip(rows, scores, strict=True):
                alone = network.network(input_ids=torch.tensor([row])).logits[0, -1]
                torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-4)


def test_a_model_whose_layers_forget_reads_every_head(tiny_folder: Path) -> None:
    torch.manual_seed(0)
    config = transformers.MistralConfig(
        vocab_size=200,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=8,
    )
    network, heads, rng = Watched(transformers.MistralForCausalLM(config)), Heads(), Random(3)
    same = some(rng, 12)
    rows = [same + some(rng, 3), same + some(rng, 3)]
    with torch.inference_mode():
        for _ in range(2):
            before = network.fed
            batch = Batch(network, tree=True, heads=heads)
            batch.share(rows)
            scores = batch.feed([[5], [6]])
            assert network.fed - before == 12 + 2 * 3 + 2
    for row, last, found in zip(rows, (5, 6), scores, strict=True):
        alone = network.network(input_ids=torch.tensor([[*row, last]])).logits[0, -1]
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-4)


def ask(last: str, *earlier: str) -> Request:
    turns = [Message("user" if place % 2 == 0 else "assistant", text) for place, text in enumerate(earlier)]
    return Request((*turns, Message("user", last)), key=last, max_tokens=20)


REQUESTS = (ask("go", "one", "two"), ask("on", "one", "three"), ask("go", "one", "two"))


def replies(model: Model) -> list[str]:
    return [reply.text for reply in model.generate(REQUESTS)]


def test_replies_are_the_same_whatever_was_asked_before(tiny: Model) -> None:
    said = replies(tiny)
    tiny.generate([ask("x", "one"), ask("y", "one", "two" * 9)])
    assert replies(tiny) == said


def test_what_was_read_with_another_adapter_is_read_anew(tiny_folder: Path) -> None:
    def opened() -> LocalModel:
        return LocalModel.open(parse_spec(f"path:{tiny_folder}"))

    used, fresh, config = opened(), opened(), lora.LoraConfig(r=2, init_lora_weights=False, target_modules=["k_proj"])
    bare = replies(used)
    used.wear(config)
    worn = {name: 9 * weight for name, weight in weights_of(used.network).items()}
    used.wear(config, worn)
    fresh.wear(config, worn)
    assert replies(used) == replies(fresh) != bare
    used.adapt(None)
    assert replies(used) == bare
