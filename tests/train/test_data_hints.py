"""Every hint of the loaders, carried out on the input that raised it: it mends, and nothing is lost or overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import deltanas.train.data as loaders
from deltanas.errors import DataError
from deltanas.train.data import dataset_of
from faulty_arrays import FAULTS, ONLY_IN_FILES, UNNAMED, Array, saved
from hinted import code_in
from own_data import meaning


def mended(data: loaders.Dataset, arrays: Mapping[str, Array], lost: int, meant: Array | None) -> None:
    """Nothing is lost but what the hint says, and the images are those that are meant."""
    images = max(sum(len(a) for n, a in arrays.items() if n[0] in "xX"), 90) if "x_train" in arrays else 90
    read = sum(map(len, (data.train, data.validation, data.test))) + data.dropped
    assert read == min(images, 90) - lost
    if meant is not None:
        assert {image.tobytes() for image in meant} >= meaning(data).keys()


@pytest.mark.parametrize("name", FAULTS | ONLY_IN_FILES)
def test_a_hint_mends_a_file_of_arrays(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays, says, lost, meant = (FAULTS | ONLY_IN_FILES)[name]
    monkeypatch.chdir(tmp_path)
    if name in UNNAMED:
        _, error = saved(arrays, says).refusal(tmp_path)
        assert "in the order in which you saved them" in error.hint
        return
    for number, (_, data) in enumerate(saved(arrays, says).mend(tmp_path)):
        mended(data, arrays, 0 if number else lost, meant)


@pytest.mark.parametrize("name", FAULTS)
def test_a_hint_mends_arrays_in_memory(name: str) -> None:
    arrays, says, lost, meant = FAULTS[name]
    with pytest.raises(DataError, match=says) as caught:
        dataset_of("given", **arrays)
    ways = code_in(caught.value.hint)
    assert ways
    for number, way in enumerate(ways):
        scope: dict[str, Any] = {"numpy": np, "dataset_of": dataset_of, **{n: a.copy() for n, a in arrays.items()}}
        if way.startswith("dataset_of"):
            data = eval(way, scope)
        else:
            exec(way, scope)
            data = dataset_of("given", **{name: scope[name] for name in {*arrays, "layout"} & scope.keys()})
        mended(data, arrays, 0 if number else lost, meant)
