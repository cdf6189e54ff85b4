"""Who may read: no foreign Host on the loopback, a token anywhere else, nothing but GET; the headers of an answer."""

from __future__ import annotations

import hmac
import ipaddress
import re
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::\d+)?")
_NO_POLICY = "default-src 'none'; frame-ancestors 'none'"


def is_loopback(host: str) -> bool:
    """Can only this machine reach the address? A name other than localhost may point anywhere."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Guard:
    """Answers in place of `app` where the request is not allowed.

    token: must be shown by each reader, once as `?token=` and from then on by a cookie. None on the loopback: what
    guards there is that a request must name this machine in its Host header, which a page of another site whose name
    was made to point here (DNS rebinding) can't.
    cookie: its name; cookies are shared by all ports of a host, so the name holds the port.
    """

    app: ASGIApp
    token: str | None
    cookie: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", _NO_POLICY)
            await send(message)

        answer = self._refusal(scope) or self._entry(scope)
        await (answer or self.app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] != "GET":
            return PlainTextResponse("read-only\n", 405, {"Allow": "GET"})
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _is_opened(headers):
            return PlainTextResponse("asked for by the page of another site\n", 403)
        if self.token is None:
            if is_loopback(_host(headers.get("host", ""))):
                return None
            return PlainTextResponse("this server answers to localhost alone\n", 421)
        if self._equal(_shown(scope)) or self._equal(self._remembered(headers)):
            return None
        return PlainTextResponse("open the address that `deltanas serve` printed: it holds the token\n", 403)

    def _entry(self, scope: Scope) -> Response | None:
        """A right token in the address moves into a cookie: addresses are kept in histories and seen on screens."""
        if self.token is None or not _shown(scope):
            return None
        rest = {name: values for name, values in _query(scope).items() if name != "token"}
        place = quote(scope["path"].lstrip("/")) + (f"?{urlencode(rest, doseq=True)}" if rest else "")
        answer = RedirectResponse(f"/{place}", 303)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="lax")
        return answer

    def _remembered(self, headers: Headers) -> str:
        try:
            held = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return held.value if held else ""

    def _equal(self, shown: str) -> bool:
        return self.token is not None and hmac.compare_digest(shown.encode(), self.token.encode())


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope["query_string"].decode("latin-1"))


def _shown(scope: Scope) -> str:
    return _query(scope).get("token", [""])[-1]


def _is_opened(headers: Headers) -> bool:
    """A link that was followed, not a script or a picture that another page wants."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"


def _host(header: str) -> str:
    """The Host header without its port; "" where it is none."""
    found = _HOST.fullmatch(header)
    return found[1] if found else ""
