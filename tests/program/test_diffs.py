"""The least edit between two texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltanas.errors import EditError
from deltanas.program import apply_edit, diff

LINES = st.lists(st.sampled_from("abc"), max_size=9)


def common(old: list[str], new: list[str]) -> int:
    """Length of the longest common subsequence."""
    best = [0] * (len(new) + 1)
    for line in old:
        row = [0]
        for place, other in enumerate(new):
            row.append(best[place] + 1 if line == other else max(best[place + 1], row[place]))
        best = row
    return best[-1]


@settings(max_examples=500, deadline=None)
@given(LINES, LINES)
def test_no_edit_has_fewer_lines(old: list[str], new: list[str]) -> None:
    base, edited = ("".join(f"{line}\n" for line in lines) for lines in (old, new))
    changed = [line for line in diff(base, edited).splitlines()[2:] if line.startswith(("+", "-"))]
    assert len(changed) == len(old) + len(new) - 2 * common(old, new)


@settings(max_examples=500, deadline=None)
@given(st.text("ab\r\n", max_size=10), st.text("ab\r\n", max_size=10))
def test_a_diff_leads_to_the_very_text_or_is_refused(base: str, edited: str) -> None:
    try:
        edit = diff(base, edited)
    except EditError:
        assert "\r" in base + edited
        return
    assert (apply_edit(base, edit).source if edit else base) == edited


@pytest.mark.parametrize(("base", "edited"), [("a\nb\n", "a\r\nb\r\n"), ("a\r\nb\r\n", "a\nc\n"), ("a\n", "a\r\n")])
def test_other_line_endings_are_an_error(base: str, edited: str) -> None:
    with pytest.raises(EditError, match="lines end differently"):
        diff(base, edited)


def test_new_lines_take_the_endings_of_the_base() -> None:
    base = "a\r\nb\r\n"
    edit = diff(base, "a\r\nx\r\nb\r\n")
    assert edit == "--- a/net.py\n+++ b/net.py\n@@ -1,2 +1,3 @@\n a\n+x\n b\n"
    assert apply_edit(base, edit).source == "a\r\nx\r\nb\r\n"


def test_long_texts_of_the_same_line_are_quick() -> None:
    base, edited = "a\n" * 2000, "a\n" * 1000 + "b\n" + "a\n" * 1000
    assert apply_edit(base, diff(base, edited)).source == edited
