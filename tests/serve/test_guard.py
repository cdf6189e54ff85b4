"""Who is let in, asked of the application itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from deltanas.cli.serve import serve
from deltanas.errors import DeltanasError, UsageError
from deltanas.serve.app import Watch, application
from deltanas.serve.guard import Guard, is_loopback
from deltanas.serve.server import _address, listening

TOKEN = "a-token-of-the-test"


class Still:
    """A run and its page in one, at which nothing happens unless a test says so."""

    title = "still"

    def __init__(self) -> None:
        self.parts = {"top": "<p>first</p>", "table": "<p>rows</p>"}
        self.drawn = 0

    def stamp(self) -> object:
        return tuple(self.parts.values())

    def draw(self) -> Still:
        self.drawn += 1
        copy = Still()
        copy.parts = dict(self.parts)
        return copy

    def close(self) -> None:
        """Nothing is open."""

    def page(self, *, nonce: str, script: str, revision: str) -> str:
        return f"<script nonce={nonce}>{len(script) > 100}</script>{revision}"

    def candidate(self, name: str) -> Mapping[str, object] | None:
        return {"name": name} if name == "1.0" else None


Answer = tuple[int, dict[str, str], str]
"""Status, headers and body."""


def asked(path: str, *, token: str | None = None, method: str = "GET", **headers: str) -> Answer:
    async def run() -> Answer:
        watch = Watch(Still())
        watch.ended.set()  # a stream ends with its first look
        guard = Guard(application(watch), token, "deltanas-1")
        target, _, query = path.partition("?")
        given = {"host": "127.0.0.1:1", **headers}
        scope = {
            "type": "http", "method": method, "path": unquote(target), "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()], "scheme": "http",
            "server": ("127.0.0.1", 1), "client": ("127.0.0.1", 2), "root_path": "", "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
        }  # fmt: skip
        said: list[Any] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        await guard(scope, receive, send)
        watch.close()
        names = {name.decode(): value.decode() for name, value in said[0]["headers"]}
        return said[0]["status"], names, b"".join(each.get("body", b"") for each in said[1:]).decode()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8642", 200),
        ("localhost:9000", 200),
        ("[::1]:8642", 200),
        ("rebound.example:8642", 421),
        ("127.0.0.1.rebound.example", 421),
        ("localhost.rebound.example:8642", 421),
        ("192.168.1.7:8642", 421),
        ("[::1].rebound.example", 421),
        ("", 421),
    ],
)
def test_on_the_loopback_the_host_must_be_this_machine(host: str, status: int) -> None:
    assert asked("/", host=host)[0] == status
    assert asked("/candidates/1.0", host=host)[0] == status


@pytest.mark.parametrize(
    ("path", "cookie", "status"),
    [
        ("/", "", 403),
        ("/events", "", 403),
        ("/candidates/1.0", "", 403),
        ("/?token=wrong", "", 403),
        ("/?token=\u00e9", "", 403),
        ("/", "deltanas-1=wrong", 403),
        ("/", f"deltanas-2={TOKEN}", 403),
        ("/", f"deltanas-1={TOKEN}", 200),
        (f"/?token={TOKEN}", "", 303),
    ],
)
def test_elsewhere_a_token_is_asked_for(path: str, cookie: str, status: int) -> None:
    assert asked(path, token=TOKEN, host="anything.example", cookie=cookie)[0] == status


@pytest.mark.parametrize("path", ["/runs/a%3Fb/", "/runs/100%25/", "/runs/%E7%8C%AB%23/"])
def test_a_token_leaves_the_rest_of_the_address_as_it_is(path: str) -> None:
    _, headers, _ = asked(f"{path}?token={TOKEN}", token=TOKEN)
    assert headers["location"] == path


def test_a_token_moves_from_the_address_into_a_cookie_and_stays_on_this_server() -> None:
    _, headers, _ = asked(f"//evil.example/?a=1&token={TOKEN}", token=TOKEN)
    assert headers["location"] == "/evil.example/?a=1"
    assert headers["set-cookie"] == f"deltanas-1={TOKEN}; HttpOnly; Path=/; SameSite=lax"


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [
        ("none", "navigate", 200),
        ("same-origin", "cors", 200),
        ("cross-site", "navigate", 200),
        ("cross-site", "no-cors", 403),
        ("same-site", "cors", 403),
    ],
)
def test_pages_of_other_sites_may_link_here_and_nothing_more(site: str, mode: str, status: int) -> None:
    assert asked("/", **{"sec-fetch-site": site, "sec-fetch-mode": mode})[0] == status


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(method: str) -> None:
    assert asked("/", method=method)[0] == 405


def test_every_page_has_a_nonce_of_its_own_and_every_answer_the_headers() -> None:
    nonces = []
    for path, status in (("/", 200), ("/", 200), ("/nowhere", 404), ("/candidates/1.0", 200), ("/candidates/9", 404)):
        found, headers, body = asked(path)
        assert found == status
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        if nonce := re.search(r"script-src 'nonce-([^']+)'", headers["content-security-policy"]):
            assert f"nonce={nonce[1]}>" in body
            nonces.append(nonce[1])
    assert len(set(nonces)) == 2


def test_a_reader_gets_the_parts_that_changed_since_what_it_has() -> None:
    async def follow() -> None:
        run = Still()
        watch = Watch(run)
        await watch.latest(now=True)
        first = watch.revision
        assert set(watch.since("")) == {"top", "table"}
        assert set(watch.since("another-server-7")) == {"top", "table"}
        assert watch.since(first) == {}
        run.parts["top"] = "<p>second</p>"
        await watch.latest(now=True)
        assert watch.since(first) == {"top": "<p>second</p>"}
        await watch.latest(now=True)
        assert run.drawn == 2  # nothing is drawn where nothing changed
        watch.close()

    asyncio.run(follow())


def test_what_is_the_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.example.org", "")))


def test_addresses_hold_the_token_where_there_is_one() -> None:
    assert _address("127.0.0.1", 8642, None) == "http://127.0.0.1:8642/"
    assert _address("::1", 80, None) == "http://[::1]:80/"
    assert _address("10.0.0.1", 80, "t") == "http://10.0.0.1:80/?token=t"


def test_a_folder_of_something_else_is_no_run_to_wait_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UsageError, match="is not a run"):
        serve(tmp_path)


def test_a_port_that_is_taken_is_said() -> None:
    with listening("127.0.0.1", 0) as taken, pytest.raises(DeltanasError, match="--port 0 takes a free one"):
        listening("127.0.0.1", taken.getsockname()[1])
