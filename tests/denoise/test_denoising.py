"""Denoisers are trained, scored, searched and told of as classifiers are."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from deltanas import nets
from deltanas.archive import read_folder
from deltanas.config import read_config
from deltanas.errors import UsageError
from deltanas.program.space import edits_of
from deltanas.task import CLASSIFY, DENOISE, Task
from deltanas.train.data import load
from deltanas.train.pairs import Turned, crop_of
from deltanas.wiring.pools import open_pool, require_fit, settled_training
from pairs_of_images import SIZE, denoiser, pairs, smooth
from support import Command

NAMES = list(nets.baselines("denoise"))


def build(name: str, size: int = 32, channels: int = 3) -> torch.nn.Module:
    module: dict[str, object] = {"__name__": name}
    exec(compile(nets.baseline(name, "denoise"), f"{name}.py", "exec"), module)
    net = module["Net"]((1, channels, size, size), (channels, size, size), nets.DEFAULT_PRM, torch.device("cpu"))  # type: ignore[operator]
    net.train_setup(nets.DEFAULT_PRM)
    return net  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", NAMES)
def test_a_network_takes_images_of_any_size_that_its_strides_divide(name: str) -> None:
    net, torch_seed = build(name), torch.manual_seed(0)
    assert torch_seed
    noisy, clean = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    net.learn([(noisy, clean)])  # type: ignore[operator]
    with torch.no_grad():
        assert net(torch.rand(1, 3, 16, 48)).shape == (1, 3, 16, 48)
    assert build(name, channels=1)(torch.rand(1, 1, 32, 32)).shape == (1, 1, 32, 32)
    assert edits_of(nets.baseline(name, "denoise"))


def test_the_published_student_has_its_published_size() -> None:
    assert sum(weight.numel() for weight in build("lite").parameters()) == 1_963_411


def test_all_denoisers_train_alike() -> None:
    texts = nets.baselines("denoise").values()
    assert len({text[text.index("    def train_setup") :] for text in texts}) == 1
    assert set(nets.baselines()) == set(nets.baselines("classify"))
    assert nets.baselines("paint") == {}


def test_both_sides_of_a_pair_are_turned_alike() -> None:
    images = torch.from_numpy(smooth(40, 12))
    x, y = Turned(3)(images, images, 8)
    assert torch.equal(x, y)
    assert x.shape == (40, 3, 8, 8)
    again, _ = Turned(3)(images, images, 8)
    assert torch.equal(x, again)
    other, _ = Turned(4)(images, images, 8)
    assert not torch.equal(x, other)
    flat = torch.arange(2 * 12).reshape(1, 1, 2, 12).repeat(60, 1, 1, 1).to(torch.uint8)
    turned, _ = Turned(0)(flat, flat)
    assert turned.shape == flat.shape
    assert len({one.numpy().tobytes() for one in turned}) == 4
    square = torch.arange(9).reshape(1, 1, 3, 3).repeat(99, 1, 1, 1).to(torch.uint8)
    assert len({one.contiguous().numpy().tobytes() for one in Turned(0)(square, square)[0]}) == 8


def test_crops_grow_by_epoch() -> None:
    assert [crop_of(epoch, 6, (8, 16, 32)) for epoch in range(1, 7)] == [8, 8, 16, 16, 32, 32]
    assert crop_of(1, 3, ()) is None


def test_crops_train_otherwise_and_whole_images_are_scored() -> None:
    net = denoiser("half")
    scores = []
    for crops in ((), (8, SIZE)):
        train = settled_training(read_config({"train": {"crops": crops, "epochs": 2}}).train, pairs(), {"batch": 16})
        with open_pool(pairs(), train, DENOISE) as pool:
            ((_, outcome),) = pool.train([net], seed=0)
        scores.append(outcome.score)  # type: ignore[union-attr]
    assert len(set(scores)) == 2


def test_larger_pairs_are_cropped_and_get_more_steps() -> None:
    asked = read_config({}).train
    large, small = (settled_training(asked, pairs(size), {"batch": 16}) for size in (64, SIZE))
    assert (large.crops, small.crops) == ((32,), ())
    assert large.epochs == small.epochs == 171  # of 3 steps: 512 or more
    assert settled_training(asked, load("digits"), {}).crops == ()
    whole = read_config({"train": {"crops": "64", "epochs": 3}}).train
    assert settled_training(whole, pairs(64), {}) == whole.model_copy(update={"threads": 1})
    assert settled_training(read_config({"train": {"crops": []}}).train, pairs(64), {}).crops == ()


WRONG: dict[str, tuple[Task, dict[str, Any], str, dict[str, Any]]] = {
    "labels": (DENOISE, {}, "wants pairs of images, and digits holds labels", {"task": CLASSIFY}),
    "pairs": (CLASSIFY, {}, "wants labels, and waves holds pairs of images", {"task": DENOISE}),
    "augment": (DENOISE, {"augment": ("flip",)}, "changes images alone", {"augment": ()}),
    "crops": (DENOISE, {"crops": (SIZE, 2 * SIZE)}, f"have {SIZE} pixels on a side", {"crops": (SIZE,)}),
    "noise": (DENOISE, {"noise": "mosaic"}, "and not on waves", {"noise": "independent"}),
    "patch": (DENOISE, {"patch": 32}, "and not waves", {"patch": 64}),
    "crops of labels": (CLASSIFY, {"crops": (8,)}, "is for pairs of images", {"crops": ()}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_task_and_its_data_fit_or_it_is_said(name: str) -> None:
    task, settings, says, mended = WRONG[name]
    data = load("digits") if "labels" in name else pairs()
    config = read_config({"train": settings}).train
    with pytest.raises(UsageError, match=says) as caught:
        require_fit(task, data, config)
    assert caught.value.hint
    train = {key: value for key, value in mended.items() if key != "task"}
    require_fit(mended.get("task", task), data, read_config({"train": {**settings, **train}}).train)


def test_what_is_of_classifiers_is_refused() -> None:
    with pytest.raises(UsageError, match="transforms change images alone") as caught:
        read_config({"task": "denoise", "dataset": "photos", "strategy": "random", "edits": "transform"})
    assert "--edits net" in caught.value.hint
    read_config({"task": "denoise", "dataset": "photos", "strategy": "random", "edits": "net"})
    for told, says in (
        ({"screen": "builtin"}, "are those of classifiers"),
        ({"baselines": ["suggested"]}, "suggested are classifiers"),
        ({"baselines": ["lemur:run#x"]}, "x are classifiers"),
    ):
        with pytest.raises(UsageError, match=says):
            read_config({"task": "denoise", "dataset": "photos", "strategy": "random", **told})


def test_a_rehearsal_says_what_does_not_fit(deltanas: Command) -> None:
    done = deltanas("search", "--strategy", "random", "--dataset", "digits", "--task", "denoise", "--dry-run", "--json")
    assert any("wants pairs of images" in lack["message"] for lack in json.loads(done.stdout)["lacks"])


@pytest.fixture
def waves(tmp_path: Path) -> str:
    data = pairs()
    parts = {"_train": data.train, "_val": data.validation, "_test": data.test}
    arrays = {f"{side}{name}": getattr(part, side) for name, part in parts.items() for side in "xy"}
    np.savez(tmp_path / "waves.npz", **arrays)
    return "npz:waves.npz"


SEARCH = ("--task", "denoise", "--epochs", 1, "--cycles", 1, "--candidates", 4, "--prm", "batch=16", "--run", "run")


def test_a_search_for_denoisers(deltanas: Command, tmp_path: Path, waves: str) -> None:
    done = deltanas(
        "search",
        "--dataset",
        waves,
        "--strategy",
        "random",
        "--baseline",
        "half",
        "--baseline",
        "plain",
        "--objective",
        "psnr,macs",
        *SEARCH,
        "--json",
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["metric"] == "psnr"
    with read_folder(tmp_path / "run").open() as run:
        view = run.view()
    assert {row.label for row in view.candidates if not row.cycle} == {"half", "plain"}
    scores = [row.score for row in view.candidates if row.score is not None]
    assert len(scores) >= 4
    assert all(5 < score < 60 for score in scores)
    assert "dB" in deltanas("runs", "show", "run").stdout
    page = deltanas("report", "run")
    assert page.returncode == 0, page.stderr
    html = (tmp_path / "run" / "report.html").read_text()
    pictures = [base64.b64decode(one) for one in re.findall(r"data:image/png;base64,([^\"]+)", html)]
    assert pictures
    assert set(pictures) <= {final.outcome.picture for final in view.finals}  # type: ignore[union-attr]
    with Image.open(io.BytesIO(pictures[0])) as shown:
        assert shown.size == (4 * 192 + 3 * 6, 3 * 192 + 2 * 6)
    assert "PSNR against cost" in html
    assert "over 12 test images; shown: " in html
    assert "could not be shown" not in html
    done = deltanas("runs", "export", "run", "--out", "best", "--top", 1, "--json")
    assert done.returncode == 0, done.stderr
    (net,) = json.loads(done.stdout)
    assert net["metric"] == "psnr"
    assert net["onnx"], net["onnx_reason"]
    assert net["onnx_difference"] <= 1e-5
    assert net["onnx_agreement"] >= 0.9999
    card = (tmp_path / net["folder"] / "README.md").read_text()
    assert "A denoiser of images" in card
    assert "pipeline_tag: image-to-image" in card
    assert "](examples.png)" in card
    with Image.open(tmp_path / net["folder"] / "examples.png") as shown:
        assert shown.size == (4 * 192 + 3 * 6, 3 * 192 + 2 * 6)
    Image.fromarray(smooth(1, 50)[0].transpose(1, 2, 0)).save(tmp_path / "a.png")
    done = deltanas("predict", "best", "a.png", "--out", "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["out"] == "out/a.png"
    with Image.open(tmp_path / "out" / "a.png") as clean:
        assert clean.size == (50, 50)


def test_evaluate_tells_psnr_and_ssim(deltanas: Command, tmp_path: Path, waves: str) -> None:
    (tmp_path / "half.py").write_text(nets.baseline("half", "denoise"))
    done = deltanas("evaluate", "half.py", "--task", "denoise", "--dataset", waves, "--epochs", 1, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert 5 < told["psnr"] == told["score"] < 60
    assert -1 < told["ssim"] < 1
    checked = deltanas("check", "half.py", "--task", "denoise", "--dataset", waves)
    assert "ok, 42,092 parameters" in checked.stdout
    refused = deltanas("check", "half.py", "--task", "denoise")
    assert "takes its shapes from a data set" in refused.stderr
