"""An export says which output is which class, and predicts from files what was measured of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image
from safetensors import safe_open

from deltanas import nets
from deltanas.export import Net, export_best
from deltanas.program import Program, Trained, prm_text
from deltanas.records import Attempt, Candidate, Draft, RunView
from deltanas.sandbox import LocalPool
from deltanas.train.data import load
from support import Command

MLP = Program.of(nets.baseline("mlp"), prm=prm_text(nets.DEFAULT_PRM))


@dataclass(frozen=True)
class Set:
    """Pictures of bright and dark squares, by class, that a network can nearly tell apart.

    Attributes:
        names: of the classes. mode: of the pictures. side: pixels of a side; of `varied` sizes up to twice that.
    """

    names: tuple[str, ...]
    mode: str = "L"
    side: int = 8
    varied: bool = False
    resize: int | None = None
    suffix: str = "png"

    def write(self, folder: Path) -> Path:
        chance = np.random.RandomState(5)
        for split, n in (("train", 40), ("val", 8), ("test", 12)):
            for place, name in enumerate(self.names):
                (folder / split / name).mkdir(parents=True)
                for number in range(n):
                    side = self.side + (int(chance.randint(self.side)) if self.varied else 0)
                    level = 255 * (place + 0.5) / len(self.names)
                    noise = chance.normal(level, 90, (side, side, 3 if self.mode == "RGB" else 1))
                    image = noise.clip(0, 255).astype(np.uint8)
                    file = folder / split / name / f"{number}.{self.suffix}"
                    Image.fromarray(image if self.mode == "RGB" else image[..., 0]).save(file)
        return folder


SETS = {
    "numbers": Set(tuple(str(n) for n in range(12))),
    "words in Unicode": Set(("Möwe", " two  words ", "猫", "a|b `c`")),
    "colour": Set(("cat", "dog"), mode="RGB"),
    "squeezed": Set(("cat", "dog", "eel"), mode="RGB", varied=True, resize=8),
    "grey JPEG, squeezed": Set(("10", "9"), varied=True, resize=6, suffix="jpg"),
}


def view_of(data: dict[str, object]) -> RunView:
    edited = MLP.edited("net", MLP.net.replace("nn.ReLU()", "nn.SiLU()"))
    rows = []
    for cycle, program, score in ((0, MLP, 0.1), (1, edited, 0.9)):
        made = Trained(score, 40, 0, 1.0, 1.0, "A")
        parent = MLP.id if cycle else None
        draft = Draft(program, 30, 40)
        rows.append(Candidate(cycle, 0, "random", parent, draft, (Attempt("", None, "", None),), made, (made,)))
    known: dict[str, object] = dict.fromkeys(("version", "commit", "torch", "python", "device", "machine", "tier"), "x")
    config = {"dataset": "folder:x", "train": {}}
    return RunView("a run", True, {**known, "dirty": False, "seed": 0, "data": data, "config": config}, tuple(rows), {})


@pytest.fixture(scope="module", params=SETS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Set, Path, Net]:
    kind, folder = SETS[request.param], tmp_path_factory.mktemp("export")
    data = load(f"folder:{kind.write(folder / 'pictures')}", resize=kind.resize)
    with LocalPool(data, timeout=60, epochs=4, workers=1) as pool:
        (net,) = export_best(view_of(data.record), 1, folder / "out", pool, seed=1)
    assert net.onnx, net.onnx_reason
    return kind, folder, net


def config_of(net: Net) -> dict[str, Any]:
    found = json.loads((Path(net.folder) / "config.json").read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_test_split_predicted_from_its_files_has_the_accuracy_of_the_card(
    exported: tuple[Set, Path, Net], deltanas: Command
) -> None:
    kind, folder, net = exported
    place = folder / "pictures" / "test"
    done = deltanas("predict", folder / "out", place, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert len(found) == 12 * len(kind.names)
    right = sum(each["label"] == Path(each["file"]).relative_to(place).parts[0] for each in found)
    told = config_of(net)["deltanas"]["test"]
    assert (right / len(found), len(found)) == (told["score"], told["n"])
    assert net.test is not None
    assert f"| test | {right / len(found):.2%} |" in (Path(net.folder) / "README.md").read_text("utf-8")
    for name, one in zip(sorted(kind.names), net.classes, strict=True):
        mine = [each for each in found if Path(each["file"]).relative_to(place).parts[0] == name]
        assert (one.name, one.n, one.right) == (name, len(mine), sum(each["label"] == name for each in mine))


def test_every_file_of_it_names_the_classes(exported: tuple[Set, Path, Net]) -> None:
    kind, _, net = exported
    folder, config, names = Path(net.folder), config_of(net), sorted(kind.names)
    assert config["id2label"] == {str(output): name for output, name in enumerate(names)}
    graph = onnx.load(folder / "model.onnx")
    onnx.checker.check_model(graph)
    inside = {entry.key: entry.value for entry in graph.metadata_props}
    with safe_open(folder / "model.safetensors", "pt") as weights:
        beside = weights.metadata()
    for texts in (inside, beside):
        assert json.loads(texts["id2label"]) == config["id2label"]
        assert json.loads(texts["image_mean"]) == config["image_mean"]
        assert json.loads(texts["deltanas"]) == config["deltanas"]
    assert beside["format"] == "pt"
    card = (folder / "README.md").read_text("utf-8")
    for output, name in enumerate(names):
        shown = " ".join(name.split()).replace("|", "/").replace("`", "'")
        assert f"| {output} | `{shown}` | " in card
    assert ("squeezed to that size with a bilinear filter" in card) == (kind.resize is not None)
    assert (
        f"{config['image_size'][1]} x {config['image_size'][0]} {'grey' if kind.mode == 'L' else 'RGB'} pixels" in card
    )


def test_numbers_that_are_not_counted_are_told(exported: tuple[Set, Path, Net]) -> None:
    kind, _, net = exported
    told = any("as text: output" in note for note in config_of(net)["deltanas"]["notes"])
    assert told == (kind.names[0] in ("0", "10"))
    assert ("as text: output" in (Path(net.folder) / "README.md").read_text("utf-8")) == told
