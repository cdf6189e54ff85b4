"""`deltanas serve` of a folder of runs: who is let in, and the list in a real browser while searches write."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from browser import CHROMIUM, CONTRAST, Browser
from deltanas.archive import begin_run
from deltanas.nets import baseline
from deltanas.program import Program, Trained
from deltanas.records import Attempt, Candidate, Draft
from deltanas.serve.app import KEPT, Watch, Watches, application
from deltanas.serve.guard import Guard
from support import ARGUMENTS, Command, journalled

DELTANAS = str(Path(sys.executable).with_name("deltanas"))


class Still:
    """A run, or a list of runs, at which nothing happens."""

    def __init__(self, name: str, closed: list[str] | None = None) -> None:
        self.title, self.parts = name, {"top": f"<p>{name}</p>"}
        self._closed = closed if closed is not None else []

    def stamp(self) -> object:
        return self.title

    def draw(self) -> Still:
        return self

    def page(self, *, nonce: str, script: str, revision: str) -> str:
        return self.title

    def candidate(self, name: str) -> Mapping[str, object] | None:
        return {"of": self.title} if name == "1.0" else None

    def close(self) -> None:
        self._closed.append(self.title)


def asked(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of a server of the runs "one" and "a é"."""

    async def run() -> tuple[int, dict[str, str], str]:
        watch = Watch(Still("list"))
        watch.ended.set()  # a stream ends with its first look
        watches = Watches(lambda name: Still(name) if name in ("one", "a é") else None, watch.ended)
        said: list[Any] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        given = {"host": "127.0.0.1:1", **headers}
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()], "scheme": "http",
            "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2), "root_path": "", "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
        }  # fmt: skip
        await Guard(application(watch, watches), None, "deltanas-1")(scope, receive, send)
        watch.close()
        watches.close()
        names = {name.decode(): value.decode() for name, value in said[0]["headers"]}
        return said[0]["status"], names, b"".join(each.get("body", b"") for each in said[1:]).decode()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, "list"),
        ("/runs/one/", 200, "one"),
        ("/runs/a é/", 200, "a é"),
        ("/runs/one/candidates/1.0", 200, '{"of":"one"}'),
        ("/runs/one/candidates/9.9", 404, "no such candidate"),
        ("/runs/one/events", 200, ": welcome"),
        ("/runs/two/", 404, "there is nothing here"),
        ("/runs/two/events", 404, "there is nothing here"),
        ("/runs/two", 404, "there is nothing here"),
        ("/runs/../", 404, "there is nothing here"),
        ("/runs//etc/passwd", 404, "there is nothing here"),
        ("/runs/one/runs/one/", 404, "there is nothing here"),
    ],
)
def test_each_run_has_a_page_and_nothing_else_has(path: str, status: int, body: str) -> None:
    found, headers, text = asked(path)
    assert (found, headers["x-frame-options"]) == (status, "DENY")
    assert body in text
    assert asked(path, host="rebound.example")[0] == 421
    assert asked(path, "POST")[0] == 405
    assert asked(path, **{"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"})[0] == 403


def test_an_address_without_its_slash_leads_on() -> None:
    status, headers, _ = asked("/runs/a é")
    assert (status, headers["location"]) == (307, "a%20%C3%A9/")


def test_few_runs_are_held_open_and_those_that_are_read_always() -> None:
    async def read() -> None:
        closed: list[str] = []
        watches = Watches(lambda name: Still(name, closed), asyncio.Event())
        async with watches.reading("held") as first:
            for place in range(3 * KEPT):
                async with watches.reading(f"run-{place}") as watch:
                    await watch.latest()
            async with watches.reading("held") as again:
                assert again is first
                await again.latest()
        for _ in range(1000):
            await asyncio.sleep(0.01)
            if len(closed) >= 2 * KEPT:
                break
        assert {"run-0", "run-1", "run-2"} <= set(closed), (
            "those that were read longest ago; each is closed in a thread"
        )
        assert f"run-{3 * KEPT - 1}" not in closed
        assert "held" not in closed
        watches.close()

    asyncio.run(read())


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server of the folder `runs`, which holds a run that has ended and one that is broken."""
    base = Program.of(baseline("mlp"))
    _, run = begin_run(tmp_path / "runs" / "ended <b>", None, {"config": {"dataset": "digits", "strategy": "random"}})
    score = Trained(0.5, 100, 0, 1.0, 1.0, "A")
    with run:
        run.open([Candidate(0, 0, "baseline", None, Draft(base), (Attempt("", None, "", None),), name="mlp")])
        run.record(0, 0, score, score)
        child = Draft(base.edited("net", f"{base.net}\nx = 1\n"))
        run.open([Candidate(1, 0, "random", base.id, child, (Attempt("", None, "", None),))])
        run.record(1, 0, score, score)
        run.finish()
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "run.json").write_text("{")
    command = [DELTANAS, "serve", str(tmp_path / "runs"), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.send_signal(signal.SIGINT)
        _, said = server.communicate(timeout=30)
    assert said == "ended; what was served is as it was\n"


def cell(name: str, column: int) -> str:
    """Script: a cell of a run's row as text."""
    row = f"[...document.querySelectorAll('.runs tbody tr')].find((row) => row.cells[0].innerText === {name!r})"
    return f"{row}?.cells[{column}]?.innerText ?? ''"


