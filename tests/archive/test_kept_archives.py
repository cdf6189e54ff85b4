"""Every released archive still opens and reads the same; `tests/archives/make.py` writes one a version."""

from __future__ import annotations

import runpy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from deltanas.archive import list_runs, open_run, sqlite_url
from deltanas.program import Trained
from deltanas.seams import Candidate

ARCHIVES = Path(__file__).parents[1] / "archives"
KEPT = sorted(ARCHIVES.glob("*.db"))


def test_there_are_kept_archives() -> None:
    assert [file.name for file in KEPT][:1] == ["0.1.0.db"]


@pytest.mark.parametrize("kept", KEPT, ids=lambda file: file.name)
def test_a_kept_archive_reads_the_same_and_can_go_on(kept: Path, tmp_path: Path) -> None:
    shutil.copy(kept, tmp_path)
    url = sqlite_url(tmp_path / kept.name)
    as_json = runpy.run_path(str(ARCHIVES / "make.py"))["as_json"]
    with open_run(url, "kept") as reader:
        assert as_json(reader.view()) == kept.with_suffix(".json").read_text(encoding="utf-8")
        assert reader.damage() == []
    assert [(run.name, run.finished is None) for run in list_runs(url)] == [("kept", False), ("cut off", True)]
    with open_run(url, "cut off", writer=True) as writer:
        (base,) = writer.candidates()
        new = Candidate(1, 0, "random", None, base.draft)
        writer.open([new])
        writer.settle(1, 0, Trained(0.5, 10, 1, 1.0, 1.0, "A"))
        assert writer.candidates() == [base, replace(new, outcome=Trained(0.5, 10, 1, 1.0, 1.0, "A"))]
