"""Rows that are decoded together: each gets the scores that it would have alone, however they share what they read."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
import transformers
from transformers.integrations import sdpa_attention

from deltanas.llm.batch import MOST_OWN, Batch
from deltanas.llm.compat import read_keys_in_place

pytest_plugins = ["tiny_model"]


@pytest.fixture(scope="module")
def network(tiny_folder: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)


def alone(network: Any, text: list[int]) -> torch.Tensor:
    """Scores of the token after `text`: [vocabulary]."""
    scores: torch.Tensor = network(input_ids=torch.tensor([text])).logits[0, -1]
    return scores


@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize("heads", ["aaaa", "aaba", "abcd", "aabb"])
def test_scores_are_those_of_each_row_alone(network: Any, heads: str, tree: bool) -> None:
    rng = Random(heads)

    def some(least: int, most: int) -> list[int]:
        return [rng.randrange(200) for _ in range(rng.randint(least, most))]

    same, rest = some(9, 9), {name: some(3, 12) for name in "abcd"}
    texts = [same + rest[name] for name in heads]
    with torch.inference_mode():
        batch = Batch(network, tree=tree)
        batch.share(texts)
        going = list(range(len(texts)))
        for step in range(12):
            chunks = [some(1, 1 if step % 3 else 9) for _ in going]
            for row, chunk in zip(going, chunks, strict=True):
                texts[row] = texts[row] + chunk
            scores = batch.feed(chunks)
            for row, found in zip(going, scores, strict=True):
                torch.testing.assert_close(found, alone(network, texts[row]), rtol=1e-4, atol=1e-4)
            if step in (4, 9):  # one ends; the others change places
                left = [2, 0, 1] if len(going) == 4 else [1, 0]
                batch.select(left)
                going = [going[place] for place in left]


def test_a_shared_head_goes_through_the_model_once_and_chunks_are_not_padded(network: Any) -> None:
    widths: list[tuple[int, ...]] = []

    class Watched:
        config, device, dtype = network.config, network.device, network.dtype

        def __call__(self, **inputs: Any) -> Any:
            widths.append(tuple(inputs["input_ids"].shape))
            return network(**inputs)

    with torch.inference_mode():
        for tree in (True, False):
            batch = Batch(Watched(), tree=tree)
            batch.share([[7] * 40] * 3)
            batch.feed([[1], [2] * 9, [3]])
    assert widths == [(1, 40), (1, 11), (1, 40), (3, 9)]


def test_rows_part_where_they_have_grown_far_longer_than_their_head(network: Any) -> None:
    with torch.inference_mode():
        batch, texts = Batch(network, tree=True), [[7] * 20] * 3
        batch.share(texts)
        shapes = []
        for number in range(MOST_OWN * 20 // 12 + 2):
            chunk = [number] * 4
            texts = [text + chunk for text in texts]
            scores = batch.feed([chunk] * 3)
            shapes.append(batch.rows)
        for found in scores:
            torch.testing.assert_close(found, alone(network, texts[0]), rtol=1e-4, atol=1e-4)
    assert shapes[0] == 1
    assert shapes[-1] == 3


def test_keys_that_heads_share_are_not_copied_and_the_digits_are_equal(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[int] = []

    def copied(held: torch.Tensor, times: int) -> torch.Tensor:
        copies.append(held.shape[2])
        return held.repeat_interleave(times, dim=1)

    monkeypatch.setattr(sdpa_attention, "repeat_kv", copied)

    def scores() -> list[torch.Tensor]:
        batch = Batch(network, tree=True)
        batch.share([[*range(40)]] * 3)
        return [batch.feed([[step, 7], [step], [9, step, 8]]) for step in range(3)]

    monkeypatch.setitem(transformers.AttentionInterface._global_mapping, "sdpa", sdpa_attention.sdpa_attention_forward)
    with torch.inference_mode():
        before, copied_before = scores(), copies.copy()
        copies.clear()
        read_keys_in_place()
        after = scores()
    assert copied_before.count(46) == 4  # keys and values of two layers
    assert not copies or max(copies) <= 40  # the head, which stands behind no mask
    assert all(map(torch.equal, before, after))
