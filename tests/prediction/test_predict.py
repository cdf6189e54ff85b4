"""`deltanas predict`: the same pixels as in training, the names of the classes, and the reason where there is none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deltanas
from deltanas.prediction import open_network, pictures_in
from deltanas.train.data.picture import Span
from deltanas.train.data.pictures import read_images
from known_export import Known
from own_data import pixels
from support import Command

Make = Callable[..., Known]


def picture(file: Path, *shape: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    (image,) = pixels(1, *shape)
    Image.fromarray(image).save(file)
    return file


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
    (read,) = read_images([file], resize=resize).x
    (found,) = deltanas.predict(net.folder, [file])
    assert deltanas.predict(net.folder, str(file)) == [found], "one that is given by itself"
    expected = net.probabilities(read)
    assert found.error == ""
    assert list(found.probabilities) == list(net.meaning.names)
    np.testing.assert_allclose(list(found.probabilities.values()), expected, rtol=1e-4, atol=1e-7)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.label == net.meaning.names[int(expected.argmax())]
    assert found.probability == found.probabilities[found.label]


def test_what_is_printed_is_an_array_with_an_entry_for_each_file(
    known: Make, tmp_path: Path, deltanas: Command
) -> None:
    net = known()
    files = [picture(tmp_path / "in" / name, 5, 6, 3) for name in ("b.png", "a b.PNG", "deep/er/猫.png", ".hidden.png")]
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    done = deltanas("predict", net.folder, tmp_path / "in", "--json")
    assert done.returncode == 0
    assert "1 left out: hidden" in done.stderr
    assert "1 left out: no image" in done.stderr
    found = json.loads(done.stdout)
    assert [each["file"] for each in found] == sorted(str(file) for file in files[:3])
    assert all(set(each) == {"file", "label", "probability", "probabilities"} for each in found)
    table = deltanas("predict", net.folder, tmp_path / "in").stdout
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
        "no such file": (folder / "missing.png", "missing.png: no such file or folder"),
        "text": (folder / "text.png", "can't be read"),
        "cut short": (cut, "can't be read"),
        "empty": (folder / "empty.png", "can't be read"),
        "another size": (picture(folder / "large.png", 8, 9, 3), "has 9 x 8 pixels, and the network takes 6 x 5"),
        "a folder without pictures": (folder / "nothing", "no picture in this folder"),
    }


def test_a_file_that_cannot_be_used_has_its_reason_and_the_others_are_predicted(
    known: Make, tmp_path: Path, deltanas: Command
) -> None:
    net, bad = known(), broken(tmp_path)
    good = picture(tmp_path / "good.png", 5, 6, 3)
    files = [good, *(file for file, _ in bad.values()), good]
    done = deltanas("predict", net.folder, *files, "--json")
    assert done.returncode == 1
    first, *wrong, last = json.loads(done.stdout)
    assert first == last
    assert "error" not in first
    for entry, (file, word) in zip(wrong, bad.values(), strict=True):
        assert entry["file"] == str(file)
        assert (entry["label"], entry["probability"], entry["probabilities"]) == (None, None, {})
        assert word in entry["error"]
        assert "mv -n" not in entry["error"], "no file is moved because it can't be predicted"
    shown = deltanas("predict", net.folder, *files)
    assert shown.returncode == 1
    assert shown.stdout.count("good.png") == 2
    assert all(word in shown.stderr for _, word in bad.values())


def test_colours_are_read_as_in_training(known: Make, tmp_path: Path) -> None:
    grey, coloured = picture(tmp_path / "grey.png", 5, 6), picture(tmp_path / "rgb.png", 5, 6, 3)
    plain, turned, rgb = known(shape=(1, 5, 6)), known(shape=(1, 5, 6), folder="turned", grey=True), known(folder="rgb")
    (found,) = deltanas.predict(plain.folder, [coloured])
    assert "has colours, and the network was trained on grey pictures" in found.error
    for net, file, colour in ((turned, coloured, False), (rgb, grey, True), (plain, grey, None)):
        (found,) = deltanas.predict(net.folder, [file])
        (read,) = read_images([file], resize=None, colour=colour).x
        np.testing.assert_allclose(list(found.probabilities.values()), net.probabilities(read), rtol=1e-4)


def test_a_picture_lies_upright_as_in_training(known: Make, tmp_path: Path) -> None:
    net, file = known(shape=(3, 6, 5)), tmp_path / "turned.png"
    (image,) = pixels(1, 5, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(file, exif=exif)
    (found,) = deltanas.predict(net.folder, [file])
    upright = np.rot90(image, -1).transpose(2, 0, 1)
    np.testing.assert_allclose(list(found.probabilities.values()), net.probabilities(upright), rtol=1e-4)


def test_more_than_eight_bits_are_scaled_as_in_training(known: Make, tmp_path: Path) -> None:
    net, file = known(shape=(1, 5, 6), span=Span(0, 1023)), tmp_path / "deep.png"
    deep = (pixels(1, 5, 6)[0].astype(np.uint16) << 2) + 3
    Image.fromarray(deep).save(file)
    (found,) = deltanas.predict(net.folder, [file])
    expected = net.probabilities(np.rint(deep * (255 / 1023)).astype(np.uint8)[None])
    np.testing.assert_allclose(list(found.probabilities.values()), expected, rtol=1e-3)


def test_floats_and_integers_are_not_read_on_the_scale_of_the_other(known: Make, tmp_path: Path) -> None:
    eight = pixels(1, 5, 6)[0]
    values = {"8.png": eight, "16.png": eight.astype(np.uint16) * 257, "floats.tif": eight.astype(np.float32) / 255}
    for name, image in values.items():
        Image.fromarray(image).save(tmp_path / name)
    files = [tmp_path / name for name in values]
    told = {"16.png": "16.png .*holds integers of more than 8 bits", "floats.tif": "floats.tif .*holds floats"}
    spans = {"floats.tif": Span(0, 1, floats=True), "16.png": Span(0, 65_535, floats=False), "8.png": None}
    for fits, span in spans.items():
        net = known(shape=(1, 5, 6), span=span, folder=f"trained on {fits}")
        refused = set() if span is None else told.keys() - {fits}
        for file, found in zip(files, deltanas.predict(net.folder, files), strict=True):
            if file.name in refused:
                assert re.search(told[file.name], found.error)
            else:
                shares = list(found.probabilities.values())
                np.testing.assert_allclose(shares, net.probabilities(eight[None]), rtol=1e-3, err_msg=found.error)


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
