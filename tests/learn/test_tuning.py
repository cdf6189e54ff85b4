"""Tuning by LoRA, on a real model of 60,000 weights: what must not change the result does not, nothing is half done."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import transformers

from deltanas.errors import ModelError, UsageError
from deltanas.learn import Tuned, tune, tune_preferences
from deltanas.llm import Lesson, Message, Preference
from deltanas.llm.adapters import lineage, lora
from deltanas.llm.local import LocalModel
from deltanas.llm.packing import Row, answers_nll, packs
from support import but
from tuned_model import BASE, ask, lessons, total, tuned, weights

pytest_plugins = ["tiny_model"]
pytestmark = pytest.mark.usefixtures("bare")

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

FILLS = """
import pickle, resource, signal, sys
from deltanas.errors import ModelError
from deltanas.learn import tune
from deltanas.llm import open_model
base, lessons, settings, into = pickle.load(sys.stdin.buffer)
model = open_model(base)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # as a full disk
for pause in (60.0, 0.0):
    try:
        tune(model, lessons, settings, into, None, 3, pause=pause)
    except ModelError as error:
        print(error)
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


def same(one: Tuned, other: Tuned) -> bool:
    """Within rounding: of the weights less is asked, as Adam divides small numbers by small ones."""
    assert one.tokens == other.tokens
    first, second = weights(one), weights(other)
    alike = all(torch.allclose(first[name], second[name], rtol=1e-2, atol=1e-3) for name in first)
    return alike and one.losses == pytest.approx(other.losses, rel=1e-4)


def test_batches_and_packing_change_no_loss_and_no_weight(model: LocalModel, tmp_path: Path) -> None:
    alone = tuned(model, but(BASE, batch=1, accumulation=8, packing="none"), tmp_path / "alone")
    assert len(alone.losses) == alone.steps == 4
    assert same(alone, tuned(model, but(BASE, packing="none"), tmp_path / "padded"))
    assert same(alone, tuned(model, BASE, tmp_path / "packed"))
    assert same(alone, tuned(model, but(BASE, batch=2, accumulation=4, checkpointing=True), tmp_path / "small"))
    assert not same(alone, tuned(model, but(BASE, rate=1e-3), tmp_path / "slower"))


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


def test_the_curve_is_that_of_transformers_trainer(model: LocalModel, tmp_path: Path) -> None:
    """All lessons in each step, so that their order is nothing to agree on."""
    settings = but(BASE, batch=16, epochs=6, warmup=2, clip=0.5, decay=0.1)
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


def test_a_killed_tuning_is_taken_up_and_ends_as_an_undisturbed_one(
    model: LocalModel, tiny_folder: Path, tmp_path: Path
) -> None:
    settings, into = but(BASE, dropout=0.2), tmp_path / "line" / "cycle-1"
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
    assert tuned(model, but(settings, batch=2, accumulation=4, checkpointing=True), into) == again
    with pytest.raises(ModelError, match="holds something else") as caught:
        tuned(model, BASE, into)
    assert f"mv -n {into} {into}.1" in caught.value.hint


def test_what_a_tuning_kept_counts_for_nothing_if_it_is_cut_short_or_of_another(
    model: LocalModel, first: Tuned, tmp_path: Path
) -> None:
    torch.save({"key": "of another"}, tmp_path / ".cycle-1.part")
    assert tuned(model, BASE, tmp_path / "cycle-1").losses == first.losses
    (tmp_path / ".cycle-2.part").write_bytes(b"PK\x03\x04 cut short")
    assert tuned(model, BASE, tmp_path / "cycle-2").losses == first.losses


