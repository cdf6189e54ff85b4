"""The diagnostics on the page of a run."""

from __future__ import annotations

from pathlib import Path

from deltanas.archive import begin_run
from deltanas.pages import write_report
from deltanas.records import RunView
from deltanas.report import Diagnostic, render

EMPTY = RunView("run", False, {}, (), {})


def test_a_page_shows_verdicts_and_figures_escaped() -> None:
    html = render(EMPTY, lambda: [Diagnostic("Novelty", "<b>all</b> new", ("n = 3 <i>",), True)])
    assert "Can the ranking be believed?" in html
    assert "&lt;b&gt;all&lt;/b&gt; new" in html
    assert "<li>n = 3 &lt;i&gt;</li>" in html
    assert "Can the ranking be believed?" not in render(EMPTY)


def test_a_diagnostic_that_fails_leaves_the_other_sections_standing() -> None:
    def fails() -> list[Diagnostic]:
        raise ZeroDivisionError("no")

    html = render(EMPTY, fails)
    assert "ZeroDivisionError: no" in html
    assert "Origin of every figure" in html


def test_the_report_of_an_empty_run_says_what_each_diagnostic_lacks(tmp_path: Path) -> None:
    folder, run = begin_run(tmp_path / "run", None, {"config": {}})
    with run:
        html = write_report(folder, run.view()).read_text("utf-8")
    for lacking in (
        "was not recorded",
        "0 cycles and 0 candidates",
        "0 programs with a text",
        "0 programs have a score",
    ):
        assert lacking in html
