"""Tables of a grid: what is read, what is refused, and that the hint mends it."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deltanas.errors import DataError, DeltanasError, UsageError
from deltanas.grid.table import Row as Written
from deltanas.trainings import NEEDED, OTHERS, Recipe, read_grid
from hinted import code_in
from study.recipe_tables import Row, failed, rows_of, written

ROWS = rows_of(networks=2, seeds=2, arms=("fixed",))


def with_line(folder: Path, number: int, line: str, *, end: str = "\n") -> Path:
    """The table with another line in a place; the last has the end of a line that is given."""
    path = written(folder / "table.jsonl", ROWS)
    lines = path.read_text("utf-8").splitlines()
    lines[number - 1 : number] = [line]
    path.write_text("\n".join(lines) + end, "utf-8")
    return path


def changed(number: int, **cells: Any) -> str:
    return json.dumps({**ROWS[number - 1], **cells})


def test_a_table_of_json_lines_and_one_of_csv_say_the_same(tmp_path: Path) -> None:
    rows = [failed(ROWS[0]), *ROWS[1:]]
    lines = read_grid(written(tmp_path / "table.jsonl", rows))
    with (tmp_path / "table.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(ROWS[0]))
        table.writeheader()
        table.writerows(rows)
    assert [vars_of(row) for row in read_grid(tmp_path / "table.csv").rows] == [vars_of(row) for row in lines.rows]
    first = lines.rows[0]
    assert (first.block, first.what, first.arm) == (("digits", "net0"), Recipe("ce", "adadelta"), "fixed")
    assert first.failed
    assert first.failure == "train: loss is not finite"
    assert str(Recipe("ngl", "sgd", 12.3)) == "ngl x 12.3 + sgd"


def vars_of(row: Any) -> tuple[object, ...]:
    return (row.block, row.what, row.arm, row.phase, row.rate, row.seed, str(row.score), row.n, row.chance)


def test_a_table_that_is_being_written_is_read_up_to_the_line_that_is_cut_off(tmp_path: Path) -> None:
    line = changed(len(ROWS))
    found = read_grid(with_line(tmp_path, len(ROWS), line[:40], end=""))
    assert (len(found.rows), found.cut) == (len(ROWS) - 1, len(ROWS))
    whole = read_grid(with_line(tmp_path, len(ROWS), line, end=""))
    assert (len(whole.rows), whole.cut) == (len(ROWS), None)
    path = tmp_path / "table.csv"
    head = "network,dataset,loss,optimizer,arm,phase,rate,seed,score\n"
    path.write_text(f"{head}a,digits,ce,sgd,fixed,score,0.01,1,0.5\na,digits,ce", "utf-8")
    assert (len(read_grid(path).rows), read_grid(path).cut) == (1, 3)
    assert not read_grid(path).unended
    for end, unended in (("", True), ("\n", False)):
        path.write_text(f"{head}a,digits,ce,sgd,fixed,score,0.01,1,0.5{end}", "utf-8")
        assert (len(read_grid(path).rows), read_grid(path).unended) == (1, unended)


def test_a_name_with_a_line_separator_and_a_seed_that_another_tool_wrote_as_a_float(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonl"
    rows = [{**row, "network": f"a\u2028{row['network']}", "seed": float(row["seed"])} for row in ROWS]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    found = read_grid(path)
    assert [row.seed for row in found.rows] == [str(row["seed"]) for row in ROWS]
    assert len(found.rows) == len(ROWS)
    path.write_text(path.read_text("utf-8") + "x\n", "utf-8")
    with pytest.raises(DataError, match=f"line {len(ROWS) + 1} is no JSON"):
        read_grid(path)


def test_other_columns_are_named(tmp_path: Path) -> None:
    rows: list[Row] = [{**row, "epochs": 1, "scor": 2} for row in ROWS]
    assert read_grid(written(tmp_path / "t", rows)).ignored == ("`epochs`", "`scor` (did you mean `score`?)")


def test_a_row_that_is_told_again_counts_once(tmp_path: Path) -> None:
    found = read_grid(written(tmp_path / "t", [*ROWS, ROWS[3]]))
    assert (len(found.rows), found.told_again) == (len(ROWS), 1)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"network": ', "line 3 is no JSON"),
        ("[1, 2]", "line 3 is no JSON object"),
        pytest.param("[" * 100_000, "line 3 is no JSON", id="nested"),
        (changed(3, score="NaN", failure=None).replace('"NaN"', "Infinity"), "column `score`: Infinity is no number"),
        (changed(3, score=1.5), "line 3, column `score`: 1.5 is no number from 0 to 1"),
        (changed(3, score=True), "line 3, column `score`: true is no number"),
        (changed(3, score="high"), 'line 3, column `score`: "high" is no number'),
        (changed(3, rate=0), "line 3, column `rate`: 0 is no number"),
        (changed(3, rate=None), "line 3, column `rate`: null is no number"),
        (changed(3, arm="free"), 'line 3, column `arm`: "free" is no arm: fixed or tuned'),
        (changed(3, phase="search"), "is no phase: tune or score"),
        (changed(3, loss=""), 'line 3, column `loss`: "" is no name'),
        (changed(3, optimizer=["sgd"]), "column `optimizer`"),
        (changed(3, scale=-1), "line 3, column `scale`: -1 is no number"),
        (changed(2, score=0.9), "lines 2 and 3 tell one training twice, with two scores: ce . adadelta"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_the_hint_leaves_it_out(tmp_path: Path, line: str, words: str) -> None:
    path = with_line(tmp_path, 3, line)
    before = path.read_bytes()
    with pytest.raises(DataError, match=words) as caught:
        read_grid(path)
    (command,) = code_in(caught.value.hint)
    subprocess.run(["sh", "-c", command], check=True, cwd=tmp_path)
    assert path.read_bytes() == before
    assert len(read_grid(tmp_path / "table-1.jsonl").rows) == len(ROWS) - 1


def test_a_score_beside_a_failure_and_a_fixed_arm_that_is_tuned(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 3 has both a score and a failure"):
        read_grid(with_line(tmp_path, 3, changed(3, failure="train: killed")))
    with pytest.raises(DataError, match="line 3: the arm `fixed` tunes nothing"):
        read_grid(with_line(tmp_path, 3, changed(3, phase="tune")))


@pytest.mark.parametrize(("column", "value"), [("n", 100), ("chance", 0.5), ("rate", 0.02)])
def test_two_protocols_in_one_table_are_refused_and_the_hint_mends_it(
    tmp_path: Path, column: str, value: float
) -> None:
    path = with_line(tmp_path, 4, changed(4, **{column: value}))
    with pytest.raises(DataError, match=f"two protocols in one table, `{column}` of ") as caught:
        read_grid(path)
    assert "keep the rows of one of them" in caught.value.hint
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    kept = [row for row in rows if row[column] == ROWS[0][column]]
    assert len(read_grid(written(tmp_path / "one.jsonl", kept)).rows) == len(ROWS) - 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("colour,size\n1,2\n", "line 1 names no column of such a table"),
        ("network;dataset;score\na;b;1\n", "line 1 names no column[^\n]*\n  separate cells by commas, not by ';'"),
        ("network,network\na,b\n", "the column `network` is there twice"),
        ("network,dataset\na\n", "line 2: 1 cells under 2 columns"),
        (
            "network,dataset,loss,optimizer,arm,phase,rates,seed,score\na,b,ce,sgd,fixed,score,1,1,1\n",
            "no column `rate`",
        ),
        ("network,dataset,loss,optimizer,arm,phase,rate,seed,score\n", "has no row"),
        ('network,loss\na,"b\n', "line 2"),
    ],
)
def test_what_is_no_table(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=words) as caught:
        read_grid(path)
    assert caught.value.hint


def test_the_columns_are_those_that_a_grid_writes() -> None:
    assert set(NEEDED + OTHERS) == Written.__annotations__.keys()


def test_no_file_a_folder_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        read_grid(tmp_path / "none")
    with pytest.raises(UsageError, match="is a folder"):
        read_grid(tmp_path)
    (tmp_path / "t").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_grid(tmp_path / "t")


def test_a_part_of_the_table(tmp_path: Path) -> None:
    table = read_grid(written(tmp_path / "t", rows_of(networks=2, seeds=2)))
    assert {row.arm for row in table.only(arms=["tuned"]).rows} == {"tuned"}
    assert {row.what.loss for row in table.only(losses=["ce", "ngl"]).rows} == {"ce", "ngl"}
    with pytest.raises(UsageError, match="--loss mse: the table holds no such row") as caught:
        table.only(losses=["mse"])
    assert "it holds ce, ngl, nll" in caught.value.hint
    with pytest.raises(DeltanasError, match="--dataset cifar-10"):
        table.only(datasets=["cifar-10"])
