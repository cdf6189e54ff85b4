"""What the docs name is there: terms of the glossary in the code, links between the pages, pages in the map."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
HOME = "https://github.com/deltanas/deltanas/"
RAW = "https://raw.githubusercontent.com/deltanas/deltanas/main/"
TERMS = re.findall(r"^\| ([^|]+) \| .+ \| `([\w.]+)` \|$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)


def named(path: str) -> bool:
    """Whether `deltanas.PATH` is a module, or something in one; a field of a class counts as well."""
    place: object = import_module("deltanas")
    for name in path.split("."):
        inner = getattr(place, name, None)
        if inner is None and isinstance(place, ModuleType):
            try:
                inner = import_module(f"{place.__name__}.{name}")
            except ModuleNotFoundError:
                return False
        elif inner is None and isinstance(place, type):
            return bool(re.search(rf"^\s+(self\.)?{name}\b.*[:=]", inspect.getsource(place), re.MULTILINE))
        place = inner
    return True


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.replace("`", "")).lower().replace(" ", "-") for head in heads}


def test_every_term_has_its_place_in_the_code() -> None:
    assert len(TERMS) > 40
    assert [term for term, path in TERMS if not named(path)] == []
    assert [term for term, _ in TERMS] == sorted(term for term, _ in TERMS)


@pytest.mark.parametrize(
    "path", ["journal.Nothing", "journal.Candidate.nothing", "nothing.Candidate", "journal.Journal.nil"]
)
def test_a_place_that_is_gone_is_found_out(path: str) -> None:
    assert not named(path)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        own = re.sub(rf"^({re.escape(HOME)}(blob|tree)/main/|{re.escape(RAW)})", "/", target)
        if "://" in own:
            continue
        file, _, anchor = own.partition("#")
        path = ROOT / file.removeprefix("/") if file.startswith("/") else page.parent / file if file else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{page.name}: {target}"


def test_links_of_the_first_page_work_where_the_wheel_is_shown() -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", (ROOT / "README.md").read_text())
    assert len(targets) > 20
    assert [target for target in targets if not target.startswith("https://")] == []


def test_the_map_leads_to_every_page() -> None:
    text = (ROOT / "docs/index.md").read_text()
    assert [page.name for page in PAGES if page.name != "index.md" and f"({page.name})" not in text] == []
