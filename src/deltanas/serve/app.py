"""The routes: the page, the stream of its parts as they change, the texts of a candidate; of a folder's runs, each."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import resources
from time import monotonic
from typing import Protocol, TypeVar
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import BaseRoute, Mount, Route

PAUSE = 0.5
"""Seconds between two looks at the run."""
SHARE = 6
"""Length of the pause after a drawing, in durations of that drawing: the search needs the processor."""
SILENCE = 10.0
"""Seconds after which an idle stream says that it is alive, and so learns of readers that are gone."""
KEPT = 8
"""Number of a folder's runs that are held open, more only while they are read."""
Value = TypeVar("Value")


class Snapshot(Protocol):
    """A run's page at one moment. `parts`: HTML by the name of the element that holds it, every text escaped."""

    @property
    def title(self) -> str: ...
    @property
    def parts(self) -> Mapping[str, str]: ...
    def page(self, *, nonce: str, script: str, revision: str) -> str: ...
    def candidate(self, name: str) -> Mapping[str, object] | None:
        """What there is to read of the candidate "cycle.index", fit for JSON."""


class Run(Protocol):
    """What is served. All its methods are called from one thread, and change nothing.

    `stamp` is cheap and gives another value whenever `draw` would.
    """

    def stamp(self) -> object: ...
    def draw(self) -> Snapshot: ...
    def close(self) -> None:
        """Give back what it holds open; it may be asked again."""


Opens = Callable[[str], Run | None]
"""The run that a list calls so, None if there is none. Called from any thread."""


