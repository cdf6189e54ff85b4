"""Which output is which class, and what a picture goes through, come back from where they are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deltanas.errors import DataError
from deltanas.train.data import Meaning, class_names, load, meaning_of, order_told
from deltanas.train.data.picture import Span
from own_data import images_of, pixels

NAMES = ("cat", "köttbulle", "猫", " two  blanks ", 'quo"te', "a|b`c", "10", "9", "class 1")


@pytest.mark.parametrize(
    "meaning",
    [
        Meaning(NAMES, (3, 16, 16), (1.5, 2.25, 3.0), (4.0, 5.0, 6.0)),
        Meaning(NAMES[:2], (1, 8, 9), (0.1,), (1.0,)),
        Meaning(NAMES[:2], (3, 32, 32), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), resize=32),
        Meaning(NAMES[:2], (3, 32, 32), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 32, span=Span(0.0, 4095.0, floats=False)),
        Meaning(NAMES[:2], (1, 8, 9), (0.1,), (1.0,), grey=True, span=Span(-1.5, 1.0, floats=True)),
        Meaning(tuple(map(str, range(1000))), (3, 4, 4), (0.0,) * 3, (1.0,) * 3),
    ],
)
def test_it_comes_back(meaning: Meaning) -> None:
    config = json.loads(json.dumps(meaning.config()))
    assert Meaning.of(config, "config.json") == meaning
    assert [config["id2label"][str(config["label2id"][name])] for name in meaning.names] == list(meaning.names)


def without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda config: config.pop(name)


@pytest.mark.parametrize(
    "change",
    [
        *map(
            without,
            ("id2label", "num_channels", "image_size", "image_mean", "image_std", "do_resize", "do_convert_grey"),
        ),
        lambda config: config.update(id2label={"0": "a", "2": "b"}),
        lambda config: config.update(id2label={"0": "a", "1": "a"}),
        lambda config: config.update(id2label={}),
        lambda config: config.update(id2label=["a", "b"]),
        lambda config: config.update(image_size=16),
        lambda config: config.update(image_size=[16, 0]),
        lambda config: config.update(image_mean=[1.0]),
        lambda config: config.update(num_channels="three"),
        lambda config: config.update(deep_span=[1]),
        lambda config: config.update(deep_span=[5, 5]),
        lambda config: config.update(deep_span=[0, 1], deep_floats="no"),
        lambda config: config.update(deep_span=[0, float("nan")]),
    ],
)
def test_what_is_damaged_is_told_with_its_file(change: Callable[[dict[str, Any]], object]) -> None:
    config = Meaning(NAMES[:2], (3, 16, 16), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0)).config()
    change(config)
    with pytest.raises(DataError, match=r"there/config\.json") as told:
        Meaning.of(config, "there/config.json")
    assert "runs export" in told.value.hint


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([str(n) for n in range(12)], "output 2 is '10'"),
        (["class1", "class2", "class10"], "output 1 is 'class10'"),
        (["a 1", "a 2", "b 20", "b 3", "b 100"], "output 2 is 'b 100'"),
        (["\u0663", "\u0661\u0660"], "output 0 is '\u0661\u0660'"),
        (["v1.10", "v1.9"], "output 0 is 'v1.10'"),
        ([f"{n:02d}" for n in range(12)], ""),
        ([str(n) for n in range(10)], ""),
        (["airplane", "bird", "cat"], ""),
        (["Ankle boot", "²", "bag"], ""),
        ([], ""),
    ],
)
def test_numbers_in_names_that_are_not_counted_are_told(names: list[str], told: str) -> None:
    found = order_told(sorted(names))
    assert (told in found) if told else found == ""


def test_an_order_that_its_makers_gave_is_not_called_that_of_texts() -> None:
    assert order_told(["10", "9", "8"]) == ""


@pytest.mark.parametrize(
    ("names", "classes", "found"),
    [
        (("a", "b"), 2, ("a", "b")),
        ((), 3, ("0", "1", "2")),
        (("a", "a"), 2, ("0", "1")),
        (("a",), 2, ("0", "1")),
        (("caf\udce9", "tea"), 2, ("caf?", "tea")),
        (("caf\udce9", "caf\udce8"), 2, ("0", "1")),
    ],
)
def test_every_class_has_a_name_of_its_own(names: tuple[str, ...], classes: int, found: tuple[str, ...]) -> None:
    assert class_names(names, classes) == found


RECORD = {"names": ["a", "b"], "classes": 2, "shape": [1, 8, 9], "mean": [1.0], "std": [2.0], "resize": None}


@pytest.mark.parametrize("train", [None, {}, {"colour": None}, {"colour": False}, {"colour": True}])
def test_a_run_tells_it_by_its_record(train: dict[str, object] | None) -> None:
    grey = (train or {}).get("colour") is False
    assert meaning_of(RECORD, train) == Meaning(("a", "b"), (1, 8, 9), (1.0,), (2.0,), None, grey)
    for span in (Span(0, 255.5), Span(0, 255.5, floats=True)):
        deep = {**RECORD, "span": [each for each in span if each is not None], "resize": 8}
        assert meaning_of(deep, train) == Meaning(("a", "b"), (1, 8, 9), (1.0,), (2.0,), 8, grey, span)


def test_an_older_export_does_not_say_whether_its_span_is_of_floats() -> None:
    meaning = Meaning(NAMES[:2], (1, 8, 9), (0.1,), (1.0,), span=Span(0.0, 1.0, floats=True))
    config = meaning.config()
    del config["deep_floats"]
    assert Meaning.of(config, "config.json").span == Span(0.0, 1.0)


@pytest.mark.parametrize("colour", [None, False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_a_network_of_arrays_become_the_pixels_that_it_was_trained_on(
    tmp_path: Path, channels: int, colour: bool | None
) -> None:
    x = pixels(60, channels, 16, 20)
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(60) % 2)
    data = load(f"npz:{tmp_path / 'own.npz'}", resize=9, colour=colour)
    meaning = meaning_of(data.record, {"colour": colour})
    assert meaning
    read = set()
    for image in x:
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(tmp_path / "new.png")
        read.add(meaning.read(tmp_path / "new.png").tobytes())
    assert read == set.union(*images_of(data))


def test_a_run_of_an_older_version_does_not_know_it() -> None:
    assert meaning_of({"classes": 2, "shape": [1, 8, 9]}, None) is None
