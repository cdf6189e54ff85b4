"""The table of a grid: cut short, of another grid, with two writers, on a full disk."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deltanas.errors import DataError, DeltanasError, UsageError
from deltanas.grid import description_of, keys_of, known_rows, open_table
from grid_parts import DESCRIPTION, GRID, CountingRunner, run_grid

KEYS = keys_of(GRID)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "a table.jsonl"
    assert run_grid(path, CountingRunner())
    return path


@pytest.mark.parametrize("rest", [b"", b"\n", b'{"network": "one"', b"\0\0\0"])
def test_a_row_that_was_cut_short_is_made_again(table: Path, rest: bytes) -> None:
    whole = table.read_bytes()
    lines = whole.splitlines(keepends=True)
    cut = lines[-1][: len(lines[-1]) // 2] if rest != b"\n" else lines[-1][:-1]
    table.write_bytes(b"".join(lines[:-1]) + cut + rest.strip(b"\n"))
    runner = CountingRunner()
    assert run_grid(table, runner)
    assert len(runner.trained) <= 1
    assert table.read_bytes() == whole


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda lines: [*lines[:4], b"not json\n", *lines[5:]], "line 5 is no row of a grid"),
        (lambda lines: [*lines[:4], b"{}\n", *lines[5:]], "line 5 is no row of a grid"),
        (lambda lines: [*lines[:4], lines[4].replace(b"360", b'"360"'), *lines[5:]], "line 5 is no row of a grid"),
        (lambda lines: [*lines, lines[2]], "stands there twice"),
        (lambda lines: [lines[0].replace(b'"one"', b'"three"'), *lines[1:]], "line 1 is of no training of this grid"),
    ],
)
def test_a_line_that_is_no_row_is_named_and_the_hint_mends_it(
    table: Path, spoil: Callable[[list[bytes]], list[bytes]], says: str
) -> None:
    whole = table.read_bytes()
    spoilt = b"".join(spoil(whole.splitlines(keepends=True)))
    table.write_bytes(spoilt)
    with pytest.raises(DataError, match=says) as caught:
        run_grid(table, CountingRunner())
    assert table.read_bytes() == spoilt
    subprocess.run(["bash", "-c", caught.value.hint.split("`")[1]], check=True, cwd=table.parent)
    assert (table.parent / f"{table.name}.1").read_bytes() == spoilt, "the hint keeps a copy"
    assert run_grid(table, CountingRunner())
    assert table.read_bytes() == whole


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"epochs": 2}, "`epochs` was 1, and is 2"),
        ({"recipes": ["ngl + sgd"]}, "`recipes` has ce \\+ sgd"),
        ({"seeds": {"one": [1], "two": [3, 4]}}, "`seeds.one` has 2"),
        ({"networks": {"one": {"clipping": "none"}}}, "leaves out|was"),
    ],
)
def test_a_table_of_another_grid_stays_as_it_is(table: Path, change: dict[str, Any], says: str) -> None:
    whole, told = table.read_bytes(), description_of(table).read_bytes()
    known = {**DESCRIPTION, "networks": {"one": {"clipping": "clip_grad_norm_ 1.0"}}}
    description_of(table).write_text(json.dumps(known))
    told = description_of(table).read_bytes()
    with pytest.raises(UsageError, match=f"holds another grid: .*{says}") as caught:
        run_grid(table, CountingRunner(), description={**known, **change})
    assert (table.read_bytes(), description_of(table).read_bytes()) == (whole, told)
    subprocess.run(["bash", "-c", caught.value.hint.split("`")[1]], check=True, cwd=table.parent)
    assert run_grid(table, CountingRunner(), description={**known, **change}), "the hint gives it another name"
    assert (table.parent / f"{table.name}.1").read_bytes() == whole


@pytest.mark.parametrize("change", [{"decay": 0.01}, {"train": {"average": 0.25}}])
def test_what_was_not_set_when_it_was_begun_stays_unset(table: Path, change: dict[str, Any]) -> None:
    (key,) = change
    with (
        pytest.raises(UsageError, match=rf"`{key}[.a-z]*` was not set, and is 0\."),
        open_table(table, {**DESCRIPTION, **change}, KEYS),
    ):
        pass


def test_rows_of_a_version_that_told_no_decay_are_taken_up(table: Path) -> None:
    whole = table.read_text()
    rows = [json.loads(line) for line in whole.splitlines()]
    assert all("decay" in row for row in rows)
    older = [{name: value for name, value in row.items() if name != "decay"} for row in rows[:-1]]
    table.write_text("".join(json.dumps(row) + "\n" for row in older))
    runner = CountingRunner()
    assert run_grid(table, runner)
    assert len(runner.trained) <= 1
    assert [json.loads(line) for line in table.read_text().splitlines()] == [*older, rows[-1]]


def test_a_table_without_a_description_is_not_gone_on_with(table: Path) -> None:
    for text in ("", "[]", "1"):
        description_of(table).write_text(text)
        with pytest.raises(UsageError, match="does not say how they were measured"):
            run_grid(table, CountingRunner())
    description_of(table).unlink()
    with pytest.raises(UsageError, match="does not say how they were measured"):
        run_grid(table, CountingRunner())


def test_tables_side_by_side_have_a_description_each(tmp_path: Path) -> None:
    names = ("t.jsonl", "t.sgd", "t.adam")
    assert len({description_of(tmp_path / name) for name in names}) == len(names)
    assert description_of(tmp_path / "t.jsonl") == tmp_path / "t.meta.json"


def test_the_machine_may_be_another_one(table: Path) -> None:
    description = {**DESCRIPTION, "made": {"machine": "one"}}
    assert run_grid(table, CountingRunner(), description=description)
    assert run_grid(table, CountingRunner(), description={**DESCRIPTION, "made": {"machine": "two"}})
    assert json.loads(description_of(table).read_text())["made"] == [{"machine": "one"}, {"machine": "two"}]
    assert run_grid(table, CountingRunner(), description=description)
    assert json.loads(description_of(table).read_text())["made"] == [{"machine": "one"}, {"machine": "two"}]


def test_where_rows_of_an_earlier_version_came_from_stays(table: Path) -> None:
    description = {**DESCRIPTION, "made": {"machine": "two"}}
    description_of(table).write_text(json.dumps({**DESCRIPTION, "made": {"machine": "one"}}))
    assert run_grid(table, CountingRunner(), description=description)
    assert json.loads(description_of(table).read_text())["made"] == [{"machine": "one"}, {"machine": "two"}]
    table.write_text("")
    assert run_grid(table, CountingRunner(), description=description)
    assert json.loads(description_of(table).read_text())["made"] == [{"machine": "two"}], "of no row that is left"


def test_one_writer(table: Path) -> None:
    whole = table.read_bytes()
    with (
        open_table(table, DESCRIPTION, KEYS),
        pytest.raises(DeltanasError, match=r"is being written by process \d+"),
        open_table(table, DESCRIPTION, KEYS),
    ):
        pass
    assert table.read_bytes() == whole
    assert run_grid(table, CountingRunner()), "a lock ends with its owner"


def test_a_name_that_another_reader_takes_for_csv(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="JSON lines") as caught:
        run_grid(tmp_path / "t.csv", CountingRunner())
    assert "t.jsonl" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_a_link_to_a_table_stays_one(table: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    link, target = tmp_path / "t.jsonl", tmp_path / "sub" / "own.jsonl"
    link.symlink_to(target)
    assert run_grid(link, CountingRunner())
    assert link.is_symlink()
    assert target.read_bytes() == table.read_bytes(), "in the order of the grid, whatever ended first"


@pytest.mark.parametrize("name", [".", "/", "..", "sub"])
def test_a_folder_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is a folder") as caught:
        run_grid(Path(name), CountingRunner())
    assert "grid.jsonl" in caught.value.hint
    assert list(tmp_path.iterdir()) == [tmp_path / "sub"], "no lock is left"


FULL = """
import resource, sys
from pathlib import Path
sys.path[:0] = {path!r}
from grid_parts import CountingRunner, run_grid
resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, resource.RLIM_INFINITY))
run_grid(Path({table!r}), CountingRunner())
"""


@pytest.mark.parametrize("most", [1301, 5000])
def test_a_full_disk_ends_it_with_whole_rows_and_it_goes_on(table: Path, tmp_path: Path, most: int) -> None:
    small = tmp_path / "small.jsonl"
    code = FULL.format(path=sys.path, most=most, table=str(small))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "DeltanasError" in done.stderr, done.stderr
    assert "can't be written: File too large" in done.stderr
    rows, end = known_rows(small, DESCRIPTION, KEYS)
    assert rows, "nothing was written: nothing is tested"
    assert end == small.stat().st_size <= most
    assert run_grid(small, CountingRunner())
    assert small.read_bytes() == table.read_bytes()


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeltanasError, match="can't be written"):
        run_grid(tmp_path / "file" / "t.jsonl", CountingRunner())
