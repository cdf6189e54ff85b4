"""Exports that are made without a training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deltanas.onnxfile import with_metadata
from deltanas.train.data import Meaning
from deltanas.train.data.picture import Span
from known_export import Known, config_of, onnx_bytes


@pytest.fixture
def known(tmp_path: Path) -> Callable[..., Known]:
    def made(
        names: tuple[str, ...] = ("cat", "dog", "猫 x"),
        shape: tuple[int, int, int] = (3, 5, 6),
        folder: str = "export/01-abc",
        resize: int | None = None,
        grey: bool = False,
        span: Span | None = None,
    ) -> Known:
        meaning = Meaning(names, shape, (0.0,) * shape[0], (1.0,) * shape[0], resize, grey, span)
        weights = np.random.RandomState(3).normal(size=(int(np.prod(shape)), len(names))).astype(np.float32)
        place, config = tmp_path / folder, config_of(meaning)
        place.mkdir(parents=True)
        texts = {name: json.dumps(value) for name, value in config.items()}
        (place / "model.onnx").write_bytes(with_metadata(onnx_bytes(meaning, weights), texts))
        (place / "config.json").write_text(json.dumps(config), "utf-8")
        (place / "net.py").write_text("")
        (place / "README.md").write_text("")
        return Known(place, meaning, weights)

    return made
