"""The skeleton that `deltanas new` writes works as it is, and overwrites nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from deltanas.check.contract import contract_faults
from deltanas.config import read_config
from deltanas.errors import UsageError
from deltanas.starting import write_skeleton


def test_its_program_follows_the_contract_and_its_settings_are_settings(tmp_path: Path) -> None:
    written = write_skeleton(tmp_path / "mine")
    assert all(path.exists() for path in written)
    assert contract_faults((tmp_path / "mine" / "net.py").read_text("utf-8")) == ()
    text = (tmp_path / "mine" / "search.toml").read_text("utf-8")
    assert read_config(tomllib.loads(text)).strategy == "outside"
    proposed = text.replace("# [", "[").replace("# resize", "resize").replace("# candidates", "candidates")
    config = read_config(tomllib.loads(proposed.replace("# trainings", "trainings")))
    assert config.model_dump()["outside"]["trainings"] == 500


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "net.py"
    kept.write_text("mine")
    with pytest.raises(UsageError, match="is overwritten"):
        write_skeleton(tmp_path)
    assert kept.read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1
