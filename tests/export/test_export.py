"""The best networks leave the sandbox as plain bytes, whole and equal to what was trained there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from deltanas import nets
from deltanas.errors import UsageError
from deltanas.export import export_best, write_sources
from deltanas.program import Failed, Program, Refused, Trained, prm_text
from deltanas.records import Attempt, Candidate, Draft, RunView
from deltanas.sandbox import Exported, LocalPool
from deltanas.sandbox.exported import judge_export, read_weights
from deltanas.sandbox.judge import Target
from deltanas.sandbox.layers import Bounds
from deltanas.sandbox.supervise import Ended, Limits
from deltanas.task import CLASSIFY
from deltanas.train.data import Dataset, Images

MLP = Program.of(nets.baseline("mlp"), prm=prm_text(nets.DEFAULT_PRM))
LIMITS = Limits(5.0, Bounds(5, 1 << 30))


def tiny() -> Dataset:
    """7x7 images: no whole multiple of the 4x4 that adaptive pooling asks for."""
    rng = np.random.default_rng(0)

    def images(n: int) -> Images:
        return Images(rng.integers(0, 256, (n, 1, 7, 7), dtype=np.uint8), np.arange(n, dtype=np.int64) % 10)

    return Dataset("tiny", images(96), images(40), images(30), 10)


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalPool]:
    with LocalPool(tiny(), timeout=60, workers=1) as opened:
        yield opened


def view(*edited: Program) -> RunView:
    def scored(accuracy: float) -> Trained:
        return Trained(accuracy, 40, 0, 1.0, 1.0, "A")

    base = Candidate(
        0, 0, "baseline", None, Draft(MLP, 10, 20), (Attempt("", None, "", None),), scored(0.1), name="mlp"
    )
    rows = [
        Candidate(1, i, "random", MLP.id, Draft(p, 30, 40), (Attempt("edit ```", "exact", "pool", None),), scored(0.9))
        for i, p in enumerate(edited)
    ]
    known = ("version", "commit", "torch", "python", "device", "machine", "tier")
    manifest: dict[str, object] = dict.fromkeys(known, "x")
    rows = [replace(row, trainings=(row.outcome,)) for row in rows if isinstance(row.outcome, Trained)]
    return RunView("a run", True, {**manifest, "dirty": False, "seed": 0}, (base, *rows), {})


def test_what_is_written_computes_what_the_sandbox_measured(pool: LocalPool, tmp_path: Path) -> None:
    pooled = MLP.net.replace("nn.Flatten(),", "nn.AdaptiveAvgPool2d(4), nn.Flatten(),")
    edited = MLP.edited("net", pooled.replace("channels * in_shape[2] * in_shape[3]", "channels * 16"))
    broken = MLP.edited("net", "raise ValueError('no')")
    made = export_best(view(edited, broken), 2, tmp_path, pool, 7, ("int8", "w8a16"))
    done, failed = sorted(made, key=lambda net: net.rank)
    assert failed.reason == "error: line 1: ValueError: no"
    assert not (Path(failed.folder) / "model.safetensors").exists()
    assert done.reason is None
    assert done.onnx, done.onnx_reason
    assert done.onnx_difference is not None
    assert done.onnx_difference < 1e-4
    assert done.onnx_images == 70

    folder = Path(done.folder)
    assert (folder / "prm.json").read_text() == edited.prm
    module = ModuleType("net")
    exec(compile((folder / "net.py").read_text(), "net", "exec"), module.__dict__)
    net = module.Net((1, 1, 7, 7), (10,), nets.DEFAULT_PRM, torch.device("cpu"))
    net.train_setup(nets.DEFAULT_PRM)
    net.load_state_dict(load_file(folder / "model.safetensors"))
    net.eval()
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in pool.dataset.scale)
    data = pool.dataset
    for images, score in ((data.validation, done.validation), (data.test, done.test)):
        with torch.no_grad():
            logits = net((torch.from_numpy(images.x).float() - mean) / std)
        assert score is not None
        assert score.n == len(images)
        assert score.score == pytest.approx(float((logits.argmax(1).numpy() == images.y).mean()))
        assert score.low is not None
        assert score.high is not None
        assert score.low <= score.score <= score.high
        answer = pool.infer((folder / "model.onnx").read_bytes(), images.x)
        assert not isinstance(answer, Failed)
        np.testing.assert_allclose(answer, logits.numpy(), atol=1e-4)
    text = (folder / "README.md").read_text()
    for kind, file, why in (("int8", done.int8, done.int8_reason), ("w8a16", done.w8a16, done.w8a16_reason)):
        assert file is not None, why
        assert (folder / f"model.{kind}.onnx").stat().st_size == file.bytes
        assert (file.images, file.calibration) == (70, 64)
        assert file.low <= file.loss <= file.high
        told = f"{file.score:.2%}: {round(-100 * file.loss, 1) + 0.0:+.1f} points"
        section = text[text.index(f"- `model.{kind}.onnx`") :].partition("\n\n")[0]
        assert f"Over 70 images of both splits its accuracy is {told}" in section
        assert ("**That is more than a quantised file should lose.**" in section) == file.warned
        assert ("session.x64quantprecision" in section) == (kind == "int8")
    assert f"seed {done.seed}" in text
    assert done.test is not None
    assert f"| test | {done.test.score:.2%} |" in text
    assert "````\nedit ```\n````" in text, "the fence is longer than any in the edit"


def test_where_no_candidate_beat_its_parent_the_best_baseline_is_written(pool: LocalPool, tmp_path: Path) -> None:
    lone = replace(view(), candidates=(replace(view().candidates[0], outcome=Trained(0.1, 40, 0, 1.0, 1.0, "A")),))
    (net,) = export_best(lone, 3, tmp_path, pool, seed=7)
    assert (net.name, net.reason) == ("mlp", None)
    assert net.onnx
    card = (Path(net.folder) / "README.md").read_text()
    assert "the baseline with the best accuracy on the validation split: none of 0 candidates beat" in card
    (Path(net.folder) / "model.int8.onnx").write_bytes(b"of other weights")
    assert [one.name for one in export_best(lone, 3, tmp_path, pool, seed=8)] == ["mlp"]
    assert not (Path(net.folder) / "model.int8.onnx").exists()
    assert (Path(net.folder) / "model.onnx").exists()
    assert [one.name for one in write_sources(lone, 3, tmp_path)] == ["mlp"]
    better = replace(
        lone, candidates=(*lone.candidates, *view(MLP.edited("net", MLP.net + "\nx = 1\n")).candidates[1:])
    )
    assert [one.name for one in write_sources(better, 3, tmp_path)] == ["1.0"]
    worse = [replace(row, outcome=Trained(0.05, 40, 0, 1.0, 1.0, "A")) for row in lone.candidates]
    worse[0] = replace(worse[0], cycle=0, index=1, name="weak", draft=Draft(MLP.edited("net", MLP.net + "\ny = 1\n")))
    assert [one.name for one in write_sources(replace(lone, candidates=(*lone.candidates, *worse)), 3, tmp_path)] == [
        "mlp"
    ]


def test_a_network_is_written_by_its_name_whatever_its_rank(pool: LocalPool, tmp_path: Path) -> None:
    run = view(MLP.edited("net", MLP.net + "\nx = 1\n"), MLP.edited("net", MLP.net + "\nx = 2\n"))
    (net,) = export_best(run, ["mlp", MLP.id], tmp_path, pool, seed=7)
    assert (net.name, net.reason) == ("mlp", None)
    assert "taken by its name, not by a rank" in (Path(net.folder) / "README.md").read_text()
    assert [one.name for one in write_sources(run, ["1.1", "mlp"], tmp_path)] == ["1.1", "mlp"]
    for name, number in (("1.2", 0), ("", 3)):
        with pytest.raises(UsageError, match=f"{number} programs of a run have the name"):
            write_sources(run, [name], tmp_path)


def test_a_copy_that_was_refused_is_not_taken_for_its_original(tmp_path: Path) -> None:
    run = view(MLP.edited("net", MLP.net + "\nx = 1\n"))
    copy = replace(run.candidates[1], index=1, outcome=Refused("novelty", "known already"), trainings=())
    other = replace(copy, index=2, draft=Draft(MLP.edited("net", MLP.net + "\nx = 2\n")))
    both = replace(run, candidates=(*run.candidates, copy, other))
    known = both.candidates[1].program
    assert known
    assert [one.name for one in write_sources(both, [known.id], tmp_path)] == ["1.0"]
    with pytest.raises(UsageError, match="refused by a gate and never trained"):
        write_sources(both, ["1.2"], tmp_path)


def test_what_onnx_lacks_is_told_and_the_weights_are_kept(pool: LocalPool, tmp_path: Path) -> None:
    lacking = MLP.edited("net", MLP.net.replace("self.head(x)", "self.head(x) + torch.special.bessel_j0(x).mean()"))
    (net,) = export_best(view(lacking), 1, tmp_path, pool, seed=7)
    assert net.reason is None
    assert not net.onnx
    assert "bessel" in str(net.onnx_reason)
    assert load_file(Path(net.folder) / "model.safetensors")
    assert "There is no ONNX file: " in (Path(net.folder) / "README.md").read_text()


def test_the_two_scores_are_those_of_a_training(pool: LocalPool) -> None:
    ((_, found),) = pool.export([MLP], seed=3)
    assert isinstance(found, Exported)
    for split, score in (("validation", found.validation), ("test", found.test)):
        ((_, plain),) = pool.train([MLP], seed=3, split="test" if split == "test" else "validation")
        assert isinstance(plain, Trained)
        assert (plain.score, plain.n) == (score.score, score.n)


WEIGHTS = [["a", "F32", [2]], ["b", "I64", []]]


@pytest.mark.parametrize(
    "told",
    [
        "no json",
        {},
        [["a", "F32", [2]]],
        [["a", "F32", [3]], ["b", "I64", []]],
        [["a", "F32", [2]], ["a", "I64", []]],
        [["a", "OBJECT", [2]], ["b", "I64", []]],
        [["a", "F32", [-2]], ["b", "I64", []]],
        [["a", "F32", [2, True]], ["b", "I64", []]],
        [["a\n", "F32", [2]], ["b", "I64", []]],
        [["a" * 501, "F32", [2]], ["b", "I64", []]],
        [["a", "F32", [1] * 16 + [2]], ["b", "I64", []]],
    ],
)
def test_weights_that_do_not_fit_their_list_are_refused(told: object) -> None:
    text = json.dumps(told).encode() if not isinstance(told, str) else told.encode()
    assert read_weights(json.dumps(WEIGHTS).encode(), bytes(16)) is not None
    assert read_weights(text, bytes(16)) is None


@pytest.mark.parametrize(
    "header",
    [
        {"tensors": 2, "weights": 0, "onnx": 1, "why": ""},
        {"tensors": 5, "weights": -3, "onnx": 0, "why": ""},
        {"tensors": 2, "weights": 0, "onnx": 0},
        {"tensors": "2", "weights": 0, "onnx": 0, "why": ""},
    ],
)
def test_an_answer_whose_parts_do_not_add_up_is_a_failure(header: dict[str, object]) -> None:
    def judged(told: dict[str, object]) -> Exported | Failed:
        answer = json.dumps(told).encode() + b"\n" + np.zeros((2, 2), np.float32).tobytes() + b"[]"
        ended = Ended("exit", 0, 1.0, 1.0, answer, "")
        tested = np.array([False, True])
        target = Target(CLASSIFY, (2,), np.zeros(2, np.int64), np.arange(2))
        return judge_export(ended, LIMITS, target, tested, seed=0, tier="A")

    assert isinstance(judged({"tensors": 2, "weights": 0, "onnx": 0, "why": ""}), Exported)
    assert isinstance(judged(header), Failed)
