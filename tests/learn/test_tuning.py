"""Tuning by LoRA, on a real model of 60,000 weights: what must not change the result does not, nothing is half done."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import transformers
from safetensors.torch import load_file

from deltanas.errors import ModelError, UsageError
from deltanas.learn import Tuned, Tuning, export_adapter, tune, tune_preferences
from deltanas.llm import Lesson, Message, Preference, Request, open_model
from deltanas.llm.adapters import lineage, lora
from deltanas.llm.local import LocalModel
from deltanas.llm.packing import Row, answers_nll, packs

pytest_plugins = ["tiny_model"]

BASE = Tuning(rank=4, alpha=8, rate=5e-3, epochs=2, batch=8, targets=("q_proj", "v_proj", "lm_head"))
DIES = """
import os, pickle, signal, sys
from deltanas.learn import tune
from deltanas.llm import open_model
base, lessons, settings, into = pickle.load(sys.stdin.buffer)
def note(done, steps, loss):
    if done == 3:
        os.kill(os.getpid(), signal.SIGKILL)
tune(open_model(base), lessons, settings, into, None, 3, pause=0, note=note)
"""

STARVES = """
import pickle, resource, sys
from pathlib import Path
from deltanas.errors import ModelError
from deltanas.learn import tune
from deltanas.llm import open_model
base, lessons, long, settings, into, after = pickle.load(sys.stdin.buffer)
model = open_model(base)
model.adapt(after)
model.losses(lessons)
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2**25, resource.RLIM_INFINITY))
try:
    tune(model, long, settings, into, after, seed=0)
except ModelError as error:
    print(error)