@needs_browser
@pytest.mark.timeout(300)
def test_the_list_follows_its_runs_and_opens_each(
    tmp_path: Path, browser: Browser, address: str, deltanas: Command
) -> None:
    said, asked_for = len(browser.console), len(browser.requests)
    page = browser.open(address)
    page.until("document.querySelector('.live').innerText === 'live'")
    assert page.run(cell("ended <b>", 1)) == "finished"
    assert "run.json is damaged" in page.run(cell("broken", 2))
    page.run("""
        window.loaded = 1;
        [...document.querySelectorAll(".runs thead button")].at(-1).click();
        field = document.querySelector(".filter input");
        field.value = "n"; field.dispatchEvent(new Event("input")); field.focus();
    """)
    search = subprocess.Popen(
        [DELTANAS, *ARGUMENTS, str(tmp_path / "runs" / "new"), "--quiet"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while journalled(tmp_path / "runs" / "new") < 3:
            time.sleep(0.02)
        search.send_signal(signal.SIGSTOP)  # by now, as the page may look only after the whole search
        page.until(f"{cell('new', 1)} === 'running'", 100)
        page.until(f"{cell('new', 6)}.includes(' of 8')", 100)
        assert page.run("document.querySelector('.pill.running').innerText") == "1 running"
        search.kill()
        search.wait()
        page.until(f"{cell('new', 1)} === 'stopped'")
    finally:
        search.kill()
        search.wait()
    assert deltanas("search", "--run", tmp_path / "runs" / "new", "--quiet").returncode == 0
    page.until(f"{cell('new', 1)} === 'finished'")
    page.until(f"{cell('new', 6)}.startsWith('8\\n')")
    assert page.run("[window.loaded, document.activeElement.value]") == [1, "n"], "nothing was loaded anew"
    shutil.rmtree(tmp_path / "runs" / "broken")
    page.until(f"{cell('broken', 1)} === ''")
    page.run("[...document.querySelectorAll('.runs a')].find((link) => link.innerText === 'ended <b>').click()")
    page.until("document.querySelector('#candidates') !== null")
    assert page.run("document.querySelector('h1').innerText") == "ended <b>"
    page.until("document.querySelector('.live').innerText === 'live'")
    page.run("document.querySelector('button[data-open=\"1.0\"]').click()")
    assert "class Net(nn.Module)" in page.until("document.querySelector('dialog[open]')?.innerText")
    page.run("document.querySelector('.home a').click()")
    page.until("document.querySelector('.runs') !== null")
    browser.listen(0.2)
    assert browser.console[said:] == []
    assert {urlsplit(each).netloc for each in browser.requests[asked_for:]} == {urlsplit(address).netloc}
    page.close()


@needs_browser
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (375, "light")])
def test_contrast_names_and_width(browser: Browser, address: str, width: int, scheme: str) -> None:
    page = browser.open(address, width, 800)
    page.prefer(scheme)
    page.resize(width, 800, phone=width < 600)
    assert page.run(CONTRAST) == []
    assert page.run("document.documentElement.scrollWidth") <= width
    if width > 600:
        assert page.run(
            "document.querySelector('.scroll').scrollWidth <= document.querySelector('.scroll').clientWidth"
        )
    page.run("[...document.querySelectorAll('.runs thead button')].forEach((button) => button.click())")
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    named = [node for node in tree if node["role"]["value"] in {"button", "link", "searchbox", "region", "table"}]
    assert len(named) > 10
    assert [node for node in named if not node["ignored"] and not node["name"]["value"]] == []
    page.close()
