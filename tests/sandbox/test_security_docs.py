"""docs/security.md claims nothing without a test."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOMS = ("npu", "sandbox", "contracts", "export", "lemur", "prediction", "program", "train", ".")
PAGE = (TESTS.parent / "docs" / "security.md").read_text()


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(\w+\.py)::(\w+)`", PAGE))
    assert len(named) > 20
    for file, name in named:
        [path] = [path for room in ROOMS for path in TESTS.glob(f"{room}/{file}")]
        assert f"def {name}(" in path.read_text(), f"{file}::{name}"


def test_every_layer_of_the_page_names_one() -> None:
    rows = re.findall(r"^\| (.*) \|$", PAGE.partition("## The layers")[2].partition("## Tiers")[0], re.MULTILINE)[1:]
    assert len(rows) >= 8
    assert all("::test_" in row.rpartition("|")[2] for row in rows)