class Watch:
    """The latest snapshot, drawn only where somebody asks, and the revision in which each part last changed."""

    def __init__(self, run: Run, ended: asyncio.Event | None = None) -> None:
        """ended: set when the server ends."""
        self._run = run
        self._thread = ThreadPoolExecutor(1, "archive")  # a connection to an archive is one thread's
        self._lock = asyncio.Lock()
        self._stamp: object = None
        self._rests_until = 0.0
        self._born = secrets.token_hex(4)  # readers of an earlier server know other revisions
        self._number = 0
        self._changed: dict[str, int] = {}
        self._latest: Snapshot | None = None
        self.readers = 0
        self.ended = ended or asyncio.Event()

    @property
    def revision(self) -> str:
        return f"{self._born}-{self._number}"

    async def latest(self, *, now: bool = False) -> Snapshot:
        """now: do not wait for the pause after the last drawing to end."""
        async with self._lock:
            stamp = await self._called(self._run.stamp)
            due = self._latest is None or stamp != self._stamp
            if self._latest is None or (due and (now or monotonic() >= self._rests_until)):
                began = monotonic()
                drawn = await self._called(self._run.draw)
                self._rests_until = monotonic() + SHARE * (monotonic() - began)
                before = self._latest.parts if self._latest else {}
                self._stamp, self._latest = stamp, drawn
                if changed := [name for name, html in drawn.parts.items() if before.get(name) != html]:
                    self._number += 1
                    self._changed |= dict.fromkeys(changed, self._number)
            return self._latest

    def since(self, revision: str) -> dict[str, str]:
        """The parts that changed after a revision."""
        born, _, number = revision.partition("-")
        known = int(number) if born == self._born and number.isdecimal() else 0
        parts = self._latest.parts if self._latest else {}
        return {name: parts[name] for name, changed in self._changed.items() if changed > known and name in parts}

    async def _called(self, method: Callable[[], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._thread, method)

    async def pause(self, seconds: float) -> None:
        """Less than that if the server ends."""
        try:
            await asyncio.wait_for(self.ended.wait(), seconds)
        except TimeoutError:
            return

    def close(self) -> None:
        self._thread.submit(self._run.close)
        self._thread.shutdown(wait=False)


class Watches:
    """Of the runs of a folder, those that are read, and some that were read last."""

    def __init__(self, opens: Opens, ended: asyncio.Event) -> None:
        self._opens, self._ended = opens, ended
        self._open: dict[str, Watch] = {}

    @asynccontextmanager
    async def reading(self, name: str) -> AsyncIterator[Watch]:
        """Raises HTTPException 404 if there is no such run."""
        watch = self._open.pop(name, None)
        if watch is None:
            run = await asyncio.to_thread(self._opens, name)
            if run is None:
                raise HTTPException(404)
            watch = self._open.pop(name, None) or Watch(run, self._ended)  # another reader may have been quicker
        self._open[name] = watch
        watch.readers += 1
        try:
            idle = [known for known, each in self._open.items() if not each.readers]
            for known in idle[: max(0, len(self._open) - KEPT)]:
                self._open.pop(known).close()
            yield watch
        finally:
            watch.readers -= 1

    def close(self) -> None:
        for watch in self._open.values():
            watch.close()


Reading = Callable[[Request], AbstractAsyncContextManager[Watch]]
"""What a request is about."""


def application(watch: Watch, watches: Watches | None = None) -> Starlette:
    """watches: the runs that `watch` lists, each with a page of its own at "runs/NAME/"."""

    @asynccontextmanager
    async def first(_: Request) -> AsyncIterator[Watch]:
        yield watch

    def one(request: Request) -> AbstractAsyncContextManager[Watch]:
        assert watches is not None
        return watches.reading(request.path_params["run"])

    async def nothing(_: Request, __: Exception) -> Response:
        return PlainTextResponse("there is nothing here\n", 404)

    async def slash(request: Request) -> Response:
        async with one(request):
            return RedirectResponse(f"{quote(request.path_params['run'], safe='')}/", 307)

    routes = _routes(first)
    if watches is not None:
        routes += [Route("/runs/{run}", slash), Mount("/runs/{run}", routes=_routes(one))]
    return Starlette(routes=routes, exception_handlers={404: nothing})


def _routes(reading: Reading) -> list[BaseRoute]:
    script = resources.files("deltanas.serve").joinpath("live.js").read_text("utf-8")

    async def home(request: Request) -> Response:
        async with reading(request) as watch:
            snapshot = await watch.latest(now=True)
            revision = watch.revision
        nonce = secrets.token_urlsafe(16)
        html = snapshot.page(nonce=nonce, script=script, revision=revision)
        body = html.encode("utf-8", "replace")  # a name of a file may be no UTF-8
        return HTMLResponse(body, headers={"Content-Security-Policy": policy(nonce)})

    async def events(request: Request) -> Response:
        revision = request.headers.get("last-event-id") or request.query_params.get("since", "")

        async def told() -> AsyncIterator[str]:
            async with reading(request) as watch:
                async for each in changes(watch, revision):
                    yield each

        async with reading(request):  # what is not there is said before the stream begins
            return StreamingResponse(told(), media_type="text/event-stream")

    async def candidate(request: Request) -> Response:
        async with reading(request) as watch:
            found = (await watch.latest()).candidate(request.path_params["name"])
        if found is None:
            return JSONResponse({"error": "the run holds no such candidate"}, 404)
        return JSONResponse(dict(found))

    return [Route("/", home), Route("/events", events), Route("/candidates/{name}", candidate)]


def policy(nonce: str) -> str:
    """The content security policy of the page: its own script and style, and requests to this server alone."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


async def changes(watch: Watch, revision: str) -> AsyncIterator[str]:
    """Server-sent events: the parts that are newer than `revision`, now and whenever there are some."""
    yield ": welcome\n\n"
    said = monotonic()
    while not watch.ended.is_set():
        snapshot = await watch.latest()
        if parts := watch.since(revision):
            revision = watch.revision
            data = json.dumps({"title": snapshot.title, "parts": parts})
            yield f"event: parts\nid: {revision}\ndata: {data}\n\n"
            said = monotonic()
        elif monotonic() - said > SILENCE:
            yield ": still here\n\n"
            said = monotonic()
        await watch.pause(PAUSE)