def test_what_can_not_be_tuned_is_told(model: LocalModel, first: Tuned, tmp_path: Path) -> None:
    into = tmp_path / "new"
    with pytest.raises(ModelError, match="no lesson"):
        tune(model, [], BASE, into, None, seed=0)
    with pytest.raises(ModelError, match="longer than 20 tokens"):
        tuned(model, but(BASE, max_length=20), into)
    with pytest.raises(ModelError, match=r"(?s)no layers c_attn.*q_proj"):
        tuned(model, but(BASE, targets=("q_proj", "c_attn")), into)
    with pytest.raises(ModelError, match="has rank 4; the settings say 8"):
        tuned(model, but(BASE, rank=8), into, after=first.folder)
    with pytest.raises(ModelError, match="The loss of step"):
        tuned(model, but(BASE, rate=1e30, clip=1e30), into)
    for wrong in ({"rate": 0.0}, {"batch": 0}, {"steps": 0}, {"dropout": 1.0}, {"targets": ()}, {"decay": -1.0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            but(BASE, **cast("Any", wrong))
    longer = [*lessons(), Lesson(ask("conv", "x"), "y" * 300, "conv")]
    assert tune(model, longer, but(BASE, max_length=250, epochs=1), into, None, seed=0).left_out == 1


def test_a_tuning_without_memory_says_so_and_leaves_all_as_it_was(
    tiny_folder: Path, first: Tuned, tmp_path: Path
) -> None:
    long = [Lesson((Message("user", "x" * 3000),), letter * 500, "x") for letter in "abc"]
    given = pickle.dumps((f"path:{tiny_folder}", lessons(), long, but(BASE, epochs=1), tmp_path / "new", first.folder))
    starved = subprocess.run([sys.executable, "-c", STARVES], input=given, capture_output=True, check=False)
    assert starved.returncode == 0, starved.stderr.decode()
    said = starved.stdout.decode()
    assert "out of memory at step 1 of 1" in said
    assert "batch" in said
    assert said.endswith(f"adapter: {first.folder}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_tuning_without_room_on_the_disk_says_so_and_leaves_nothing(tiny_folder: Path, tmp_path: Path) -> None:
    into = tmp_path / "new"
    given = pickle.dumps((f"path:{tiny_folder}", lessons(), but(BASE, epochs=1), into))
    filled = subprocess.run([sys.executable, "-c", FILLS], input=given, capture_output=True, check=False)
    assert filled.returncode == 0, filled.stderr.decode()
    assert filled.stdout.decode().count(f"The adapter {into} can't be written") == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}', '{"settings": {"targets": 3}}'])
def test_a_damaged_account_of_a_tuning_is_told(model: LocalModel, first: Tuned, tmp_path: Path, text: str) -> None:
    damaged = Path(shutil.copytree(first.folder, tmp_path / "damaged"))
    (damaged / "tuning.json").write_text(text)
    with pytest.raises(ModelError, match=r"tuning\.json can't be read"):
        tuned(model, BASE, tmp_path / "next", after=damaged)
    with pytest.raises(ModelError, match="something else"):
        tuned(model, BASE, damaged)


@pytest.mark.llm
def test_the_embedded_model_learns_and_is_itself_again(smollm2: LocalModel, tmp_path: Path) -> None:
    asked = [Lesson((Message("user", f"{word}?"),), "nn.SiLU() => nn.GELU()", word) for word in ("one", "two")]
    before = total(smollm2, asked)
    settings = but(BASE, rate=1e-3, epochs=4, targets=("q_proj", "down_proj", "lm_head"))
    one = tune(smollm2, asked, settings, tmp_path / "one", None, seed=0)
    assert total(smollm2, asked) == before
    smollm2.adapt(one.folder)
    assert total(smollm2, asked) < 0.9 * before
    assert (one.folder / "adapter_model.safetensors").stat().st_size < 5 * 2**20
    smollm2.adapt(None)
    assert total(smollm2, asked) == before


def test_preferences_part_the_better_from_the_worse(model: LocalModel, first: Tuned, tmp_path: Path) -> None:
    pairs = [Preference(lesson.messages, lesson.completion, "worse" * 3, lesson.family) for lesson in lessons()]
    settings = but(BASE, epochs=4)

    def lead() -> float:
        worse = [Lesson(pair.messages, pair.worse, pair.family) for pair in pairs]
        return total(model, worse) - total(model, lessons())

    one = tune_preferences(model, pairs, settings, tmp_path / "one", first.folder, seed=0)
    assert one.losses[0] == pytest.approx(torch.log(torch.tensor(2.0)).item(), rel=1e-4)
    for name, cut in {"apart": but(settings, packing="none"), "small": settings}.items():
        smaller = but(cut, batch=2, accumulation=4)
        assert same(one, tune_preferences(model, pairs, smaller, tmp_path / name, first.folder, seed=0))
    model.adapt(first.folder)
    before = lead()
    model.adapt(one.folder)
    assert lead() > before + 1
    assert one.losses[-1] < 0.6
