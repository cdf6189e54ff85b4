"""The page in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deltanas import report
from deltanas.program import Program
from deltanas.seams import Draft, RunView

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
    "--dump-dom",
)


def loaded(html: str, folder: Path) -> tuple[str, list[str]]:
    """The page as it is after its script ran, and what the console said."""
    file = folder / "page.html"
    file.write_text(html, "utf-8")
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / 'profile'}", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_console_stays_silent_and_planted_scripts_do_not_run(story: RunView, tmp_path: Path) -> None:
    program = story.candidates[-2].program
    assert program is not None
    planted = Program(f"{program.net}\n# </pre><script>document.title = 'planted'</script>", parent=program.parent)
    elite = replace(
        story.candidates[-2], draft=Draft(planted), strategy="<img src=x onerror=\"document.title='planted'\">"
    )
    view = replace(story, candidates=(*story.candidates[:-2], elite, story.candidates[-1]))
    dom, console = loaded(report.render(view), tmp_path)
    assert console == []
    assert "<title>a run · deltanas report</title>" in dom
    assert '<button type="button">Cycle</button>' in dom
    assert '<input type="search">' in dom


def test_the_policy_stops_a_script_that_is_not_ours(story: RunView, tmp_path: Path) -> None:
    html = report.render(story).replace("</body>", "<script>document.title = 'planted'</script></body>")
    dom, console = loaded(html, tmp_path)
    assert "<title>planted</title>" not in dom
    assert any("Content Security Policy" in line for line in console)


def test_the_table_sorts_and_filters(story: RunView, tmp_path: Path) -> None:
    driver = """<script>
      const table = document.querySelector("#candidates"), head = table.tHead.rows[0];
      const column = (n) => [...table.tBodies[0].rows].filter((r) => !r.hidden).map((r) => r.cells[n].textContent);
      const press = (n) => head.cells[n].querySelector("button").click();
      const said = [];
      press(8); said.push(column(8).join(" "), head.cells[8].ariaSort);
      press(8); said.push(column(8).join(" "), head.cells[8].ariaSort);
      press(3); said.push(column(3).join(" "), head.cells[8].ariaSort);
      const field = document.querySelector(".filter input");
      field.value = "TIMEOUT"; field.dispatchEvent(new Event("input")); said.push(column(3).join(" "));
      document.title = said.join("|");
    </script></body>"""
    html = re.sub(r"<meta http-equiv=[^>]*>", "", report.render(story)).replace("</body>", driver)
    dom, console = loaded(html, tmp_path)
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title is not None
    assert console == []
    rising = "80.00 81.00 82.00 82.00 84.00 86.00"
    blank = " " * 3
    assert title[1].split("|") == [
        f"86.00 84.00 82.00 82.00 81.00 80.00{blank}",
        "descending",
        f"{rising}{blank}",
        "ascending",
        "failed open refused trained trained trained trained trained trained",
        "",
        "failed",
    ]
