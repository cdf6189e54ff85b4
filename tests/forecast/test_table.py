from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from deltanas import nets
from deltanas.errors import DataError
from deltanas.forecast import Row, Table, builtin, fitted, read_table, rows_of, write_table
from deltanas.foretold import rank_correlation
from deltanas.learn.measured import MeasuredEdit
from deltanas.program import edits_of

ROW = Row("mlp", "0123", "net", {"token:GELU": 1}, 0.25, 0.125)


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    table = Table((ROW, replace(ROW, noise=None)), {"dataset": "digits"})
    write_table(tmp_path / "a", table)
    write_table(tmp_path / "b", table)
    assert read_table(tmp_path / "a") == table
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert Table((replace(ROW, gain=0.5),)).digest != Table((ROW,)).digest


@pytest.mark.parametrize(
    "held",
    [
        b"no gzip",
        gzip.compress(b"no json"),
        gzip.compress(b"[]"),
        gzip.compress(b'{"form": "other"}'),
        gzip.compress(json.dumps({"form": "deltanas forecast 1", "origin": {}, "rows": [[1]]}).encode()),
        gzip.compress(b'{"form": "deltanas forecast 1", "origin": {}, "rows": [["a", "b", "net", {}, NaN, null]]}'),
        gzip.compress(b'{"form": "deltanas forecast 1", "origin": {}, "rows": [["a", "b", "net", {"c": "d"}, 1, 1]]}'),
        gzip.compress(b'{"form": "deltanas forecast 1", "origin": {}, "rows": [["a", "b", "net", [], 1, 1]]}'),
        gzip.compress(b"{}")[:-9],
        gzip.compress(b"{}" * 50)[:10] + bytes(range(255, 205, -1)),
    ],
    ids=[
        "no gzip",
        "no JSON",
        "a list",
        "another form",
        "a short row",
        "no number",
        "no count",
        "no names",
        "cut",
        "damaged",
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "table").write_bytes(held)
    with pytest.raises(DataError, match="no table of measured edits"):
        read_table(tmp_path / "table")


def test_measured_edits_make_rows_and_one_that_does_not_apply_makes_none() -> None:
    source = nets.baselines()["mlp"]
    edit = next(one for one in edits_of(source) if one.kind == "activation")
    measured = MeasuredEdit("mlp", source, edit.text, gain=0.01, accuracy=0.8, noise=0.02, kind=edit.kind)
    (row,) = rows_of([measured, replace(measured, edit=edit.text.replace("nn.", "nope."))])
    assert (row.family, row.parent, row.part, row.gain, row.noise) == ("mlp", measured.parent.id, "net", 0.01, 0.02)
    assert "kind:activation" in row.features


def test_the_builtin_table_ranks_edits_of_families_that_it_is_not_fitted_to() -> None:
    table = builtin()
    assert table.origin["digest"] == table.digest
    assert table.origin["edits"] == len(table.rows) > 3_000
    by_parent: dict[str, list[tuple[float, float]]] = {}
    for family in ("convmixer", "convnext", "fractalnet", "mobilenet", "shufflenet"):
        model = fitted([row for row in table.rows if row.family != family])
        asked = [row for row in table.rows if row.family == family]
        for row, expected in zip(asked, model.expected([row.features for row in asked]), strict=True):
            by_parent.setdefault(row.parent, []).append((expected.mean, row.gain))
    rho = rank_correlation(by_parent.values())
    assert rho is not None
    assert rho.low > 0.1
