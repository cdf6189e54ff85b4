"""The page in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from browser import CHROMIUM, CONTRAST, Browser
from deltanas import report
from deltanas.program import Program, Trained
from deltanas.records import Attempt, Candidate, Draft, RunView

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


def saved(html: str, folder: Path) -> str:
    file = folder / "page.html"
    file.write_text(html, "utf-8")
    return file.as_uri()


def test_nothing_is_asked_for_or_complained_of_and_planted_scripts_do_not_run(
    story: RunView, tmp_path: Path, browser: Browser
) -> None:
    best = story.candidates[-2]
    assert best.program is not None
    script = "<script>document.title = 'planted'</script><img src=x onerror=\"document.title='planted'\">"
    planted = Program.of(f"{best.program.net}\n# </pre></script>{script}", parents=best.program.parents)
    elite = replace(best, draft=Draft(planted), strategy=script)
    view = replace(story, candidates=(*story.candidates[:-2], elite, story.candidates[-1]))
    view = replace(view, programs=view.programs | {planted.id: planted})
    address = saved(report.render(view), tmp_path)
    said, asked = len(browser.console), len(browser.requests)
    page = browser.open(address)
    page.run("document.querySelector('#candidates').closest('details').open = true")
    page.run("document.querySelector('button[data-open=\"2.0\"]').click()")
    text = page.until("document.querySelector('dialog[open]')?.innerText")
    assert "Difference from its parent" in text
    assert f"+# </pre></script>{script}" in text
    browser.listen(0.2)
    assert page.run("document.title") == "a run · deltanas report"
    assert browser.console[said:] == []
    assert browser.requests[asked:] == [address]
    page.close()


def test_the_policy_stops_a_script_that_is_not_ours(story: RunView, tmp_path: Path, browser: Browser) -> None:
    html = report.render(story).replace("</body>", "<script>document.title = 'planted'</script></body>")
    said = len(browser.console)
    page = browser.open(saved(html, tmp_path))
    assert page.run("document.title") == "a run · deltanas report"
    assert any("Content Security Policy" in line for line in browser.console[said:])
    page.close()


def test_the_table_sorts_and_filters_by_keyboard(story: RunView, tmp_path: Path, browser: Browser) -> None:
    page = browser.open(saved(report.render(story), tmp_path))
    page.run("""
      head = document.querySelector("#candidates").tHead.rows[0];
      column = (n) => [...document.querySelector("#candidates").tBodies[0].rows]
        .filter((r) => !r.hidden).map((r) => r.cells[n].innerText.trim()).join(" ").trim();
      void document.querySelector(".filter input").focus();
    """)
    page.press("Tab", 2)  # the box that scrolls, then the first heading
    assert page.run("document.activeElement.innerText").startswith("Cycle")
    page.press("Tab", 8)
    page.press("Enter")
    assert page.run("[column(8), head.cells[8].ariaSort]") == ["86.00 84.00 82.00 82.00 81.00 80.00", "descending"]
    page.press(" ")
    assert page.run("[column(8), head.cells[8].ariaSort]") == ["80.00 81.00 82.00 82.00 84.00 86.00", "ascending"]
    page.run("head.cells[3].querySelector('button').click()")
    assert page.run("column(3)") == "failed open refused trained trained trained trained trained trained"
    page.run(
        "(field = document.querySelector('.filter input')).value = 'TIMEOUT'; field.dispatchEvent(new Event('input'))"
    )
    assert page.run("column(3)") == "failed"
    page.run("document.querySelector('tr:not([hidden]) [data-open]').focus()")
    page.press("Enter")
    assert "60 s are over" in page.until("document.querySelector('dialog[open]')?.innerText")
    page.press("Escape")
    assert page.run("[document.querySelector('dialog').open, document.activeElement.dataset.open]") == [False, "1.3"]
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (375, "light")])
def test_contrast_names_and_width(story: RunView, tmp_path: Path, browser: Browser, width: int, scheme: str) -> None:
    verdicts = [
        report.Diagnostic("Novelty", "3 clusters", ("a figure",), True),
        report.Diagnostic("NLL", "No.", (), False),
    ]
    html = report.render(story, lambda: verdicts, [replace(story, name="another run")])
    page = browser.open(saved(html, tmp_path), width, 800)
    page.prefer(scheme)
    page.resize(width, 800, phone=width < 600)
    page.run("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert page.run(CONTRAST) == []
    assert page.run("document.documentElement.scrollWidth") <= width
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    named = [
        node for node in tree if node["role"]["value"] in {"button", "link", "searchbox", "region", "table", "image"}
    ]
    assert len(named) > 40
    assert [node for node in named if not node["ignored"] and not node["name"]["value"]] == []
    page.run("document.querySelector('button[data-open=\"1.2\"]').click()")
    page.until("document.querySelector('dialog').open")
    assert page.run(CONTRAST) == []
    page.close()


def test_on_paper_the_steps_are_open_and_nothing_scrolls(story: RunView, tmp_path: Path, browser: Browser) -> None:
    page = browser.open(saved(report.render(story), tmp_path), 700)
    page.prefer("dark", "print")
    page.run("dispatchEvent(new Event('beforeprint'))")
    assert page.run("[...document.querySelectorAll('details.edge')].map((each) => each.open)") == [True, True]
    assert page.run("getComputedStyle(document.querySelector('nav')).display") == "none"
    boxes = "[...document.querySelectorAll('.code')].filter((box) => box.checkVisibility())"
    assert page.run(f"{boxes}.length") > 2
    assert page.run(f"{boxes}.filter((box) => box.scrollWidth > box.clientWidth + 1).length") == 0
    assert page.run("document.documentElement.scrollWidth") <= 700
    assert page.run("getComputedStyle(document.querySelector('section')).backgroundColor") == "rgb(255, 255, 255)"
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.run("document.querySelectorAll('details.edge[open]').length") == 0
    page.close()


def test_two_thousand_candidates_open_within_two_seconds(
    make_view: Callable[..., RunView], tmp_path: Path, browser: Browser
) -> None:
    first = Program.of("x = 0")
    rows = [Candidate(0, 0, "baseline", None, Draft(first), (), Trained(0.6, 1000, 0, 1.0, 1.0, "A"))]
    for place in range(2_000):
        score = Trained(0.5 + (place * 7919 % 480) / 1000, 1000, 0, 1.0, 1.0, "A")
        attempts = (Attempt("an edit", "exact", "widen it", None),)
        draft = Draft(Program.of(f"x = {place}"), 1_000 + place)
        rows.append(Candidate(1 + place // 100, place % 100, "delta", first.id, draft, attempts, score))
    address = saved(report.render(make_view(rows)), tmp_path)
    page = browser.open("about:blank")
    assert page.cost(lambda: page.go(address)) < 2
    table = "document.querySelector('#candidates')"
    assert page.cost(lambda: page.run(f"{table}.closest('details').open = true")) < 2
    assert page.cost(lambda: page.run(f"{table}.querySelector('thead button').click()")) < 2
    assert page.run(f"{table}.tBodies[0].rows.length") == 2_001
    assert page.run(f"[...{table}.tBodies[0].rows].filter((row) => !row.hidden).length") == 200
    page.run("document.querySelector('.more').click()")
    assert page.run(f"[...{table}.tBodies[0].rows].filter((row) => !row.hidden).length") == 2_001
    page.close()
