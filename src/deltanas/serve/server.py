"""The server: where it listens, what it prints, how it ends."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from deltanas.errors import DeltanasError
from deltanas.serve.app import Opens, Run, Watch, Watches, application
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


def serve(run: Run, host: str, port: int, ready: Callable[[str], None], opens: Opens | None = None) -> None:
    """Serve the page of a run, or of a list of runs, until SIGINT (KeyboardInterrupt is raised then) or SIGTERM.

    Args:
        host: where to listen. Off the loopback every reader must show a token, which is made here.
        port: 0 takes a free one.
        opens: a run of the list by its name, for the page of its own.
        ready: told the address to open, with its token, as soon as the server listens.

    Raises DeltanasError if it can't listen there.
    """
    with listening(host, port) as listener:
        asyncio.run(_served(run, host, listener, ready, opens))


async def _served(
    run: Run, host: str, listener: socket.socket, ready: Callable[[str], None], opens: Opens | None
) -> None:
    watch, loop = Watch(run), asyncio.get_running_loop()
    watches = None if opens is None else Watches(opens, watch.ended)
    port = listener.getsockname()[1]
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    config = uvicorn.Config(
        Guard(application(watch, watches), token, f"deltanas-{port}"),
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
        if watches is not None:
            watches.close()


def listening(host: str, port: int) -> socket.socket:
    """Raises DeltanasError where it can't be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        unknown = isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL
        hint = (
            "--host takes an address of this machine; 0.0.0.0: all of them" if unknown else "--port 0 takes a free one"
        )
        raise DeltanasError(f"can't listen on {host}, port {port}: {error}", hint) from None
    return listener


def _address(host: str, port: int, token: str | None) -> str:
    everywhere = host in ("0.0.0.0", "::", "[::]")  # noqa: S104 - compared, not bound
    name = socket.gethostname() if everywhere else host
    name = f"[{name}]" if ":" in name and not name.startswith("[") else name
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
