"""An OpenAI-compatible server on loopback that answers as it is told, faults included."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from deltanas.llm import Model, open_model

Say = Callable[["Handler", dict[str, Any]], None]


def completion(text: str | None, *, end: str = "stop", usage: tuple[int, int] | None = (7, 3)) -> dict[str, Any]:
    counted = {"prompt_tokens": usage[0], "completion_tokens": usage[1]} if usage else None
    choice = {"index": 0, "finish_reason": end, "message": {"role": "assistant", "content": text}}
    return {"object": "chat.completion", "choices": [choice], **({"usage": counted} if counted else {})}


def says(text: str | None, **options: Any) -> Say:
    return lambda handler, _: handler.send(200, json.dumps(completion(text, **options)))


def answers(status: int, body: str, **headers: str) -> Say:
    return lambda handler, _: handler.send(status, body, headers=headers)


def hang(handler: Handler, _: dict[str, Any]) -> None:
    handler.server.over.wait(60)


def drop(handler: Handler, _: dict[str, Any]) -> None:
    handler.connection.close()


def drop_half_way(handler: Handler, _: dict[str, Any]) -> None:
    handler.send(200, json.dumps(completion("half")), cut=20)


def trickle(handler: Handler, _: dict[str, Any]) -> None:
    """A byte now and then, so that no single wait is long."""
    handler.send(200, "", length=1000)
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.over = threading.Event()
        self.plan: list[Say] = []
        self.otherwise: Say = says("yes")
        self.listing: dict[str, Any] = {"data": []}
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.under_way: Counter[str] = Counter()
        self.most_under_way = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def spec(self) -> str:
        return f"openai:{self.url}#some/model"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.send(200, json.dumps(self.server.listing))

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.bodies.append(body)
            server.keys.append(self.headers.get("Authorization"))
            say = server.plan.pop(0) if server.plan else server.otherwise
            server.under_way["now"] += 1
            server.most_under_way = max(server.most_under_way, server.under_way["now"])
        try:
            say(self, body)
        finally:
            server.under_way["now"] -= 1

    def send(
        self,
        status: int,
        body: str | bytes,
        *,
        cut: int | None = None,
        length: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content[:cut])
        if cut is not None:
            self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


def slowly(say: Say, seconds: float = 0.3) -> Say:
    def wait(handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(seconds)
        say(handler, body)

    return wait


def opened(server: Server, *, timeout: float = 5.0, retries: int = 0) -> Model:
    """The model behind it; what was asked to open it is forgotten."""
    model = open_model(server.spec, timeout=timeout, retries=retries)
    server.bodies.clear()
    return model


@contextmanager
def running_server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()
