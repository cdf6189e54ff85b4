"""Tables that grow row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.table import stamp
from deltanas.errors import UsageError


def test_a_version_that_says_more_of_the_data_goes_on_with_the_same_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    stamp(path, {"size": 10, "data": {"sha256": "a", "span": None}}, "A")
    stamp(path, {"size": 10, "data": {"sha256": "a", "before": None}}, "A")
    for other in ({"sha256": "b"}, {"sha256": "a", "before": 0.5}):
        with pytest.raises(UsageError, match="measured otherwise"):
            stamp(path, {"size": 10, "data": other}, "A")
