from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from deltanas.errors import EditError
from deltanas.nets import baselines
from deltanas.program import AppliedEdit, Rung, apply_edit, diff

BASE = """class Net(nn.Module):
    def __init__(self):
        self.conv = nn.Conv2d(3, 16, 3)
        self.relu = nn.ReLU()

        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = self.conv(x)
        x = self.relu(x)
        return self.fc(x)
"""
WANTED = BASE.replace("nn.ReLU()", "nn.GELU()")

HUNK = """         self.conv = nn.Conv2d(3, 16, 3)
-        self.relu = nn.ReLU()
+        self.relu = nn.GELU()
{blank}
         self.fc = nn.Linear(16, 10)
""".format(blank=" ")
BLOCK = """<<<<<<< SEARCH
        self.relu = nn.ReLU()
=======
        self.relu = nn.GELU()
>>>>>>> REPLACE
"""
HEADERS = "--- a/net.py\n+++ b/net.py\n"


def lost_space(hunk: str) -> str:
    return re.sub("^ ", "", hunk, flags=re.M)


FORMS = {
    "numbers right": f"{HEADERS}@@ -3,4 +3,4 @@\n{HUNK}",
    "numbers false": f"{HEADERS}@@ -90,1 +7,33 @@\n{HUNK}",
    "numbers missing": f"{HEADERS}@@ ... @@\n{HUNK}",
    "one mark": f"@@\n{HUNK}",
    "section behind the mark": f"@@ -3,4 +3,4 @@ def __init__(self):\n{HUNK}",
    "no mark, headers": f"{HEADERS}{HUNK}",
    "no mark, no headers, fence": f"```diff\n{HUNK}```\n",
    "fence": f"```diff\n{HEADERS}@@ -3,4 +3,4 @@\n{HUNK}```\n",
    "fence that never closes": f"```diff\n@@ -3,4 +3,4 @@\n{HUNK}",
    "git": f"diff --git a/net.py b/net.py\nindex 1234567..89abcde 100644\n{HEADERS}@@ -3,4 +3,4 @@\n{HUNK}",
    "prose around": f"Sure! GELU - smoother:\n\n```diff\n@@ -3,4 +3,4 @@\n{HUNK}```\n\n- It has a gradient.\n",
    "prose behind, no fence": f"Sure:\n\n@@ -3,4 +3,4 @@\n{HUNK}\nThis swaps the activation.\nIt is smoother.\n",
    "blank lines behind": f"@@ -3,4 +3,4 @@\n{HUNK}\n\n",
    "CRLF": f"{HEADERS}@@ -3,4 +3,4 @@\n{HUNK}".replace("\n", "\r\n"),
    "no newline at end": f"{HEADERS}@@ -3,4 +3,4 @@\n{HUNK}\\ No newline at end of file\n",
    "blank context without its space": f"@@ -3,4 +3,4 @@\n{HUNK}".replace("\n \n", "\n\n"),
    "context without its space": f"@@ -3,4 +3,4 @@\n{lost_space(HUNK)}",
    "apply_patch": f"*** Begin Patch\n*** Update File: net.py\n@@ class Net\n{HUNK}*** End Patch\n",
    "block": BLOCK,
    "block in a fence": f"I suggest:\n```python\n{BLOCK}```\nThat is all.\n",
    "block with a file name": f"net.py\n{BLOCK}",
    "block, CRLF": BLOCK.replace("\n", "\r\n"),
    "block, shorter marks": BLOCK.replace("<<<<<<< ", "<<<<< ").replace("=======", "=====").replace(">>>>>>>", ">>>>>"),
    "block with context": BLOCK.replace("self.relu", "self.fc").replace(
        "        self.fc = nn.", "        self.conv = nn.Conv2d(3, 16, 3)\n        self.relu = nn."
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_every_form_in_which_models_write_an_edit(name: str) -> None:
    assert apply_edit(BASE, FORMS[name]) == AppliedEdit(WANTED, "exact")


@pytest.mark.parametrize("form", [f"@@\n{HUNK}", BLOCK])
def test_line_endings_of_the_baseline_are_kept(form: str) -> None:
    assert apply_edit(BASE.replace("\n", "\r\n"), form).source == WANTED.replace("\n", "\r\n")


def test_blanks_at_line_ends_are_the_second_rung() -> None:
    base = BASE.replace("nn.ReLU()\n", "nn.ReLU()  \n").replace("16, 3)\n", "16, 3)\t\n")
    wanted = BASE.replace("nn.ReLU()", "nn.GELU()").replace("16, 3)\n", "16, 3)\t\n")
    assert apply_edit(base, f"@@\n{HUNK}") == AppliedEdit(wanted, "line-end")
    assert apply_edit(BASE, BLOCK.replace("ReLU()", "ReLU() ")) == AppliedEdit(WANTED, "line-end")


@pytest.mark.parametrize("blanks", ["", "  ", " " * 12])
def test_a_uniform_shift_of_indentation_is_the_third_rung(blanks: str) -> None:
    edit = BLOCK.replace("        self", f"{blanks}self")
    assert apply_edit(BASE, edit) == AppliedEdit(WANTED, "indentation")


def test_new_lines_are_shifted_with_the_old_ones() -> None:
    edit = "<<<<<<< SEARCH\nx = self.relu(x)\n=======\nif self.training:\n    x = self.relu(x)\n\n>>>>>>> REPLACE"
    assert apply_edit(BASE, edit) == AppliedEdit(
        BASE.replace("x = self.relu(x)", "if self.training:\n            x = self.relu(x)\n"), "indentation"
    )


def test_a_shift_that_is_not_uniform_is_refused() -> None:
    edit = "<<<<<<< SEARCH\n      x = self.conv(x)\n    x = self.relu(x)\n=======\n    x = 1\n>>>>>>> REPLACE"
    with pytest.raises(EditError, match="does not have"):
        apply_edit(BASE, edit)


def test_new_lines_that_cannot_be_shifted_are_refused() -> None:
    edit = "<<<<<<< SEARCH\n            self.relu = nn.ReLU()\n=======\nself.relu = None\n>>>>>>> REPLACE"
    with pytest.raises(EditError, match="4 blanks less"):
        apply_edit(BASE, edit)


def test_the_worst_rung_of_several_is_reported() -> None:
    other = "<<<<<<< SEARCH\nx = self.conv(x)\n=======\nx = self.conv(x + 1)\n>>>>>>> REPLACE\n"
    applied = apply_edit(BASE, BLOCK + other)
    assert applied == AppliedEdit(WANTED.replace("self.conv(x)", "self.conv(x + 1)"), "indentation")


def test_hunks_may_come_in_any_order_and_are_looked_up_in_the_baseline() -> None:
    first = "@@\n     def __init__(self):\n+        super().__init__()\n"
    last = "@@\n-        return self.fc(x)\n+        return self.fc(x.flatten(1))\n"
    wanted = BASE.replace("(self):\n", "(self):\n        super().__init__()\n").replace("fc(x)", "fc(x.flatten(1))")
    assert apply_edit(BASE, first + last).source == apply_edit(BASE, last + first).source == wanted


FAULTS = {
    "invented context": (f"@@\n{HUNK}".replace("Conv2d(3", "Conv2d(1"), "does not have", 1),
    "invented deletion": ("@@\n-        self.norm = nn.Norm()\n+        self.norm = None\n", "quotes lines", 1),
    "second hunk misses": (f"@@\n{HUNK}@@\n-nothing\n+something\n", "Edit 2 quotes", 2),
    "no-op": (BLOCK.replace("GELU", "ReLU"), "changes nothing", 1),
    "no-op hunk": (f"@@\n{HUNK}".replace("GELU", "ReLU"), "changes nothing", 1),
    "context only": ("@@\n         return self.fc(x)\n", "changes nothing", 1),
    "addition without context": ("@@ -3,0 +4,1 @@\n+        self.x = 1\n", "without saying where", 1),
    "addition with a blank line behind": ("@@\n+        self.x = 1\n\n\n", "without saying where", 1),
    "empty SEARCH": ("<<<<<<< SEARCH\n=======\nx\n>>>>>>> REPLACE\n", "without saying where", 1),
    "prose": ("I would use GELU instead.", "holds no edit", 0),
    "nothing": ("", "holds no edit", 0),
    "whole file": (f"```python\n{WANTED}```", "holds no edit", 0),
    "empty hunk": ("@@ -1,3 +1,3 @@\n", "holds no edit", 0),
    "no REPLACE": (BLOCK + BLOCK.split(">>>")[0], "Edit 2 has no REPLACE", 2),
    "no =======": (BLOCK.replace("=======\n", ""), "Edit 1 has a REPLACE line with no", 1),
    "no SEARCH": (BLOCK.split("\n", 1)[1], "Edit 1 has a REPLACE line with no", 1),
    "two =======": (BLOCK.replace("=======\n", "=======\n=======\n"), "two =======", 1),
    "two SEARCH": (f"<<<<<<< SEARCH\n{BLOCK}", "a second SEARCH", 1),
    "two formats": (f"{BLOCK}@@\n{HUNK}", "among SEARCH/REPLACE", 2),
    "overlap": (BLOCK + BLOCK.replace("GELU", "ELU"), "Edits 1 and 2 overlap at line 4", 2),
    "wrong case": (BLOCK.replace("ReLU()", "relu()", 1), "quotes lines", 1),
    "one blank inside a line": (BLOCK.replace("= nn.ReLU", "=nn.ReLU"), "quotes lines", 1),
    "elision": ("@@\n class Net(nn.Module):\n ...\n-        return self.fc(x)\n+        return x\n", "quotes lines", 1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_errors_that_name_the_edit(name: str) -> None:
    edit, message, number = FAULTS[name]
    with pytest.raises(EditError, match=message) as caught:
        apply_edit(BASE, edit)
    assert caught.value.edit == number
    assert caught.value.hint


def test_text_without_an_edit_is_answered_with_the_form_expected() -> None:
    with pytest.raises(EditError) as caught:
        apply_edit(BASE, "nonsense")
    assert "<<<<<<< SEARCH" in caught.value.hint
    assert caught.value.nearest == ""


def test_a_miss_quotes_the_nearest_lines() -> None:
    edit = "@@\n         x = self.conv(x)\n-        x = self.act(x)\n+        x = F.gelu(x)\n"
    with pytest.raises(EditError) as caught:
        apply_edit(BASE, edit)
    assert caught.value.nearest.splitlines() == [
        "Nearest, at line 9 (- quoted, + in the file):",
        "         x = self.conv(x)",
        "-        x = self.act(x)",
        "+        x = self.relu(x)",
    ]
    assert caught.value.nearest in str(caught.value)


def test_a_miss_of_one_line_quotes_the_line_most_like_it() -> None:
    with pytest.raises(EditError) as caught:
        apply_edit(BASE, BLOCK.replace("nn.ReLU()", "nn.ReLU(inplace=True)"))
    assert "+        self.relu = nn.ReLU()" in caught.value.nearest


TWICE = "a\nb\nc\na\nb\n"


def test_several_places_are_an_error_that_names_them() -> None:
    with pytest.raises(EditError, match=r"fits 2 places, at lines 1, 4\.") as caught:
        apply_edit(TWICE, "@@ ... @@\n-a\n+x\n b\n")
    assert "more of the lines" in caught.value.hint


@pytest.mark.parametrize(("line", "wanted"), [(1, "x\nb\nc\na\nb\n"), (4, "a\nb\nc\nx\nb\n")])
def test_the_line_stated_chooses_among_exact_places(line: int, wanted: str) -> None:
    assert apply_edit(TWICE, f"@@ -{line},2 +1,2 @@\n-a\n+x\n b\n").source == wanted


def test_a_stated_line_near_a_place_chooses_nothing() -> None:
    with pytest.raises(EditError, match="fits 2 places"):
        apply_edit(TWICE, "@@ -3,2 +3,2 @@\n-a\n+x\n b\n")


def test_a_stated_line_chooses_nothing_on_lower_rungs() -> None:
    with pytest.raises(EditError, match="fits 2 places"):
        apply_edit(TWICE, "@@ -1,2 +1,2 @@\n-a \n+x\n b\n")


def test_an_exact_place_outranks_places_on_lower_rungs() -> None:
    assert apply_edit("  a\na\na \n", "@@\n-a\n+x\n").source == "  a\nx\na \n"


def test_removed_and_added_lines_may_look_like_a_file_header() -> None:
    assert apply_edit("-- a\nb\n", "@@\n--- a\n+++ c\n b\n").source == "++ c\nb\n"


@pytest.mark.parametrize(
    ("base", "edited"),
    [
        ("a", "b"),
        ("a", "a\n"),
        ("a\n", "a"),
        ("", "a"),
        ("", "a\n"),
        ("a\nb", "a"),
        ("a", "a\nb"),
        ("a\n", ""),
        ("", "\n"),
    ],
)
def test_final_newlines(base: str, edited: str) -> None:
    assert apply_edit(base, diff(base, edited)).source == edited


def test_without_a_word_on_it_the_final_newline_stays_as_it_was() -> None:
    assert apply_edit("a\nb", "@@\n a\n-b\n+c\n").source == "a\nc"
    assert apply_edit("a\nb\n", "@@\n a\n-b\n+c\n").source == "a\nc\n"


def test_diff_of_equal_texts_is_empty() -> None:
    assert diff(BASE, BASE) == ""


def test_diff_is_minimal() -> None:
    assert diff(BASE, WANTED, "n.py").splitlines() == [
        "--- a/n.py",
        "+++ b/n.py",
        "@@ -1,7 +1,7 @@",
        " class Net(nn.Module):",
        "     def __init__(self):",
        "         self.conv = nn.Conv2d(3, 16, 3)",
        "-        self.relu = nn.ReLU()",
        "+        self.relu = nn.GELU()",
        " ",
        "         self.fc = nn.Linear(16, 10)",
        " ",
    ]


def test_diff_widens_its_context_until_no_number_is_needed() -> None:
    base = "a\n" * 9 + "b\n" + "a\n" * 9
    edited = "a\n" * 8 + "b\n" + "a\n" * 9
    assert apply_edit(base, re.sub("@@.*", "@@", diff(base, edited))).source == edited


@pytest.mark.parametrize("name", sorted(baselines()))
def test_baselines_turn_into_one_another_by_diffs_without_numbers(name: str) -> None:
    texts = list(baselines().values())
    base = baselines()[name]
    other = texts[(texts.index(base) + 1) % len(texts)]
    edit = re.sub("^@@.*$", "@@ ... @@", diff(base, other), flags=re.M)
    assert apply_edit(base, edit) == AppliedEdit(other, "exact")


TEXTS = st.text("ab \n", max_size=14)


@settings(max_examples=500, deadline=None)
@given(TEXTS, TEXTS)
@example("\n\n\n\n", "\n\n\n\n\n")
def test_a_diff_applies_to_what_it_was_made_from(base: str, edited: str) -> None:
    assume(base != edited)
    edit = diff(base, edited)
    assert apply_edit(base, edit) == AppliedEdit(edited, "exact")
    assert apply_edit(base, re.sub("@@.*", "@@ ... @@", edit)).source == edited


LINES = st.lists(st.text("ab ", max_size=3), max_size=4)


def replacements(base: list[str], old: list[str], new: list[str], same: Callable[[str], str]) -> list[list[str]]:
    """`base` with one run of lines that equals `old` replaced: every way to do it."""
    starts = [i for i in range(len(base) - len(old) + 1) if [*map(same, base[i : i + len(old)])] == [*map(same, old)]]
    return [[same(line) for line in (*base[:i], *new, *base[i + len(old) :])] for i in starts]


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.text("ab ", max_size=3), max_size=7), LINES, LINES)
@example(["", "a"], ["", "a", ""], [""])
def test_whatever_is_accepted_is_the_one_legal_reading(base: list[str], old: list[str], new: list[str]) -> None:
    """The result is the baseline with one run of lines replaced, and no other run was as good."""
    edit = "\n".join(["<<<<<<< SEARCH", *old, "=======", *new, ">>>>>>> REPLACE"])
    source = "".join(f"{line}\n" for line in base)
    try:
        applied = apply_edit(source, edit)
    except EditError:
        return
    ladder: dict[Rung, Callable[[str], str]] = {"exact": str, "line-end": str.rstrip, "indentation": str.strip}
    same = ladder[applied.rung]
    results = replacements(base, old, new, same)
    cuts = sorted(((i, j) for i in range(3) for j in range(3) if 0 < i + j <= len(new)), key=sum)
    for i, j in cuts if any(map(str.strip, old)) else ():  # empty lines that begin or end both sides are none
        if not results and not any(map(str.strip, (*old[:i], *new[:i], *old[len(old) - j :], *new[len(new) - j :]))):
            results = replacements(base, old[i : len(old) - j], new[i : len(new) - j], same)
    assert [same(line) for line in applied.source.split("\n")[:-1]] in results
    if applied.rung != "indentation":
        assert len(results) == 1


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.text("ab +-@\n\\`", max_size=20))
def test_any_text_is_applied_or_refused(base: str, edit: str) -> None:
    try:
        source = apply_edit(base, edit).source
    except EditError:
        return
    assert source != base


def block(old: str, new: str) -> str:
    return f"<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n"


@st.composite
def hunks_of_a_text(draw: st.DrawFn) -> tuple[list[str], list[str], list[str]]:
    """A text, hunks of it, and what they make of it. Each hunk stands in one place and changes something."""
    base = draw(st.lists(st.text("ab", max_size=3), min_size=1, max_size=7))
    cuts = sorted(draw(st.lists(st.integers(0, len(base)), min_size=2, max_size=4)))
    hunks, made, cursor = [], [], 0
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        old = base[start:end]
        assume(old and sum(base[i : i + len(old)] == old for i in range(len(base))) == 1)
        lines: list[tuple[str, str]] = []
        for text in old:
            lines += [("+", new) for new in draw(st.lists(st.text("ab", max_size=2), max_size=1))]
            lines.append((draw(st.sampled_from(" -")), text))
        assume(any(tag != " " for tag, _ in lines))
        hunks.append("@@\n" + "".join(f"{tag}{text}\n" for tag, text in lines))
        made += [*base[cursor:start], *(text for tag, text in lines if tag != "-")]
        cursor = end
    return base, hunks, [*made, *base[cursor:]]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(hunks_of_a_text(), st.booleans())
def test_hunks_with_one_exact_place_each_are_applied_there(
    case: tuple[list[str], list[str], list[str]], backwards: bool
) -> None:
    """Whatever else they could be read as; and the order in which they are written does not matter."""
    base, hunks, made = case
    assume(made != base)
    edit = "".join(hunks[::-1] if backwards else hunks)
    source, wanted = ("".join(f"{line}\n" for line in lines) for lines in (base, made))
    assert apply_edit(source, edit) == AppliedEdit(wanted, "exact")


@pytest.mark.parametrize(
    "edit",
    [
        block("a = 1\n" * 400, "a = 1\n" * 399) * 50,
        block("\n" * 400, "\n" * 401) * 250,
        "@@\n" + "-a\n+b\n" * 40_000,
        "@@\n-a\n+b\n" * 20_000,
        "a" * 10_000_000,
    ],
    ids=["blocks", "blank blocks", "one hunk", "hunks", "a line"],
)
def test_huge_edits_are_refused_and_not_brooded_over(edit: str) -> None:
    with pytest.raises(EditError):
        apply_edit(baselines()["vgg"], edit)
