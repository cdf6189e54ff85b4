"""Which network an export names, and what is refused of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from deltanas.errors import DataError, UsageError
from deltanas.prediction import open_network
from deltanas.train.data import Meaning
from known_export import Known, onnx_bytes

Make = Callable[..., Known]


def test_of_several_networks_the_best_is_taken(known: Make) -> None:
    known(folder="export/02-b")
    known(folder="export/10-c")
    best = known(folder="export/01-a")
    network = open_network(best.folder.parent)
    assert (network.file, network.beside) == (best.folder / "model.onnx", 2)
    known(folder="export/named-d")
    assert open_network(best.folder.parent).file.parent.name == "01-a", "who was named has no rank"
    (best.folder / "model.onnx").unlink()
    assert open_network(best.folder.parent).file.parent.name == "02-b"


def test_of_sources_alone_it_is_said_that_nothing_was_trained(known: Make) -> None:
    net = known()
    for name in ("model.onnx", "README.md"):
        (net.folder / name).unlink()
    for place in (net.folder, net.folder.parent):
        with pytest.raises(DataError, match="only sources were exported"):
            open_network(place)


@pytest.mark.parametrize("kept", ["both", "config.json", "metadata", "renamed"])
def test_what_it_means_stands_beside_the_file_and_in_it(known: Make, kept: str) -> None:
    net = known()
    file = net.folder / "model.onnx"
    if kept == "config.json":
        file.write_bytes(onnx_bytes(net.meaning, net.weights))
    elif kept != "both":
        (net.folder / "config.json").unlink()
    if kept == "renamed":
        file = file.rename(net.folder / "pets.onnx")
    assert open_network(file).meaning == net.meaning


def test_names_may_be_mended_in_the_config(known: Make) -> None:
    net = known()
    config = json.loads((net.folder / "config.json").read_text("utf-8"))
    config["id2label"]["0"] = "Felis catus"
    (net.folder / "config.json").write_text(json.dumps(config))
    assert open_network(net.folder).meaning.names[0] == "Felis catus"


def rewritten(net: Known, **changes: object) -> None:
    config = json.loads((net.folder / "config.json").read_text("utf-8"))
    (net.folder / "config.json").write_text(json.dumps({**config, **changes}))


def outside(net: Known) -> None:
    file = net.folder / "model.onnx"
    made = onnx.load_model_from_string(file.read_bytes())
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret.bin")
    file.write_bytes(made.SerializeToString())


def other_size(net: Known) -> None:
    meaning = Meaning(net.meaning.names, (3, 4, 4), (0.0,) * 3, (1.0,) * 3)
    (net.folder / "model.onnx").write_bytes(onnx_bytes(meaning, net.weights[:48]))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda net: (net.folder / "model.onnx").unlink(), ("without an ONNX file", "deltanas[export]")),
        (lambda net: (net.folder / "model.onnx").write_bytes(b"ORTM not ONNX"), ("no ONNX file", "runs export")),
        (lambda net: (net.folder / "model.onnx").write_bytes(b""), ("can't load", "runs export")),
        (lambda net: (net.folder / "config.json").write_text("{"), ("config.json can't be read", "runs export")),
        (lambda net: (net.folder / "config.json").write_text("[]"), ("does not say", "runs export")),
        (lambda net: rewritten(net, deltanas={"program": "other"}), ("is of the network other", "together")),
        (lambda net: rewritten(net, image_size=[9, 9]), ("does not take the images", "runs export")),
        (other_size, ("does not take the images", "runs export")),
        (outside, ("outside of itself", "runs export")),
        (
            lambda net: (net.folder / "model.onnx").write_bytes(onnx_bytes(net.meaning, net.weights, "Unheard")),
            ("can't load", "runs export"),
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_way_out(
    known: Make, spoil: Callable[[Known], object], words: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    net = known()
    spoil(net)
    with pytest.raises(DataError) as told:
        open_network(net.folder)
    assert all(word in str(told.value) for word in words), told.value
    assert capfd.readouterr().err == "", "ONNX Runtime is quiet"


@pytest.mark.parametrize("channels", [2, 4])
def test_a_network_of_channels_that_no_picture_has_is_told_to_take_arrays(known: Make, channels: int) -> None:
    net = known(shape=(channels, 5, 6))
    with pytest.raises(DataError) as told:
        open_network(net.folder)
    file = net.folder / "model.onnx"
    assert told.value.message == f"{file} takes images of {channels} channels, which no picture file gives"
    assert told.value.hint == "give it arrays by ONNX Runtime: its input `pixels` is float32 [n, c, h, w] from 0 to 255"


def test_outputs_that_fit_no_class_are_refused(known: Make, tmp_path: Path) -> None:
    net = known()
    (net.folder / "model.onnx").write_bytes(onnx_bytes(net.meaning, np.ones((90, 7), np.float32)))
    with pytest.raises(DataError, match="outputs"):
        list(open_network(net.folder).predict([_blank(tmp_path)]))
    (net.folder / "model.onnx").write_bytes(onnx_bytes(net.meaning, np.full((90, 3), np.nan, np.float32)))
    with pytest.raises(DataError, match="not finite"):
        list(open_network(net.folder).predict([_blank(tmp_path)]))


def _blank(folder: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (6, 5)).save(folder / "blank.png")
    return folder / "blank.png"


def test_what_is_no_export_is_told(known: Make, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    for place, word in (("nowhere", "there is no"), ("empty", "holds no model.onnx"), ("run", "is a run")):
        with pytest.raises(UsageError, match=word) as told:
            open_network(tmp_path / place)
        assert "deltanas runs export" in told.value.hint


def test_without_onnx_runtime_it_says_what_brings_it(known: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    net = known()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DataError) as told:
        open_network(net.folder)
    assert told.value.hint == "pip install 'deltanas[export]'"
