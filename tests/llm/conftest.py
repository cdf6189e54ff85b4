"""Models that the tests of this room share."""

from __future__ import annotations

from pathlib import Path

import pytest

from deltanas.llm import open_model
from deltanas.llm.local import LocalModel
from tiny_model import save_tiny_model


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> LocalModel:
    model = open_model(f"path:{tiny_folder}")
    assert isinstance(model, LocalModel)
    return model
