"""Generated data sets: each is read as it is meant, or refused with the true reason, and no file is changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from coded_images import Meant
from deltanas.errors import DataError
from deltanas.train.data import Dataset, load
from layouts_of_arrays import arrays_at
from layouts_of_folders import folders_at
from own_data import tree


def _tried(name: str) -> tuple[DataError | None, Dataset | None]:
    try:
        return None, load(name)
    except DataError as error:
        return error, None


def holds(folder: Path, name: str, meant: Meant) -> None:
    before = tree(folder)
    error, data = _tried(name)
    if error:
        true = any(re.search(reason, error.message) for reason in [*meant.reasons, *meant.perhaps])
        assert true, f"{meant.what}: refused, though it could be read:\n{error}"
    if data:
        assert not meant.reasons, f"{meant.what}: read, though it should be refused for {meant.reasons}"
        meant.check(data)
    assert tree(folder) == before


@pytest.mark.parametrize("seed", range(100))
def test_arrays_are_read_as_meant_or_refused(seed: int, tmp_path: Path) -> None:
    name, meant = arrays_at(tmp_path, seed)
    holds(tmp_path, name, meant)


@pytest.mark.parametrize("seed", range(100))
def test_folders_are_read_as_meant_or_refused(seed: int, tmp_path: Path) -> None:
    name, meant = folders_at(tmp_path, seed)
    holds(tmp_path, name, meant)
