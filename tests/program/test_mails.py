"""Patches as people mail them: what stands behind a hunk is no part of it, and a series applies one after another."""

from __future__ import annotations

import quopri
import shutil
import subprocess
from base64 import encodebytes
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltanas.errors import EditError
from deltanas.program import AppliedEdit, apply_edit, diff

BASE = "import torch\nfrom torch import nn\n\nact = nn.ReLU()\nwidth = 8\n"
WANTED = BASE.replace("ReLU", "SiLU")
HUNK = "@@ -1,5 +1,5 @@\n import torch\n from torch import nn\n \n-act = nn.ReLU()\n+act = nn.SiLU()\n width = 8\n"
GIT = f"diff --git a/net.py b/net.py\nindex 833a577..9ae2cac 100644\n--- a/net.py\n+++ b/net.py\n{HUNK}"
HEAD = """From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A <a@example.org>
Date: Sat, 1 Jan 2000 00:00:00 +0000
Subject: [PATCH] Use another activation
"""
STAT = "---\n net.py | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n\n"

BEHIND = {
    "git's signature": "-- \n2.39.5\n\n",
    "a signature without its blank": "--\n2.39.5\n",
    "a person's signature": "-- \nA. Person\n- Somewhere -\nhttps://example.org\n",
    "a rule": "---\nThat was the patch.\n- It is smooth.\n+ It is new.\n",
    "a rule of stars": "***\n- a point\n",
    "prose": "This swaps the activation.\nIt is smoother.\n",
    "prose with points": "What it does:\n- It is smooth.\n- It has a gradient.\n",
    "prose behind an empty line": "\nWhat it does:\n\n- It is smooth.\n",
    "base commit": "\nbase-commit: 1234567890123456789012345678901234567890\n-- \n2.39.5\n",
    "another tool's header": "diff -ruN a/x b/x\n",
    "properties": "\nProperty changes on: net.py\n___________________\nAdded: svn:eol-style\n   + native\n",
    "a range diff": "\nRange-diff:\n1:  abc ! 1:  def b\n    @@ net.py\n    -act = 1\n    +act = 2\n-- \n2.39.5\n",
    "a list's footer": "_______________________________________________\nlist mailing list\nlist@example.org\n",
    "only in": "Only in b: other.py\n",
    "empty lines": "\n\n\n",
    "nothing": "",
}


