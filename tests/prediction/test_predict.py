"""`deltanas predict`: the same pixels as in training, the names of the classes, and the reason where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deltanas
from deltanas.prediction import open_network, pictures_in
from deltanas.train.data.pictures import read_images
from known_export import Known
from own_data import pixels

COMMAND = str(Path(sys.executable).with_name("deltanas"))
Make = Callable[..., Known]


def picture(file: Path, *shape: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    (image,) = pixels(1, *shape)
    Image.fromarray(image).save(file)
    return file


def ran(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "predict", *map(str, arguments)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("shape", "resize", "suffix", "size"),
    [
        ((3, 5, 6), None, "png", (5, 6, 3)),
        ((1, 5, 6), None, "png", (5, 6)),
        ((3, 7, 7), 7, "png", (21, 13, 3)),
        ((3, 7, 7), 7, "jpg", (40, 30, 3)),
        ((1, 4, 4), 4, "bmp", (9, 9)),
        ((3, 5, 6), None, "webp", (5, 6, 3)),
        ((3, 5, 6), None, "tiff", (5, 6, 3)),
    ],
)
def test_probabilities_are_those_of_the_pixels_that_training_reads(
    known: Make, tmp_path: Path, shape: tuple[int, int, int], resize: int | None, suffix: str, size: tuple[int, ...]
) -> None:
    net = known(shape=shape, resize=resize)
    file = picture(tmp_path / f"new.{suffix}", *size)
    (read,) = read_images([file], resize=resize)
    (found,) = deltanas.predict(net.folder, [file])
    expected = net.probabilities(read)
    assert found.error == ""
    assert list(found.probabilities) == list(net.meaning.names)
    np.testing.assert_allclose(list(found.probabilities.values()), expected, rtol=1e-4, atol=1e-7)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.label == net.meaning.names[int(expected.argmax())]
    assert found.probability == found.probabilities[found.label]


def test_what_is_printed_is_an_array_with_an_entry_for_each_file(known: Make, tmp_path: Path) -> None:
    net = known()
    files = [picture(tmp_path / "in" / name, 5, 6, 3) for name in ("b.png", "a b.PNG", "deep/er/猫.png", ".hidden.png")]
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    done = ran(net.folder, tmp_path / "in", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert [each["file"] for each in found] == sorted(str(file) for file in files[:3])
    assert all(set(each) == {"file", "label", "probability", "probabilities"} for each in found)
    table = ran(net.folder, tmp_path / "in").stdout
    for each in found:
        assert f"{each['file']}" in table
        assert f"{each['probability']:.1%}" in table


def broken(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that can't be used, each with a word of the reason."""
    (folder / "text.png").write_text("no picture")
    cut = picture(folder / "cut.png", 50, 60, 3)
    cut.write_bytes(cut.read_bytes()[:200])
    (folder / "empty.png").write_bytes(b"")
    (folder / "nothing").mkdir()
    return {
        "no such file": (folder / "missing.png", "No such file"),
        "text": (folder / "text.png", "can't be read"),
        "cut short": (cut, "can't be read"),
        "empty": (folder / "empty.png", "can't be read"),
        "another size": (picture(folder / "large.png", 8, 9, 3), "has 9 x 8 pixels, and the network takes 6 x 5"),
        "grey": (picture(folder / "grey.png", 5, 6), "is grey, and the network was trained on RGB"),
        "a folder without pictures": (folder / "nothing", "no picture in this folder"),
    }


def test_a_file_that_cannot_be_used_has_its_reason_and_the_others_are_predicted(known: Make, tmp_path: Path) -> None:
    net, bad = known(), broken(tmp_path)
    good = picture(tmp_path / "good.png", 5, 6, 3)
    files = [good, *(file for file, _ in bad.values()), good]
    done = ran(net.folder, *files, "--json")
    assert done.returncode == 1
    first, *wrong, last = json.loads(done.stdout)
    assert first == last
    assert "error" not in first
    for entry, (file, word) in zip(wrong, bad.values(), strict=True):
        assert entry["file"] == str(file)
        assert (entry["label"], entry["probability"], entry["probabilities"]) == (None, None, {})
        assert word in entry["error"]
    shown = ran(net.folder, *files)
    assert shown.returncode == 1
    assert shown.stdout.count("good.png") == 2
    assert all(word in shown.stderr for _, word in bad.values())


def test_an_rgb_picture_is_not_grey(known: Make, tmp_path: Path) -> None:
    net = known(shape=(1, 5, 6))
    (found,) = deltanas.predict(net.folder, [picture(tmp_path / "rgb.png", 5, 6, 3)])
    assert "is RGB, and the network was trained on grey" in found.error


def test_where_training_turned_all_into_rgb_so_does_it(known: Make, tmp_path: Path) -> None:
    net = known(colour=True)
    grey = picture(tmp_path / "grey.png", 5, 6)
    (found,) = deltanas.predict(net.folder, [grey])
    expected = net.probabilities(np.repeat(np.asarray(Image.open(grey))[None], 3, axis=0))
    np.testing.assert_allclose(list(found.probabilities.values()), expected, rtol=1e-4)


def test_more_pictures_than_are_computed_at_a_time_are_what_they_are_alone(known: Make, tmp_path: Path) -> None:
    net = known()
    for number in range(150):
        picture(tmp_path / "many" / f"{number:03}.png", 5, 6, 3)
    (tmp_path / "many" / "070.png").write_text("no picture")
    files = list(pictures_in([tmp_path / "many"]))
    network = open_network(net.folder)
    together = list(network.predict(files))
    assert [each.file for each in together] == [str(file) for file in files]
    assert [number for number, each in enumerate(together) if each.error] == [70]
    for number in (0, 63, 64, 149):
        (alone,) = network.predict([files[number]])
        assert alone.label == together[number].label
        assert alone.probability == pytest.approx(together[number].probability, rel=1e-5)


def test_torch_is_not_imported(known: Make, tmp_path: Path) -> None:
    net, file = known(), picture(tmp_path / "new.png", 5, 6, 3)
    code = f"""
import sys
sys.modules["torch"] = None  # an import of it fails
from deltanas.cli import main
sys.argv = ["deltanas", "predict", {str(net.folder)!r}, {str(file)!r}]
try:
    main()
except SystemExit as end:
    assert not end.code
assert not {{"onnx", "sklearn", "scipy", "torchvision"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert str(file) in done.stdout
