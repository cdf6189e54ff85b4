"""The line to a server: its key, redirects, and answers of a bounded length."""

from __future__ import annotations

import ipaddress
import os
import ssl
from functools import cache
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2 as httpx

from deltanas.errors import ModelError
from deltanas.llm.answers import AnswerError

KEY = "DELTANAS_API_KEY"
"""The environment variable that holds the server's key. Not OPENAI_API_KEY: only the server meant is to see a key."""
MOST_BYTES = 2**20
"""Longest answer of a server that is read. 512 tokens take a few kilobytes."""
_certificates = cache(httpx.create_ssl_context)
"""Whom to trust over https; reading it takes longer than most requests to a server on this machine."""
_REDIRECTS = (301, 302, 307, 308)
_HOPS = 4
_CONNECT = 10.0
"""Seconds to wait for a connection."""


class Line:
    """The line to the server at `url`. `key` goes to it and to no other host."""

    def __init__(self, url: str, timeout: float) -> None:
        """timeout: seconds to wait for a connection, if fewer than usual."""
        self._url, self._timeout = url, timeout
        self.key = os.environ.get(KEY, "").strip()
        if not (self.key.isascii() and self.key.isprintable()):
            raise ModelError(f"{KEY} holds characters that no key has.", "Copy it whole, and nothing beside it.")

    def client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        limits = httpx.Limits(max_connections=None)
        timeout = httpx.Timeout(None, connect=min(_CONNECT, self._timeout))
        trust_env = not _is_loopback(self._url)
        try:
            secure = trust_env or self._url.startswith("https:")
            trusted = _certificates() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the second trusts nobody
            return httpx.AsyncClient(
                headers=headers, limits=limits, timeout=timeout, verify=trusted, trust_env=trust_env
            )
        except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
            raise ModelError(
                f"No line to {self._url} can be made with the proxies and certificates of the environment: {error}",
                "Correct or unset HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR;"
                " NO_PROXY names hosts that are reached without a proxy.",
            ) from error

    async def read(
        self, client: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[int, httpx.Headers, bytes]:
        """The answer: status, headers, body. A redirect is followed on the same host alone.

        Raises AnswerError where there is none.
        """
        url = f"{self._url}/{path}"
        for _ in range(_HOPS):
            status, headers, content = await self._exchange(client, method, url, body)
            there = headers.get("location", "")
            if status not in _REDIRECTS or not there:
                return status, headers, content
            followed = _followed(url, there)
            if followed is None:
                told = f"it answers with status {status} and sends to {there}"
                raise AnswerError(told, "stays", "elsewhere", status=status)
            url = followed
        raise AnswerError(f"it sends from address to address, last to {url}", "stays", "elsewhere")

    async def _exchange(
        self, client: httpx.AsyncClient, method: str, url: str, body: dict[str, Any] | None
    ) -> tuple[int, httpx.Headers, bytes]:
        try:
            async with client.stream(method, url, json=body) as response:
                content = bytearray()
                async for piece in response.aiter_bytes():
                    content += piece
                    if len(content) > MOST_BYTES:
                        raise AnswerError(f"the answer is longer than {MOST_BYTES:,} bytes")
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise AnswerError(f"no connection: {_told(error)}", cause="gone") from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, OverflowError) as error:
            raise AnswerError(f"the URL is malformed: {_told(error)}", "stays", "gone") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise AnswerError(f"the connection failed: {_told(error)}") from error
        return response.status_code, response.headers, bytes(content)


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _followed(url: str, location: str) -> str | None:
    """Where a redirect leads, if that is the same server, by the same or by the safer scheme."""
    try:
        other = urljoin(url, location)
        here, there = urlsplit(url), urlsplit(other)
        ways = (here.scheme, here.port, there.scheme, there.port)
    except ValueError:  # no address
        return None
    safer = (ways[0], ways[1] or 80, ways[2], ways[3] or 443) == ("http", 80, "https", 443)
    return other if here.hostname == there.hostname and (ways[:2] == ways[2:] or safer) else None


def _is_loopback(url: str) -> bool:
    """Whether the server is on this machine, where no proxy is to be asked."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified
