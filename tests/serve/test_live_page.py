"""`deltanas serve` as it is used: a real server, a real browser, a real search."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from browser import CHROMIUM, Browser
from deltanas.archive import begin_run
from deltanas.nets import baseline
from deltanas.program import Program, Refused, Trained
from deltanas.records import Attempt, Call, Candidate, Draft
from support import ARGUMENTS, journalled

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
DELTANAS = str(Path(sys.executable).with_name("deltanas"))
PLANTED = "</pre></script><script>document.title='planted'</script><img src=x onerror=\"document.title='planted'\">"


@contextmanager
def served(run: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server and its address, once it listens."""
    command = [DELTANAS, "serve", str(run), "--port", "0", *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server, server.stdout.readline().strip()
    finally:
        server.kill()
        server.communicate()


def test_the_page_follows_a_search_from_before_its_beginning_to_its_end(tmp_path: Path, browser: Browser) -> None:
    run = tmp_path / "run"
    with served(run) as (server, address):
        page = browser.open(address)
        assert "there is no run at" in page.until("document.querySelector('.notice')?.innerText")
        search = subprocess.Popen(
            [DELTANAS, *ARGUMENTS, str(run), "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while journalled(run) < 3:
                time.sleep(0.02)
            search.send_signal(signal.SIGSTOP)  # so that it is not over before a busy machine has drawn the page
            page.until("document.querySelectorAll('#candidates tbody tr').length > 2")
            assert page.run("document.querySelector('.pill').innerText") == "not finished"
            assert "No final scores yet" in page.run("document.querySelector('#finals').innerText")
            search.send_signal(signal.SIGCONT)
            page.until("document.querySelector('#control details') !== null", 60)  # a cycle has begun
            # What the reader did stays while the parts are replaced.
            page.run("""
                document.querySelector("#candidates thead button").click();
                field = document.querySelector(".filter input");
                field.value = "random"; field.dispatchEvent(new Event("input")); field.focus();
                void (document.querySelector("#control details").open = true);
            """)
            page.until("document.querySelector('.pill').innerText === 'finished'", 100)
        finally:
            search.kill()
            search.wait()
        rows = "[...document.querySelectorAll('#candidates tbody tr')]"
        assert page.run(f"{rows}.length") == 10
        cycles = page.run(f"{rows}.filter((row) => !row.hidden).map((row) => row.cells[0].innerText)")
        assert cycles == ["2"] * 4 + ["1"] * 4
        assert page.run("[document.activeElement.type, document.activeElement.value]") == ["search", "random"]
        assert page.run("document.querySelector('#control details').open")
        assert page.run("document.querySelectorAll('#finals tbody tr').length") >= 2
        browser.listen(0.2)
        assert browser.console == []
        assert {urlsplit(asked).netloc for asked in browser.requests} == {urlsplit(address).netloc}
        server.send_signal(signal.SIGINT)
        assert server.wait(10) == 0  # though a reader hangs on its stream
        page.until("document.querySelector('.live').innerText.startsWith('no connection')")
        page.close()


def planted(path: Path) -> None:
    """A finished run whose every text of a model or a candidate holds a script."""
    base = Program.of(baseline("mlp"))
    child = base.edited("net", f"{base.net}\nPLANTED = 1  # {PLANTED}\n")
    call = Call(PLANTED, PLANTED, PLANTED, 1, 1, 1.0)
    refusal = Refused("build", PLANTED)
    _, run = begin_run(path, None, {PLANTED: PLANTED})
    with run:
        score = Trained(0.5, 100, 0, 1.0, 1.0, "A")
        run.open([Candidate(0, 0, "baseline", None, Draft(base), (Attempt("", None, "", None),), name="mlp")])
        run.open(
            [
                Candidate(1, 0, PLANTED, base.id, Draft(child), (Attempt(PLANTED, "exact", PLANTED, None, (call,)),)),
                Candidate(1, 1, PLANTED, base.id, None, (Attempt(PLANTED, None, PLANTED, refusal, (call,)),), refusal),
            ]
        )
        run.record(0, 0, score, score)
        run.record(1, 0, Trained(0.75, 100, 0, 1.0, 1.0, "A"), Trained(0.75, 100, 0, 1.0, 1.0, "A"))
        run.finish()


def test_a_candidate_opens_nothing_planted_runs_and_the_token_lets_in(tmp_path: Path, browser: Browser) -> None:
    planted(tmp_path / "run")
    said, asked = len(browser.console), len(browser.requests)
    with served(tmp_path / "run", "--host", "0.0.0.0") as (_, printed):
        parts = urlsplit(printed)
        address = f"http://127.0.0.1:{parts.port}/"
        page = browser.open(f"{address}?{parts.query}")
        assert page.run("location.href") == address  # the token has gone into a cookie
        page.until("document.querySelector('.live').innerText === 'live'")
        page.run("document.querySelector('button[data-open=\"1.0\"]').focus()")
        page.press("Enter")
        text = page.until("document.querySelector('dialog[open]')?.innerText")
        assert f"+PLANTED = 1  # {PLANTED}" in text
        assert "class Net(nn.Module)" in text
        page.press("Escape")
        page.run("document.querySelector('button[data-open=\"1.1\"]').click()")
        text = page.until("document.querySelector('dialog[open]')?.innerText")
        assert f"Proposal 1, refused (build): {PLANTED}" in text
        browser.listen(0.3)
        assert page.run("document.title") == "run · deltanas report"
        assert page.run("document.querySelectorAll('img').length") == 0
        assert browser.console[said:] == []
        assert {urlsplit(each).netloc for each in browser.requests[asked:]} == {urlsplit(address).netloc}
        # Another browser, without the cookie.
        assert "holds the token" in stranger(address)
        page.close()


def stranger(address: str) -> str:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    with pytest.raises(HTTPError) as refused:
        urlopen(address, timeout=10)
    with refused.value as answer:
        assert answer.code == 403
        return answer.read().decode()
