"""Patches as they are mailed: `git format-patch`, mbox files of several, and the encodings that mail puts on them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email import message_from_string
from itertools import islice

_FROM = re.compile(r"From [0-9a-f]{7,64} |From \S+ +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) |commit [0-9a-f]{7,64}\b")
"""The line that begins a mail of an mbox file, or a commit of a log."""
_HEADER = re.compile(r"([A-Za-z][\w-]*):(?:[ \t]|$)")
_ENCODED = re.compile(r"quoted-printable|base64", re.IGNORECASE)
_PATCH_FILE = (".patch", ".diff")


def patches(text: str) -> list[str]:
    """The patches of a series, each to be applied to what the one before it made; `[text]` where it is no mail."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    starts = [number for number in range(len(lines)) if _begins(lines, number)]
    if not starts:
        return [text]
    ends = [*starts[1:], len(lines)]
    found = [_read(lines[start:end]) for start, end in zip(starts, ends, strict=True)]
    return ["\n".join(lines[: starts[0]]), *found] if starts[0] else found


def _begins(lines: list[str], number: int) -> bool:
    """Whether a mail begins here: at its `From ` line, or at headers without one."""
    if _FROM.match(lines[number]):
        return True
    above = lines[number - 1] if number else ""
    if above.strip() or not _HEADER.match(lines[number]):
        return False
    return {"from", "subject"} <= set(_headers(islice(lines, number, None)))


def _headers(lines: Iterable[str]) -> dict[str, str]:
    """The headers that `lines` begin with, up to an empty line, by name; a long one goes on in indented lines."""
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        header = _HEADER.match(line)
        if header:
            name = header[1].lower()
            found[name] = line[header.end() :]
        elif name and line[:1] in (" ", "\t") and line.strip():
            found[name] += line
        else:
            return found if not line.strip() else {}
    return found


def _read(lines: list[str]) -> str:
    """The text of a mail, decoded where its headers say how; what needs no decoding stays as it is, headers and all."""
    body = lines[1:] if _FROM.match(lines[0]) else lines
    headers = _headers(body)
    encoded = _ENCODED.search(headers.get("content-transfer-encoding", ""))
    if not encoded and "multipart/" not in headers.get("content-type", "").lower():
        return "\n".join(lines)
    texts = []
    for part in message_from_string("\n".join(body)).walk():
        named = (part.get_filename() or "").lower().endswith(_PATCH_FILE)
        plain = part.get_content_maintype() == "text" and part.get_content_subtype() != "html"
        content = part.get_payload(decode=True) if named or plain else None
        if isinstance(content, bytes):
            texts.append(_decoded(content, part.get_content_charset()))
    return "\n".join(texts)


def _decoded(content: bytes, charset: str | None) -> str:
    try:
        return content.decode(charset or "utf-8", "replace")
    except LookupError:  # a character set that nobody knows
        return content.decode("utf-8", "replace")
