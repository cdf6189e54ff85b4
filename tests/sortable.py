"""The cells of a page by which its tables sort: each holds a number, or says the one that it stands for."""

from __future__ import annotations

from html.parser import HTMLParser


class _Cells(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.unread: list[str] = []
        self._sorts = False
        self._cell: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        classes = (given.get("class") or "").split()
        if tag == "table":
            self._sorts = "sortable" in classes
        if tag == "td" and self._sorts and "num" in classes:
            if "data-value" in given:
                self._read(given["data-value"] or "")
            else:
                self._cell = ""

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "td" and self._cell is not None:
            self._read(self._cell)
            self._cell = None

    def _read(self, text: str) -> None:
        try:
            float(text.replace(",", "").replace("\N{MINUS SIGN}", "-") or "0")
        except ValueError:
            self.unread.append(text)


def unsorted(html: str) -> list[str]:
    """Texts of numeric cells in tables that sort, which the script of the page takes for no number."""
    return _Cells(html).unread
