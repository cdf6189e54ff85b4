"""Exported denoisers on photographs of any size, and teachers whose answers become a data set."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import deltanas as package
from deltanas import nets
from deltanas.distil import answers, blended, trained_graph, write_blended
from deltanas.errors import DeltanasError, UsageError
from deltanas.imagery import in_levels
from deltanas.onnxfile import with_metadata
from deltanas.prediction import Denoiser, open_export
from deltanas.sandbox import LocalPool
from deltanas.task import DENOISE
from deltanas.train.data import Dataset, Images, load
from pairs_of_images import denoiser, pairs, saved, smooth
from support import Command

pytest.importorskip("onnxruntime")
TEXTS = {"deltanas": json.dumps({"task": "denoise", "program": "x"}), "num_channels": "3"}


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalPool]:
    with LocalPool(pairs(), task=DENOISE, timeout=60, workers=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def graph(pool: LocalPool) -> bytes:
    return trained_graph(pool, denoiser("half"), seed=0)


@pytest.fixture
def export(graph: bytes, tmp_path: Path) -> Path:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "model.onnx").write_bytes(with_metadata(graph, TEXTS))
    return tmp_path / "best"


def opened(export: Path) -> Denoiser:
    found = open_export(export)
    assert isinstance(found, Denoiser)
    return found


def test_the_export_agrees_with_torch_at_an_odd_size(pool: LocalPool, export: Path) -> None:
    ((_, found),) = pool.export([denoiser("half")], seed=0)
    module: dict[str, object] = {"__name__": "half"}
    exec(compile(nets.baseline("half", "denoise"), "half.py", "exec"), module)
    net = module["Net"]((1, 3, 16, 16), (3, 16, 16), nets.DEFAULT_PRM, torch.device("cpu"))  # type: ignore[operator]
    state = {
        one.name: torch.frombuffer(bytearray(one.data), dtype=torch.float32).view(one.shape)
        for one in found.weights  # type: ignore[union-attr]
    }
    net.load_state_dict(state)
    image = smooth(1, 75)[0]
    even = np.pad(image, [(0, 0), (0, 1), (0, 1)], mode="edge")
    with torch.no_grad():
        wanted = net.eval()(torch.from_numpy(even)[None].float() / 255)[0, :, :75, :75].numpy()
    got = opened(export).computed(image, tile=32)
    assert np.abs(got - wanted).max() <= 1e-5
    apart = np.abs(in_levels(got).astype(int) - in_levels(wanted))
    assert apart.max() <= 1
    assert (apart > 0).mean() <= 1e-4
    assert np.array_equal(got, opened(export).computed(image, tile=512)), "tiles are exact"


def test_photographs_are_denoised_into_a_folder(deltanas: Command, tmp_path: Path, export: Path) -> None:
    image = smooth(1, 61)[0]
    saved(image, tmp_path / "in" / "one.png")
    saved(image[:1], tmp_path / "in" / "grey.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    done = deltanas("predict", "best", "in", "--out", "out", "--json")
    assert done.returncode == 1
    told = {Path(one["file"]).name: one for one in json.loads(done.stdout)}
    assert "can't be read" in told["broken.png"]["error"]
    assert (told["one.png"]["width"], told["one.png"]["tiles"]) == (61, 1)
    with Image.open(tmp_path / "out" / "one.png") as clean:
        assert np.array_equal(np.asarray(clean).transpose(2, 0, 1), opened(export).denoised(image))
    assert (tmp_path / "out" / "grey.png").exists()
    again = deltanas("predict", "best", "in/one.png", "--out", "out")
    assert again.returncode == 1
    assert "is there already: name another --out" in again.stderr
    assert deltanas("predict", "best", "in/one.png", "--out", "out2").returncode == 0


def test_folders_of_photographs_keep_their_places(deltanas: Command, tmp_path: Path, export: Path) -> None:
    for place in ("cards/A/IMG_1.png", "cards/B/IMG_1.png", "cards/B/twin.png"):
        saved(smooth(1, 21)[0], tmp_path / place)
    with Image.open(tmp_path / "cards/B/twin.png") as twin:
        twin.save(tmp_path / "cards/B/twin.bmp")
    (tmp_path / "none").mkdir()
    done = deltanas("predict", "best", "cards", "--out", "cards/clean")
    written = sorted(path.relative_to(tmp_path / "cards/clean") for path in tmp_path.glob("cards/clean/*/*"))
    assert list(map(str, written)) == ["A/IMG_1.png", "B/IMG_1.png", "B/twin.png"]
    assert done.returncode == 1
    assert "cards/B/twin.png would be written to cards/clean/B/twin.png, as cards/B/twin.bmp is" in done.stderr
    assert deltanas("predict", "best", "cards/B/twin.png", "--out", "other").returncode == 0
    again = deltanas("predict", "best", "cards", "--out", str(tmp_path / "cards/clean"))
    assert f"3 left out: they lie in {tmp_path / 'cards/clean'}" in again.stderr
    assert f"cards/A/IMG_1.png: {tmp_path / 'cards/clean/A/IMG_1.png'} is there already" in again.stderr
    assert "none: no picture in this folder" in deltanas("predict", "best", "none", "--out", "other").stderr


def test_colours_are_not_dropped_without_a_word(tmp_path: Path) -> None:
    data = pairs()
    train, validation, test = (
        Images(part.x[:, :1], part.y[:, :1]) for part in (data.train, data.validation, data.test)
    )
    grey = Dataset("grey", train, validation, test, 0)
    with LocalPool(grey, task=DENOISE, timeout=60, workers=1) as pool:
        graph = trained_graph(pool, denoiser("half"), seed=0)
        with pytest.raises(DeltanasError) as caught:
            answers(pool, graph, data.train.x[:8])
    assert "images of 3 channels" in caught.value.hint
    file = tmp_path / "model.onnx"
    file.write_bytes(with_metadata(graph, {**TEXTS, "num_channels": "1"}))
    files = [saved(smooth(1, 21)[0], tmp_path / "colour.png"), saved(smooth(1, 21)[0][:1], tmp_path / "grey.png")]
    colour, one = opened(file).restore(files, tmp_path / "out")
    assert "has colours, and the network was trained on grey" in colour.error
    with Image.open(str(one.out)) as found:
        assert (found.mode, found.size) == ("L", (21, 21))


def test_colours_keep_their_profile(export: Path, tmp_path: Path) -> None:
    for name, mode in (("rgb", "RGB"), ("grey", "L")):
        with Image.open(saved(smooth(1, 21)[0], tmp_path / f"{name}.png")) as image:
            image.convert(mode).save(tmp_path / f"{name}.png", icc_profile=b"a profile")
    found = opened(export).restore([tmp_path / "rgb.png", tmp_path / "grey.png"], tmp_path / "out")
    profiles = []
    for one in found:
        with Image.open(str(one.out)) as image:
            profiles.append(image.info.get("icc_profile"))
    assert profiles == [b"a profile", None], "that of grey is none of the RGB that comes out"


def test_what_a_denoiser_needs_is_said(deltanas: Command, tmp_path: Path, export: Path) -> None:
    saved(smooth(1)[0], tmp_path / "a.png")
    done = deltanas("predict", "best", "a.png")
    assert done.returncode == 2
    assert "add --out DIR" in done.stderr
    with pytest.raises(UsageError, match="names no classes") as caught:
        package.predict(export, ["a.png"])
    assert "--out DIR" in caught.value.hint
    (tmp_path / "file").write_text("")
    assert "is a file, not a folder" in deltanas("predict", "best", "a.png", "--out", "file").stderr
    with pytest.raises(UsageError, match="is a file"):
        list(opened(export).restore([tmp_path / "a.png"], tmp_path / "file"))


def test_blended_targets_train_as_two_losses_do() -> None:
    """The same weights to 1e-6 after 50 steps."""
    alpha, found = 0.9, []
    x, t, y = torch.rand(3, 8, 3, 12, 12, generator=torch.Generator().manual_seed(0)).double().unbind()
    for both in (True, False):
        torch.manual_seed(0)
        net = torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 3, padding=1)
        )
        net.double()
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
        for _ in range(50):
            optimizer.zero_grad()
            s = net(x)
            blend = alpha * t + (1 - alpha) * y
            loss = (
                alpha * (s - t).square().mean() + (1 - alpha) * (s - y).square().mean()
                if both
                else (s - blend).square().mean()
            )
            loss.backward()
            optimizer.step()
        found.append(torch.cat([weight.detach().flatten() for weight in net.parameters()]))
    assert float((found[0] - found[1]).abs().max()) <= 1e-6


def test_targets_lie_between_the_clean_image_and_the_teachers() -> None:
    clean = np.full((1, 3, 2, 2), 100, np.uint8)
    teacher = np.full((1, 3, 2, 2), 200 / 255, np.float32)
    assert [int(blended(teacher, clean, alpha)[0, 0, 0, 0]) for alpha in (0, 0.25, 1)] == [100, 125, 200]
    assert blended(teacher + 9, clean, 1).max() == 255


def test_a_teacher_makes_a_data_set(pool: LocalPool, graph: bytes, tmp_path: Path) -> None:
    data = pool.dataset
    found = answers(pool, graph, data.train.x)
    assert found.shape == data.train.x.shape
    assert write_blended(data, found, 0.5, tmp_path / "new.npz") > 5
    made = load(f"npz:{tmp_path / 'new.npz'}")
    assert sorted(image.tobytes() for image in made.train.x) == sorted(image.tobytes() for image in data.train.x)
    assert {image.tobytes() for image in made.train.y} == {
        image.tobytes() for image in blended(found, data.train.y, 0.5)
    }
    assert np.array_equal(made.test.y, data.test.y)
    assert np.array_equal(made.test.x, data.test.x)
    with pytest.raises(UsageError, match="nothing is overwritten"):
        write_blended(data, found, 0.5, tmp_path / "new.npz")


def test_the_command_takes_a_program_or_an_export(deltanas: Command, tmp_path: Path, export: Path) -> None:
    data = pairs()
    parts = {"_train": data.train, "_val": data.validation, "_test": data.test}
    arrays = {f"{side}{name}": getattr(part, side) for name, part in parts.items() for side in "xy"}
    np.savez(tmp_path / "waves.npz", **arrays)
    given = ("--dataset", "npz:waves.npz", "--alpha", 0.5, "--json")
    done = deltanas("distil", "best", *given, "--out", "one.npz")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 48
    done = deltanas("distil", "plain", *given, "--epochs", 1, "--out", "two.npz")
    assert done.returncode == 0, done.stderr
    assert load(f"npz:{tmp_path / 'two.npz'}").paired
    done = deltanas("distil", "best", *given[:-1], "--out", "th ree.npz")
    (named,) = (shlex.split(line) for line in done.stdout.splitlines() if "to train on it" in line)
    assert named[-2:] == ["--dataset", "npz:th ree.npz"]
    (tmp_path / "best" / "model.onnx").rename(tmp_path / "BEST.ONNX")
    done = deltanas("distil", "BEST.ONNX", *given, "--out", "four.npz")
    assert done.returncode == 0, done.stderr
    for wrong, says in (
        (("nobody", "--out", "x.npz"), "built in: gate, half, lite, plain, teacher"),
        (("plain", "--out", "x.zip"), "give --out x.zip.npz"),
        (("plain", "--out", "one.npz"), "name another --out"),
        (("plain", "--out", "a b/x.npz"), "mkdir -p 'a b'"),
    ):
        refused = deltanas("distil", *wrong, *given)
        assert refused.returncode == 2
        assert says in refused.stderr


def test_a_teacher_that_fails_is_said(pool: LocalPool) -> None:
    broken = denoiser("half").edited("net", "raise ValueError('no')")
    with pytest.raises(DeltanasError, match="was not trained: line 1: ValueError: no"):
        trained_graph(pool, broken, seed=0)
