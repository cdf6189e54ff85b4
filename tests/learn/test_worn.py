"""An adapter that a model wears: what it changes, and what it leaves as it was."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import transformers

from deltanas.errors import ModelError, UsageError
from deltanas.learn import Tuned, export_adapter
from deltanas.llm import Lesson, Request, open_model
from deltanas.llm.adapters import lora
from deltanas.llm.local import LocalModel
from support import but
from tuned_model import BASE, lessons, total, tuned, weights

pytest_plugins = ["tiny_model"]
pytestmark = pytest.mark.usefixtures("bare")


def greedy(model: LocalModel) -> list[str]:
    asks = [Request(lesson.messages, key="k", temperature=0, max_tokens=12) for lesson in lessons()[:5]]
    return [reply.text for reply in model.generate(asks)]


def test_losses_are_those_of_transformers_and_the_export_is_read_by_peft(
    model: LocalModel, first: Tuned, tiny_folder: Path, tmp_path: Path
) -> None:
    out = export_adapter(first.folder, tmp_path / "out", base="Tiny/Tiny")
    assert json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"] == "Tiny/Tiny"
    config = json.loads((export_adapter(first.folder, tmp_path / "own") / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(tiny_folder)
    with pytest.raises(UsageError, match="exists"):
        export_adapter(first.folder, out)

    network: Any = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of a name in transformers that PEFT has yet to change
        network = lora.PeftModel.from_pretrained(network, str(out))
    model.adapt(first.folder)
    for lesson, loss in zip(lessons(), model.losses(lessons()), strict=True):
        turns = [message._asdict() for message in lesson.messages]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        head = tokenizer(text, return_tensors="pt")["input_ids"]
        whole = tokenizer(f"{text}{lesson.completion}<|end|>", return_tensors="pt")["input_ids"]
        labels = whole.clone()
        labels[:, : head.shape[1]] = -100
        assert loss.tokens == whole.shape[1] - head.shape[1] == len(lesson.completion) + 1
        assert loss.nll / loss.tokens == pytest.approx(network(input_ids=whole, labels=labels).loss.item(), rel=1e-4)


def test_decoding_wears_an_adapter_and_returns_to_what_it_was(model: LocalModel, first: Tuned) -> None:
    before = greedy(model)
    model.adapt(first.folder)
    worn = greedy(model)
    model.adapt(first.folder)
    assert greedy(model) == worn != before
    assert [text for one in range(5) for text in _one_by_one(model, one)] == worn
    model.adapt(None)
    assert greedy(model) == before


def _one_by_one(model: LocalModel, place: int) -> list[str]:
    ask = Request(lessons()[place].messages, key="k", temperature=0, max_tokens=12)
    return [reply.text for reply in model.generate([ask])]


def test_the_answer_is_chosen_that_the_adapter_made_likeliest(model: LocalModel, first: Tuned) -> None:
    asked = [Request(lesson.messages, key="k") for lesson in lessons()[:5]]
    answers = [[lesson.completion, "zzz", "conv=>conv=>"] for lesson in lessons()[:5]]
    each = [Lesson(ask.messages, said, "") for ask, some in zip(asked, answers, strict=True) for said in some]
    losses = model.losses(each)
    alone = [-loss.nll / loss.tokens for loss in losses]
    replies = model.choose(asked, answers)
    assert [reply.text for reply in replies] == _best(answers, alone)
    model.adapt(first.folder)
    raised = [loss.nll - now.nll for now, loss in zip(model.losses(each), losses, strict=True)]
    worn = model.choose(asked, answers)
    assert [reply.text for reply in worn] == _best(answers, raised)
    assert "zzz" not in {reply.text for reply in worn}
    greedy_reply = model.generate([replace(asked[0], temperature=0, max_tokens=1)])[0]
    assert (worn[0].prompt, worn[0].prompt_tokens) == (greedy_reply.prompt, greedy_reply.prompt_tokens)
    assert worn[0].reply_tokens == len(worn[0].text) + 1
    assert model.choose([], []) == []


def _best(answers: Sequence[Sequence[str]], merits: Sequence[float]) -> list[str]:
    left = iter(merits)
    return [max(zip(some, left, strict=False), key=lambda one: one[1])[0] for some in answers]


def test_an_adapter_of_another_base_is_refused_and_both_are_named(
    model: LocalModel, first: Tuned, tmp_path: Path
) -> None:
    from tiny_model import save_tiny_model

    other = cast("LocalModel", open_model(f"path:{save_tiny_model(tmp_path / 'other', seed=1)}"))
    both = f"(?s)is for the model path:.*, not for {other.base}.*Open {model.base}"
    with pytest.raises(ModelError, match=both):
        other.adapt(first.folder)
    with pytest.raises(ModelError, match=both):
        tuned(other, BASE, tmp_path / "x", after=first.folder)
    (first.folder / "lineage.json").rename(tmp_path / "lineage.json")
    try:
        with pytest.raises(ModelError, match=both):
            other.adapt(first.folder)
        model.adapt(first.folder)
    finally:
        (tmp_path / "lineage.json").rename(first.folder / "lineage.json")
    with pytest.raises(ModelError, match="can't be read"):
        model.adapt(tmp_path)
    assert model.adapter == first.folder
    assert not (tmp_path / "x").exists()


def test_a_base_whose_embeddings_alone_are_the_same_is_another(
    model: LocalModel, first: Tuned, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "base"))
    network: Any = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    with torch.no_grad():
        network.model.layers[0].mlp.up_proj.weight.mul_(2)
    network.save_pretrained(folder)
    other = cast("LocalModel", open_model(f"path:{folder}"))
    assert other.fingerprint == model.fingerprint
    with pytest.raises(ModelError, match="is for the model"):
        other.adapt(first.folder)
    copy = Path(shutil.copytree(first.folder, tmp_path / "copy"))
    with pytest.raises(ModelError, match="something else"):
        tuned(other, BASE, copy)
    told = json.loads((copy / "lineage.json").read_text())
    assert told.pop("samples") == model.samples
    (copy / "lineage.json").write_text(json.dumps(told))
    model.adapt(copy)
    assert model.adapter == copy, "one that an earlier version saved"


def test_an_exported_adapter_is_worn_and_continued(model: LocalModel, first: Tuned, tmp_path: Path) -> None:
    out = export_adapter(first.folder, tmp_path / "out", base="Tiny/Tiny")
    model.adapt(out)
    model.adapt(None)
    again = json.loads((export_adapter(out, tmp_path / "again") / "adapter_config.json").read_text())
    assert again["base_model_name_or_path"] == "Tiny/Tiny"
    with pytest.raises(ModelError, match="has targets"):
        tuned(model, but(BASE, targets=("q_proj",)), tmp_path / "next", after=out)
    (out / "lineage.json").unlink()
    with pytest.raises(ModelError) as caught:
        model.adapt(out)
    assert "Open hub:Tiny/Tiny" in caught.value.hint


def test_tied_embeddings_stay_as_they_are_and_are_not_saved(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "tied"))
    config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(config))
    network: Any = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
    network.lm_head.weight = network.get_input_embeddings().weight
    network.config.tie_word_embeddings = True
    network.save_pretrained(folder)

    tied = cast("LocalModel", open_model(f"path:{folder}"))
    table = tied.network.get_input_embeddings().weight
    assert tied.network.get_output_embeddings().weight is table
    before, losses = table.detach().clone(), total(tied, lessons())
    one = tuned(tied, BASE, tmp_path / "one")
    assert all(".lora_" in name for name in weights(one))
    assert torch.equal(table, before)
    assert total(tied, lessons()) == losses
    tied.adapt(one.folder)
    assert total(tied, lessons()) < losses


def test_without_peft_the_extra_is_named(model: LocalModel, first: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "deltanas.llm.adapters")
    monkeypatch.delattr("deltanas.llm.adapters")
    with pytest.raises(ModelError, match=r"pip install 'deltanas\[learn\]'"):
        model.adapt(first.folder)
