"""The tiny model, tuned; for the modules that take the plugin `tiny_model`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from deltanas.learn import Tuned
from deltanas.llm import open_model
from deltanas.llm.local import LocalModel
from tuned_model import BASE, tuned


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> LocalModel:
    return cast("LocalModel", open_model(f"path:{tiny_folder}"))


@pytest.fixture
def bare(model: LocalModel) -> Iterator[None]:
    """Each test begins without an adapter, and no tuning leaves one on."""
    assert model.adapter is None
    yield
    model.adapt(None)


@pytest.fixture(scope="module")
def first(model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tuned(model, BASE, tmp_path_factory.mktemp("line") / "cycle-1")
