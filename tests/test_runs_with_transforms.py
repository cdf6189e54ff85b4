"""A run whose programs have transforms keeps a few training pictures, and knows its transforms after a resume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from deltanas import wiring
from deltanas.nets import baseline
from deltanas.program import Failed, Program, Refused, Trained
from deltanas.records import RunView
from deltanas.sandbox import LocalPool
from deltanas.seams import Ask, Built, Proposal, silent
from deltanas.train.data.sample import read_pictures
from deltanas.train.digest import acted
from deltanas.wiring import open_search
from support import build_job
from transformed_run import FLIP, NONE

X, Y = np.random.default_rng(0).integers(0, 256, (90, 8, 8), np.uint8), np.arange(90) % 3


class Quick(LocalPool):
    """Starts no process."""

    tier = "A"

    def __enter__(self) -> Self:
        return self

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        jobs = [replace(build_job("", "{}", self.dataset.in_shape, 3), transform=one.transform) for one in programs]
        return [Built(1, 1, f"{'0' * 16}{acted(job)}", (0.0,) * 4) for job in jobs]

    def train(self, programs: Sequence[Program], **_: object) -> Iterator[tuple[int, Trained | Failed]]:
        yield from ((place, Trained(0.5, 18, 0, 0.1, 0.1, "A")) for place, _ in enumerate(programs))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(wiring, "open_pool", lambda dataset, *_: Quick(dataset))
    monkeypatch.setattr(wiring, "kept_builds", lambda runner: runner)
    np.savez(tmp_path / "own.npz", x=X, y=Y)
    return f"npz:{tmp_path / 'own.npz'}"


class Policies:
    """Proposes one text after the other."""

    strategy, batch = "policies", 1

    def __init__(self, *texts: str) -> None:
        self._texts = list(texts)

    def propose(self, asks: Sequence[Ask]) -> list[Proposal]:
        return [Proposal(ask.parent.edited("transform", self._texts.pop(0)), "", None) for ask in asks]


def searched(
    data: str, folder: Path, transform: str, proposer: Policies | None = None, **settings: Any
) -> tuple[RunView, tuple[str, ...]]:
    given = {"strategy": "random", "dataset": data, "cycles": 1, "candidates": 1, "finals": 0, "baselines": ["mlp"]}
    given |= {"rungs": "off"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "programs_of", lambda *_: {"mlp": Program.of(baseline("mlp"), transform)})
        own = None if proposer is None else lambda _: proposer
        with open_search({**given, **settings}, folder, silent, own) as opened:
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
    data: str, tmp_path: Path, transform: str, settings: dict[str, Any]
) -> None:
    view, said = searched(data, tmp_path / "run", transform, **settings)
    assert view.pictures == b""
    assert not any("kept in the run" in line for line in said)


def test_after_a_resume_a_transform_is_known_by_what_it_does(data: str, tmp_path: Path) -> None:
    flips = FLIP.replace("p=1.0", "p=0.5")
    idle = FLIP.replace("p=1.0", "p=0.0")
    first, _ = searched(data, tmp_path / "run", NONE, Policies(flips), retries=0)
    assert [row.draft.effective for row in first.candidates if row.cycle and row.draft] == [True]
    again = Policies(FLIP.replace("(p=1.0)", "()"), idle)
    view, _ = searched(data, tmp_path / "run", NONE, again, retries=0, cycles=3)
    reasons = [row.outcome.reason for row in view.candidates if isinstance(row.outcome, Refused)]
    assert len(reasons) == 2
    assert reasons[0].startswith("the transform does to images what that of")
    assert reasons[1].startswith("the transform does nothing to images of this data set")
    assert len([row for row in view.candidates if isinstance(row.outcome, Trained)]) == 2
