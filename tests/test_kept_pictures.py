"""A run whose programs have transforms keeps a few training pictures, for a report without the data at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from deltanas import wiring
from deltanas.nets import baseline
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import RunView
from deltanas.sandbox import LocalPool
from deltanas.seams import Built, silent
from deltanas.train.data.sample import read_pictures
from deltanas.wiring import open_search
from transformed_run import FLIP

X, Y = np.random.default_rng(0).integers(0, 256, (90, 8, 8), np.uint8), np.arange(90) % 3


class Quick(LocalPool):
    """Starts no process."""

    tier = "A"

    def __enter__(self) -> Self:
        return self

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        return [Built(1, 1, f"{program.id}{'f' * 16}", (None,) * 4) for program in programs]

    def train(self, programs: Sequence[Program], **_: object) -> Iterator[tuple[int, Trained | Failed]]:
        yield from ((place, Trained(0.5, 18, 0, 0.1, 0.1, "A")) for place, _ in enumerate(programs))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(wiring, "open_pool", lambda dataset, *_: Quick(dataset))
    monkeypatch.setattr(wiring, "kept_builds", lambda runner: runner)
    np.savez(tmp_path / "own.npz", x=X, y=Y)
    return f"npz:{tmp_path / 'own.npz'}"


def searched(data: str, folder: Path, transform: str, **settings: object) -> tuple[RunView, tuple[str, ...]]:
    given = {"strategy": "random", "dataset": data, "cycles": 1, "candidates": 1, "finals": 0, "baselines": ["mlp"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "programs_of", lambda *_: {"mlp": Program.of(baseline("mlp"), transform)})
        with open_search({**given, **settings}, folder, silent) as opened:
            assert opened.search is not None
            opened.search.run()
            return opened.run.view(), opened.assumed


def test_they_are_kept_for_its_report_and_said(data: str, tmp_path: Path) -> None:
    view, said = searched(data, tmp_path / "run", FLIP)
    kept = read_pictures(view.pictures)
    assert kept.shape == (5, 1, 8, 8)
    assert all(any(np.array_equal(picture[0], image) for image in X) for picture in kept)
    assert any("5 small training images are kept in the run" in line for line in said)


@pytest.mark.parametrize(("transform", "settings"), [("", {}), (FLIP, {"pictures": 0})])
def test_none_are_kept_where_there_is_none_to_show_or_none_is_wanted(
    data: str, tmp_path: Path, transform: str, settings: dict[str, object]
) -> None:
    view, said = searched(data, tmp_path / "run", transform, **settings)
    assert view.pictures == b""
    assert not any("kept in the run" in line for line in said)
