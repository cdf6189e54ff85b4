"""Contact sheets in a real browser: they load, fit a phone, and each has a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser import CHROMIUM, CONTRAST, Browser
from deltanas import report
from deltanas.records import RunView
from transformed_run import BOTH, FLIP, with_transforms

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_the_sheets_are_seen(story: RunView, tmp_path: Path, browser: Browser, width: int, scheme: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(report.render(with_transforms(story, FLIP, BOTH)), "utf-8")
    said, asked = len(browser.console), len(browser.requests)
    page = browser.open(file.as_uri(), width, 800)
    page.prefer(scheme)
    page.resize(width, 800, phone=width < 600)
    sheets = "[...document.querySelectorAll('.sheets img')]"
    assert page.until(f"{sheets}.length == 2 && {sheets}.every((each) => each.complete)")
    assert page.run(f"{sheets}.map((each) => each.naturalWidth)") == [44, 44]
    assert page.run(f"{sheets}.every((each) => each.getBoundingClientRect().right <= {width})")
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run(CONTRAST) == []
    named = [
        node["name"]["value"]
        for node in page.call("Accessibility.getFullAXTree")["nodes"]
        if node["role"]["value"] == "image" and not node["ignored"]
    ]
    assert sum("transform of policy" in name for name in named) == 2
    assert browser.console[said:] == []
    assert {each for each in browser.requests[asked:] if not each.startswith("data:")} == {file.as_uri()}
    page.close()