print("adapter:", model.adapter)
"""


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> LocalModel:
    return cast("LocalModel", open_model(f"path:{tiny_folder}"))


@pytest.fixture(autouse=True)
def _bare(model: LocalModel) -> Iterator[None]:
    """Each test begins without an adapter, and no tuning leaves one on."""
    assert model.adapter is None
    yield
    model.adapt(None)


@pytest.fixture(scope="module")
def first(model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tuned(model, BASE, tmp_path_factory.mktemp("line") / "cycle-1")


def ask(source: str, goal: str) -> tuple[Message, ...]:
    return (Message("user", f"The file:\n{source * 10}"), Message("assistant", "And?"), Message("user", goal))


def lessons(files: Sequence[str] = ("conv", "pool", "norm", "head")) -> list[Lesson]:
    """Four of each file; answers about a file begin alike, and few have one length."""
    return [
        Lesson(ask(source, f"goal {number % 2}"), f"{source}=>" + "ab" * (1 + number + place), source)
        for place, source in enumerate(files)
        for number in range(4)
    ]


def tuned(model: LocalModel, settings: Tuning, into: Path, after: Path | None = None) -> Tuned:
    return tune(model, lessons(), settings, into, after, seed=3)


def total(model: LocalModel, some: Sequence[Lesson]) -> float:
    return sum(loss.nll for loss in model.losses(some))


def weights(one: Tuned) -> dict[str, torch.Tensor]:
    return dict(load_file(one.folder / "adapter_model.safetensors"))


def same(one: Tuned, other: Tuned) -> bool:
    """Within rounding: of the weights less is asked, as Adam divides small numbers by small ones."""
    assert one.tokens == other.tokens
    first, second = weights(one), weights(other)
    alike = all(torch.allclose(first[name], second[name], rtol=1e-2, atol=1e-3) for name in first)
    return alike and one.losses == pytest.approx(other.losses, rel=1e-4)


def greedy(model: LocalModel) -> list[str]:
    asks = [Request(lesson.messages, key="k", temperature=0, max_tokens=12) for lesson in lessons()[:5]]
    return [reply.text for reply in model.generate(asks)]


def test_batches_and_packing_change_no_loss_and_no_weight(model: LocalModel, tmp_path: Path) -> None:
    alone = tuned(model, replace(BASE, batch=1, accumulation=8, packing="none"), tmp_path / "alone")
    assert len(alone.losses) == alone.steps == 4
    assert same(alone, tuned(model, replace(BASE, packing="none"), tmp_path / "padded"))
    assert same(alone, tuned(model, BASE, tmp_path / "packed"))
    assert same(alone, tuned(model, replace(BASE, batch=2, accumulation=4, checkpointing=True), tmp_path / "small"))
    assert not same(alone, tuned(model, replace(BASE, rate=1e-3), tmp_path / "slower"))


def test_a_tree_of_rows_gives_the_losses_and_gradients_of_each_alone(model: LocalModel) -> None:
    texts = [(1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5), (1, 2, 3, 4, 9, 9, 9), (1, 2, 8), (1, 2, 3, 4, 5, 6), (7, 8, 9)]
    rows = [Row(text, 2) for text in texts]
    weight = model.network.get_input_embeddings().weight.requires_grad_()
    gradients = []
    for share in (True, False):
        nlls = answers_nll(model.network, rows, share=share)
        (gradient,) = torch.autograd.grad((nlls * torch.arange(1.0, 7)).sum(), weight)
        gradients += [(nlls.detach(), gradient)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-4)
    assert [sorted(pack) for pack in packs(rows, batch=8, most=99)] == [[0, 1, 2, 3, 4], [5]]
    assert max(len(pack) for pack in packs(rows, batch=2, most=99)) == 2
    assert [len(pack) for pack in packs(rows, batch=8, most=6)] == [3, 1, 1, 1]
    assert all(len(pack) == 1 for pack in packs(rows, batch=8, most=0))


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


def test_the_curve_is_that_of_transformers_trainer(model: LocalModel, tmp_path: Path) -> None:
    """All lessons in each step, so that their order is nothing to agree on."""
    settings = replace(BASE, batch=16, epochs=6, warmup=2, clip=0.5, decay=0.1)
    ours = tune(model, lessons(), settings, tmp_path / "ours", None, seed=3)

    rows = [model.row(lesson.messages, lesson.completion) for lesson in lessons()]
    width = max(len(row.tokens) for row in rows)
    data = [
        {
            "input_ids": [*row.tokens, *[0] * (width - len(row.tokens))],
            "attention_mask": [1] * len(row.tokens) + [0] * (width - len(row.tokens)),
            "labels": [-100] * row.begin + [*row.tokens[row.begin :]] + [-100] * (width - len(row.tokens)),
        }
        for row in rows
    ]
    torch.manual_seed(3)
    config = lora.LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=list(settings.targets))
    model.wear(config)
    trainer = transformers.Trainer(
        model=model.network,
        args=transformers.TrainingArguments(
            str(tmp_path / "trainer"),
            num_train_epochs=6,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=4,
            learning_rate=settings.rate,
            lr_scheduler_type="cosine",
            warmup_steps=2,
            max_grad_norm=0.5,
            weight_decay=0.1,
            logging_steps=1,
            report_to=[],
            save_strategy="no",
            dataloader_pin_memory=False,
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=data,
    )
    trainer.train()
    theirs = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert ours.losses == pytest.approx(theirs, rel=2e-3)


def test_a_line_of_adapters_goes_down_and_each_descends_from_the_one_before(
    model: LocalModel, first: Tuned, tmp_path: Path
) -> None:
    nll = [total(model, lessons())]
    line = [first]
    for cycle in (2, 3):
        line.append(tuned(model, BASE, tmp_path / f"cycle-{cycle}", after=line[-1].folder))
    for one in line:
        model.adapt(one.folder)
        assert model.name.endswith(f"+{one.folder.name}")
        nll.append(total(model, lessons()))
    assert nll == sorted(nll, reverse=True)
    assert nll[3] < 0.9 * nll[0]
    marks = [lineage(one.folder) for one in line]
    assert [mark and mark.parent for mark in marks] == [None, *[mark and mark.weights for mark in marks[:2]]]
    assert len({mark and mark.weights for mark in marks}) == 3
    assert line[1].losses[0] < first.losses[0]


def test_decoding_wears_an_adapter_and_returns_to_what_it_was(model: LocalModel, first: Tuned) -> None:
    before = greedy(model)
    model.adapt(first.folder)
    worn = greedy(model)
    model.adapt(first.folder)
    assert greedy(model) == worn != before
    assert [text for one in range(5) for text in _one_by_one(model, one)] == worn
    model.adapt(None)
    assert greedy(model) == before


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


def _one_by_one(model: LocalModel, place: int) -> list[str]:
    ask = Request(lessons()[place].messages, key="k", temperature=0, max_tokens=12)
    return [reply.text for reply in model.generate([ask])]


def test_a_killed_tuning_is_taken_up_and_ends_as_an_undisturbed_one(
    model: LocalModel, tiny_folder: Path, tmp_path: Path
) -> None:
    settings, into = replace(BASE, dropout=0.2), tmp_path / "line" / "cycle-1"
    undisturbed = tuned(model, settings, tmp_path / "undisturbed")
    given = pickle.dumps((f"path:{tiny_folder}", lessons(), settings, into))
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    dead = subprocess.run([sys.executable, "-c", DIES], input=given, env=os.environ | threads, check=False)
    assert dead.returncode == -signal.SIGKILL
    assert [path.name for path in into.parent.iterdir()] == [".cycle-1.part"]
    (into.parent / ".cycle-1.new").mkdir()

    steps: list[int] = []
    again = tune(model, lessons(), settings, into, None, 3, note=lambda done, *_: steps.append(done))
    assert steps == [4]
    assert again.losses == undisturbed.losses
    assert all(torch.equal(one, weights(undisturbed)[name]) for name, one in weights(again).items())
    assert [path.name for path in into.parent.iterdir()] == ["cycle-1"]
    assert tuned(model, settings, into) == again
    assert tuned(model, replace(settings, batch=2, accumulation=4, checkpointing=True), into) == again
    with pytest.raises(ModelError, match="holds something else"):
        tuned(model, BASE, into)


def test_what_a_tuning_kept_counts_for_nothing_if_it_is_cut_short_or_of_another(
    model: LocalModel, first: Tuned, tmp_path: Path
) -> None:
    torch.save({"key": "of another"}, tmp_path / ".cycle-1.part")
    assert tuned(model, BASE, tmp_path / "cycle-1").losses == first.losses
    (tmp_path / ".cycle-2.part").write_bytes(b"PK\x03\x04 cut short")
    assert tuned(model, BASE, tmp_path / "cycle-2").losses == first.losses


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


def test_what_can_not_be_tuned_is_told(model: LocalModel, first: Tuned, tmp_path: Path) -> None:
    into = tmp_path / "new"
    with pytest.raises(ModelError, match="no lesson"):
        tune(model, [], BASE, into, None, seed=0)
    with pytest.raises(ModelError, match="longer than 20 tokens"):
        tuned(model, replace(BASE, max_length=20), into)
    with pytest.raises(ModelError, match=r"(?s)no layers c_attn.*q_proj"):
        tuned(model, replace(BASE, targets=("q_proj", "c_attn")), into)
    with pytest.raises(ModelError, match="has rank 4; the settings say 8"):
        tuned(model, replace(BASE, rank=8), into, after=first.folder)
    with pytest.raises(ModelError, match="The loss of step"):
        tuned(model, replace(BASE, rate=1e30, clip=1e30), into)
    for wrong in ({"rate": 0.0}, {"batch": 0}, {"steps": 0}, {"dropout": 1.0}, {"targets": ()}, {"decay": -1.0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            replace(BASE, **cast("Any", wrong))
    longer = [*lessons(), Lesson(ask("conv", "x"), "y" * 300, "conv")]
    assert tune(model, longer, replace(BASE, max_length=250, epochs=1), into, None, seed=0).left_out == 1


def test_a_tuning_without_memory_says_so_and_leaves_all_as_it_was(
    tiny_folder: Path, first: Tuned, tmp_path: Path
) -> None:
    long = [Lesson((Message("user", "x" * 3000),), letter * 500, "x") for letter in "abc"]
    given = pickle.dumps(
        (f"path:{tiny_folder}", lessons(), long, replace(BASE, epochs=1), tmp_path / "new", first.folder)
    )
    starved = subprocess.run([sys.executable, "-c", STARVES], input=given, capture_output=True, check=False)
    assert starved.returncode == 0, starved.stderr.decode()
    said = starved.stdout.decode()
    assert "out of memory at step 1 of 1" in said
    assert "batch" in said
    assert said.endswith(f"adapter: {first.folder}\n")
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.llm
def test_the_embedded_model_learns_and_is_itself_again(smollm2: LocalModel, tmp_path: Path) -> None:
    asked = [Lesson((Message("user", f"{word}?"),), "nn.SiLU() => nn.GELU()", word) for word in ("one", "two")]
    before = total(smollm2, asked)
    settings = replace(BASE, rate=1e-3, epochs=4, targets=("q_proj", "down_proj", "lm_head"))
    one = tune(smollm2, asked, settings, tmp_path / "one", None, seed=0)
    assert total(smollm2, asked) == before
    smollm2.adapt(one.folder)
    assert total(smollm2, asked) < 0.9 * before
    assert (one.folder / "adapter_model.safetensors").stat().st_size < 5 * 2**20
    smollm2.adapt(None)
    assert total(smollm2, asked) == before


def test_without_peft_the_extra_is_named(model: LocalModel, first: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    monkeypatch.delitem(sys.modules, "deltanas.llm.adapters")
    monkeypatch.delattr("deltanas.llm.adapters")
    with pytest.raises(ModelError, match=r"pip install 'deltanas\[learn\]'"):
        model.adapt(first.folder)


def test_preferences_part_the_better_from_the_worse(model: LocalModel, first: Tuned, tmp_path: Path) -> None:
    pairs = [Preference(lesson.messages, lesson.completion, "worse" * 3, lesson.family) for lesson in lessons()]
    settings = replace(BASE, epochs=4)

    def lead() -> float:
        worse = [Lesson(pair.messages, pair.worse, pair.family) for pair in pairs]
        return total(model, worse) - total(model, lessons())

    one = tune_preferences(model, pairs, settings, tmp_path / "one", first.folder, seed=0)
    assert one.losses[0] == pytest.approx(torch.log(torch.tensor(2.0)).item(), rel=1e-4)
    for name, cut in {"apart": replace(settings, packing="none"), "small": settings}.items():
        smaller = replace(cut, batch=2, accumulation=4)
        assert same(one, tune_preferences(model, pairs, smaller, tmp_path / name, first.folder, seed=0))
    model.adapt(first.folder)
    before = lead()
    model.adapt(one.folder)
    assert lead() > before + 1
    assert one.losses[-1] < 0.6
