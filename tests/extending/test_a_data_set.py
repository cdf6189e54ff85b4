"""A data set is a loader and its entry in one file, or arrays passed from Python and no file at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import deltanas
from deltanas.errors import DataError, UsageError
from deltanas.train.data import Dataset, dataset_of
from house import House, toy

SMALL = {"strategy": "random", "cycles": 1, "candidates": 1, "baselines": ["mlp"], "finals": 1}


def test_a_data_set_touches_one_file(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.change("train/data/catalog.py", ("", toy("data_set.txt")))
    small = ("--strategy", "random", "--baseline", "mlp", "--cycles", 1, "--candidates", 1, "--unsafe", "--run", "run")
    house.run("search", "--dataset", "stripes", *small)
    assert house.touched == {"train/data/catalog.py"}
    listed = json.loads(house.run("datasets", "list", "--json").stdout)
    assert "stripes" in [one["name"] for one in listed]
    assert json.loads(house.run("runs", "show", "run", "--json").stdout)["trained"] >= 1


def test_arrays_from_python_touch_no_file(tmp_path: Path) -> None:
    house = House(tmp_path)
    printed = house.python(toy("own_data.py"))
    assert house.touched == set()
    assert float(printed.splitlines()[-1]) > 0.9


@pytest.fixture
def stripes() -> Dataset:
    rng = np.random.RandomState(0)
    return dataset_of("stripes", x=rng.randint(0, 255, (200, 8, 8)).astype(np.uint8), y=np.arange(200) % 2)


def test_a_run_on_given_data_goes_on_with_the_same_data_only(stripes: Dataset, tmp_path: Path) -> None:
    begun = deltanas.search(SMALL, run=tmp_path / "run", dataset=stripes)
    config, data = begun.manifest["config"], begun.manifest["data"]
    assert isinstance(config, dict)
    assert isinstance(data, dict)
    assert (config["dataset"], data["sha256"]) == ("stripes", stripes.fingerprint)
    longer = deltanas.search({"cycles": 2}, run=tmp_path / "run", dataset=stripes)
    assert len(longer.candidates) == len(begun.candidates) + 1
    with pytest.raises(UsageError, match=r"unknown data set 'stripes'\n.*passed again"):
        deltanas.search({"cycles": 3}, run=tmp_path / "run")
    other = dataset_of("stripes", x=255 - np.concatenate([stripes.train.x, stripes.test.x]), y=np.arange(160) % 2)
    with pytest.raises(DataError, match="not what the run was begun with"):
        deltanas.search({"cycles": 3}, run=tmp_path / "run", dataset=other)
    with pytest.raises(UsageError, match="`dataset` = 'digits', and the data set that is given is 'stripes'"):
        deltanas.search({"dataset": "digits"}, run=tmp_path / "other", dataset=stripes)


def test_given_data_is_cut_and_checked_as_any_other(stripes: Dataset) -> None:
    source = deltanas.nets.baseline("mlp")
    result = deltanas.evaluate(source, dataset=stripes, train_size=64, epochs=1)
    assert result.status == "trained"
    with pytest.raises(UsageError, match="a training size of 1000 is not possible on stripes"):
        deltanas.evaluate(source, dataset=stripes, train_size=1000)
    leaky = Dataset("leaky", stripes.train, stripes.train, stripes.test, 2)
    with pytest.raises(DataError, match="leaky"):
        deltanas.evaluate(source, dataset=leaky)
