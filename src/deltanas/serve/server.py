"""The server: where it listens, what it prints, how it ends."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from deltanas.errors import DeltanasError
from deltanas.serve.app import Run, Watch, application
from deltanas.serve.guard import Guard, is_loopback

GRACE = 2
"""Seconds that answers under way have to end."""


class _Server(uvicorn.Server):
    """Streams never end by themselves: they are told before the server waits for them."""

    def __init__(self, config: uvicorn.Config, end: Callable[[], object]) -> None:
        super().__init__(config)
        self._end = end

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._end()
        super().handle_exit(sig, frame)


def serve(run: Run, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve the page of a run until SIGINT (KeyboardInterrupt is raised then) or SIGTERM.

    Args:
        host: where to listen. Off the loopback every reader must show a token, which is made here.
        port: 0 takes a free one.
        ready: told the address to open, with its token, as soon as the server listens.

    Raises DeltanasError if it can't listen there.
    """
    with _listening(host, port) as listener:
        asyncio.run(_served(run, host, listener, ready))


async def _served(run: Run, host: str, listener: socket.socket, ready: Callable[[str], None]) -> None:
    watch, loop = Watch(run), asyncio.get_running_loop()
    port = listener.getsockname()[1]
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    config = uvicorn.Config(
        Guard(application(watch), token, f"deltanas-{port}"),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=GRACE,
    )
    server = _Server(config, lambda: loop.call_soon_threadsafe(watch.ended.set))
    ready(_address(host, port, token))
    try:
        await server.serve(sockets=[listener])
    finally:
        watch.close()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise DeltanasError(f"can't listen on {host}, port {port}: {error}", "--port 0 takes a free one") from None
    return listener


def _address(host: str, port: int, token: str | None) -> str:
    everywhere = host in ("0.0.0.0", "::", "[::]")  # noqa: S104 - compared, not bound
    name = socket.gethostname() if everywhere else host
    name = f"[{name}]" if ":" in name and not name.startswith("[") else name
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