@pytest.mark.parametrize("before", ["", "Here is my patch.\n\n", HEAD + "\n" + STAT], ids=["", "prose", "mail"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("name", BEHIND)
def test_a_hunk_ends_where_its_counts_are_filled(name: str, ends: str, before: str) -> None:
    mail = f"{before}{GIT}{BEHIND[name]}".replace("\n", ends)
    assert apply_edit(BASE, mail) == AppliedEdit(WANTED, "exact")


@pytest.mark.parametrize("name", ["git's signature", "a rule", "a person's signature", "a list's footer"])
def test_signatures_and_rules_end_a_hunk_without_counts(name: str) -> None:
    edit = f"--- a/net.py\n+++ b/net.py\n{HUNK.replace('-1,5 +1,5', '...')}{BEHIND[name]}"
    assert apply_edit(BASE, edit) == AppliedEdit(WANTED, "exact")


@pytest.mark.parametrize("counts", ["-1,2 +1,2", "-1,4 +1,4", "-1,1 +1,1", "-3,2 +3,2"])
def test_false_counts_lose_no_change(counts: str) -> None:
    more = HUNK.replace("-1,5 +1,5", counts).replace(" width = 8\n", "-width = 8\n+width = 9\n")
    assert apply_edit(BASE, more).source == WANTED.replace("8", "9")
    with pytest.raises(EditError, match="does not have"):
        apply_edit(BASE, more.replace("-width = 8", "-width = 7"))


def test_lines_of_a_text_that_look_like_a_signature_are_lines() -> None:
    base = '"""\n-- \nA.\n---\n"""\nact = 1\n'
    for wanted in (base.replace("-- \n", ""), base.replace("---\n", ""), base.replace("A.\n", "A.\n-- \n")):
        assert apply_edit(base, diff(base, wanted)) == AppliedEdit(wanted, "exact")


def mail(subject: str, base: str, edited: str) -> str:
    head = HEAD.replace("Use another activation", subject)
    return f"{head}\nWhy: {subject}.\n\n{STAT}{diff(base, edited)}-- \n2.39.5\n\n"


STEPS = [BASE, WANTED, WANTED.replace("SiLU", "GELU"), WANTED.replace("SiLU", "GELU").replace("8", "16")]
SERIES = [mail(f"Step {n}", *STEPS[n : n + 2]) for n in range(3)]
COVER = f"{HEAD.replace('[PATCH]', '[PATCH 0/3]')}\nSteps. Option 1 is no more.\n\nA (3):\n  Step 0\n\n-- \n2.39.5\n\n"


@pytest.mark.parametrize(
    "text",
    [
        "".join(SERIES),
        COVER + "".join(SERIES),
        "".join(SERIES).replace("\n", "\r\n"),
        "".join(one.partition("\n")[2] for one in SERIES),
        "".join(f"commit {n}{'0' * 39}\nAuthor: A\n\n    Step\n\n{diff(*STEPS[n : n + 2])}\n" for n in range(3)),
    ],
    ids=["mbox", "cover letter", "CRLF", "without From lines", "log"],
)
def test_a_series_applies_one_after_another(text: str) -> None:
    assert apply_edit(BASE, text).source == STEPS[3]


def test_a_series_applies_whole_or_not_at_all() -> None:
    with pytest.raises(EditError, match=r"Patch 2 of 2: Edit 1 quotes lines"):
        apply_edit(BASE, SERIES[0] + SERIES[2].replace("-width", "-wide"))


def encoded(how: str) -> str:
    body = f"Smoother, said Zoë.\n{STAT}{GIT}-- \n2.39.5\n"
    raw = body.encode()
    content = (quopri.encodestring(raw) if how == "quoted-printable" else encodebytes(raw)).decode()
    return f"{HEAD}Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: {how}\n\n{content}"


ATTACHED = f"""{HEAD}MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="xx"

--xx
Content-Type: text/plain

See the attachment.
--xx
Content-Type: text/html

<pre>@@ -1 +1 @@
-import torch
+import nothing
</pre>
--xx
Content-Type: application/octet-stream; name="b.patch"
Content-Disposition: attachment; filename="b.patch"
Content-Transfer-Encoding: base64

{encodebytes(GIT.encode()).decode()}
--xx--
"""


@pytest.mark.parametrize(
    "text", [encoded("quoted-printable"), encoded("base64"), ATTACHED], ids=["qp", "base64", "attached"]
)
def test_what_mail_encodes_is_decoded(text: str) -> None:
    assert apply_edit(BASE, text) == AppliedEdit(WANTED, "exact")
    assert apply_edit(BASE, text.replace("\n", "\r\n")) == AppliedEdit(WANTED, "exact")


@pytest.mark.skipif(not shutil.which("git"), reason="git is not here")
def test_what_git_itself_writes_is_read(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    git("init", "-q")
    for number, step in enumerate(STEPS):
        (tmp_path / "net.py").write_text(step, "utf-8")
        git("add", "net.py")
        git("commit", "-q", "-m", f"Step {number}\n\n- a point\n+ another\n\n---\nnot for the log")
    for text in (
        git("format-patch", "--stdout", "HEAD~3"),
        git("format-patch", "--stdout", "--cover-letter", "--attach", "HEAD~3"),
        git("log", "-p", "--reverse", "HEAD~3.."),
        git("diff", "HEAD~3"),
        git("format-patch", "--stdout", "--no-signature", "HEAD~3"),
        git("diff", "HEAD~3", "--stat", "-p"),
    ):
        assert apply_edit(BASE, text).source == STEPS[3]


LINES = st.lists(st.sampled_from(["a", "b", "", "-- ", "---", "- x", "+ y", "From x", " c"]), max_size=6)


@settings(max_examples=300, deadline=None)
@given(LINES, LINES)
def test_a_mailed_diff_of_any_lines_is_the_diff(old: list[str], new: list[str]) -> None:
    base, edited = ("".join(f"{line}\n" for line in lines) for lines in (old, new))
    if base != edited:
        assert apply_edit(base, f"{HEAD}\n{STAT}{diff(base, edited)}-- \n2.39.5\n\n") == AppliedEdit(edited, "exact")
