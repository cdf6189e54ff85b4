"""The page of a study of recipes: what it shows, in a browser too, and that it takes the place of nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from browser import CHROMIUM, CONTRAST, Browser
from deltanas.errors import UsageError
from deltanas.pages import write_recipes
from deltanas.report import compared
from deltanas.study import recipe_study
from deltanas.trainings import read_grid
from hinted import code_in
from sortable import unsorted
from study.recipe_tables import Row, failed, rows_of, written


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    rows = [
        failed(row) if row["network"] == "net3" and row["loss"] == "ngl" else row
        for row in rows_of(networks=8, seeds=3)
    ]
    path = written(folder / "<b>table.jsonl", rows)
    return write_recipes(folder / "page.html", path, recipe_study(read_grid(path)))


def test_the_page_shows_verdicts_diagrams_map_and_curves(page: Path) -> None:
    html = page.read_text("utf-8")
    assert unsorted(html) == []
    assert "&lt;b&gt;table.jsonl" in html
    assert "NGL is bad under SGD" in html
    diagrams = html.count('<svg class="ranks"')
    assert diagrams == len(re.findall(r"critical difference \d\.\d\d</text>", html)) > 18
    assert "3 failed" in html
    assert "Learning rate (logarithmic)" in html
    assert "Fieller (1954)" in html
    assert "network x optimizer" in html
    assert not re.search(r"[\"> (]nan\b", html)


def test_a_table_with_nothing_to_compare_has_a_page_that_says_so(tmp_path: Path) -> None:
    for rows in (rows_of(networks=1, seeds=1), [row for row in rows_of(networks=2) if row["phase"] == "tune"]):
        path = written(tmp_path / "table.jsonl", rows)
        html = write_recipes(tmp_path / "page.html", path, recipe_study(read_grid(path))).read_text("utf-8")
        assert "not computed" in html.lower() or "nothing to compare" in html


def test_the_page_takes_the_place_of_a_page_and_of_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Row] = rows_of(networks=2, seeds=2, arms=("fixed",))
    path = written(tmp_path / "table.jsonl", rows)
    study, before = recipe_study(read_grid(path)), path.read_bytes()
    with pytest.raises(UsageError, match="is there and is no page") as caught:
        write_recipes(path, path, study)
    (code,) = code_in(caught.value.hint)
    target = Path(code.removeprefix("--html "))
    assert not target.exists()
    assert write_recipes(target, path, study) == write_recipes(target, path, study)
    assert path.read_bytes() == before
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(UsageError, match="is a folder") as caught:
        write_recipes(tmp_path, path, study)
    (code,) = code_in(caught.value.hint)
    assert write_recipes(Path(code.removeprefix("--html ")), path, study) == tmp_path / "page-1.html"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="is a folder"):
        write_recipes(Path(), path, study)
    (tmp_path / "own.html").write_text("<!doctype html>\n<title>Mine</title>\n")
    with pytest.raises(UsageError, match="is there and is no page"):
        write_recipes(tmp_path / "own.html", path, study)


def test_a_rank_diagram_by_hand() -> None:
    drawn = compared.rank_diagram([("a", 1.0), ("b", 3.0), ("c", 2.0)], [(0, 2), (2, 1)], 1.1)
    assert [(label.name, label.left) for label in drawn.labels] == [("a", True), ("c", True), ("b", False)]
    ticks = {rank: x for x, rank in drawn.ticks}
    assert [label.x for label in drawn.labels] == [ticks[1], ticks[2], ticks[3]]
    first, second = drawn.bars
    assert first.low < ticks[1] < ticks[2] < first.high
    assert first.y < second.y
    assert drawn.unit.high - drawn.unit.low == pytest.approx(1.1 * (ticks[2] - ticks[1]))


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_contrast_and_width_in_a_browser(page: Path, browser: Browser, width: int, scheme: str) -> None:
    said = len(browser.console)
    opened = browser.open(page.as_uri())
    opened.prefer(scheme)
    opened.resize(width, 800, phone=width < 600)
    opened.run("document.querySelectorAll('details').forEach((one) => one.open = true)")
    assert opened.run(CONTRAST) == []
    assert opened.run("document.documentElement.scrollWidth") <= width
    beyond = "[...document.querySelectorAll('.ranks text')].filter((t) => t.getBoundingClientRect().right > innerWidth)"
    assert opened.run(f"{beyond}.length") == 0
    assert browser.console[said:] == []
    opened.close()
