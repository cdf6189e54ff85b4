"""Where a page may be written: nowhere, or over another page of ours."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from deltanas.errors import UsageError, unused

_MADE = b'<meta name="generator" content="deltanas">'
"""In the head of each of our pages; another page is not overwritten."""


def require_page(target: Path, option: str) -> None:
    """Raises UsageError where something else than a page is there; option: of the command, as --html."""
    if target.is_dir():
        names = ("page.html", *(f"page-{n}.html" for n in range(1, 1000)))
        free = unused(target / name for name in names)
        raise UsageError(f"{target} is a folder", f"name a page in it: `{option} {quote(str(free))}`")
    if target.exists() and not _is_page(target):
        free = unused(target.with_name(f"{target.stem}-{n}.html") for n in range(1, 1000))
        raise UsageError(f"{target} is there and is no page of ours", f"write elsewhere: `{option} {quote(str(free))}`")


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return _MADE in file.read(4096)
