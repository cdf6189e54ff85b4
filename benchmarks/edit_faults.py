"""Edits as models write them, faults and all. Each comes with its right answer, found without the engine under test.

A fault takes a `Change` (what was meant, where) and writes it down as a model would. Which faults: those told by aider
(aider.chat/docs/unified-diffs.html) and in the trackers of OpenEvolve, Cline and Roo Code, and those of NNGPT's deltas.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

Tagged = list[tuple[str, str]]
"""Lines of a hunk: " " kept, "-" removed, "+" added, each with its text."""


@dataclass(frozen=True, slots=True)
class Site:
    """Lines [start, end) of the base become `new`; a hunk about it quotes `before` and `after` lines around it."""

    start: int
    end: int
    new: tuple[str, ...]
    before: int = 2
    after: int = 2


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit means: `base` with its sites replaced. Sites are in order and share no line, nor a quoted one."""

    base: tuple[str, ...]
    sites: tuple[Site, ...]

    def hunk(self, site: Site) -> Tagged:
        return [
            *((" ", line) for line in self.base[site.start - site.before : site.start]),
            *(("-", line) for line in self.base[site.start : site.end]),
            *(("+", line) for line in site.new),
            *((" ", line) for line in self.base[site.end : site.end + site.after]),
        ]

    def numbers(self, site: Site) -> tuple[int, int, int, int]:
        """What `@@` should say: first line and number of lines, in the base and in the result."""
        first, kept = site.start - site.before, site.before + site.after
        moved = sum(len(one.new) - (one.end - one.start) for one in self.sites if one.start < site.start)
        return first + 1, kept + site.end - site.start, first + 1 + moved, kept + len(site.new)

    def edited(self) -> list[str]:
        lines, cursor = [], 0
        for site in self.sites:
            lines += [*self.base[cursor : site.start], *site.new]
            cursor = site.end
        return [*lines, *self.base[cursor:]]


@dataclass(frozen=True, slots=True)
class Case:
    """An edit of `base` and its right answer: the program that it makes, or None, as it must be refused."""

    fault: str
    base: str
    edit: str
    right: str | None


Fault = Callable[[Random, Change], "Case | None"]
"""Writes a change down with the fault; None where this change can't have it."""


def text_of(lines: Sequence[str], end: str = "\n") -> str:
    return "".join(line + end for line in lines)


def places(lines: Sequence[str], quoted: Sequence[str], same: Callable[[str], str] = str) -> int:
    """How often `quoted` stands in `lines`, where lines count as equal that `same` makes equal."""
    there, wanted = [*map(same, lines)], [*map(same, quoted)]
    return sum(there[i : i + len(wanted)] == wanted for i in range(len(there) - len(wanted) + 1))


def old_of(hunk: Tagged) -> list[str]:
    return [text for tag, text in hunk if tag != "+"]


def plain(hunk: Tagged) -> str:
    return text_of([tag + text for tag, text in hunk])


def header(change: Change, site: Site) -> str:
    first, size, new_first, new_size = change.numbers(site)
    return f"@@ -{first},{size} +{new_first},{new_size} @@\n"


HEADERS = "--- a/net.py\n+++ b/net.py\n"


def clean(change: Change) -> str:
    return HEADERS + "".join(header(change, site) + plain(change.hunk(site)) for site in change.sites)


def bare(change: Change, mark: str = "@@\n") -> str:
    return "".join(mark + plain(change.hunk(site)) for site in change.sites)


def block(hunk: Tagged, marks: tuple[str, str] = ("<<<<<<< SEARCH", ">>>>>>> REPLACE")) -> str:
    new = [text for tag, text in hunk if tag != "-"]
    return f"{marks[0]}\n{text_of(old_of(hunk))}=======\n{text_of(new)}{marks[1]}\n"


def blocks(change: Change) -> str:
    return "\n".join(block(change.hunk(site)) for site in change.sites)


def said(fault: str, write: Callable[[Random, Change], str], *, strips: bool = False) -> Fault:
    """A fault that leaves one right reading: what was meant. `strips`: it leaves no blank that could be relied on."""

    def case(rng: Random, change: Change) -> Case | None:
        same = str.strip if strips else str
        if any(places(change.base, old_of(change.hunk(site)), same) != 1 for site in change.sites):
            return None
        return Case(fault, text_of(change.base), write(rng, change), text_of(change.edited()))

    return case


def refused(fault: str, write: Callable[[Random, Change], str | None]) -> Fault:
    """A fault that leaves no reading at all. `write` answers None where the change can't have it."""

    def case(rng: Random, change: Change) -> Case | None:
        edit = write(rng, change)
        return Case(fault, text_of(change.base), edit, None) if edit is not None else None

    return case


def shifted(hunk: Tagged, blanks: int) -> Tagged:
    return [
        (tag, (" " * blanks + text if blanks > 0 else text[-blanks:]) if text.strip() else text) for tag, text in hunk
    ]


def indentation(hunk: Tagged) -> int:
    return min(len(text) - len(text.lstrip()) for _, text in hunk if text.strip())


def _false_numbers(rng: Random, change: Change) -> str:
    def mark(site: Site) -> str:
        first, size, new_first, new_size = change.numbers(site)
        off = rng.choice([-9, -3, -2, -1, 1, 2, 3, 12, 60])
        return f"@@ -{max(1, first + off)},{size} +{max(1, new_first + off)},{new_size} @@\n"

    return HEADERS + "".join(mark(site) + plain(change.hunk(site)) for site in change.sites)


def _false_counts(rng: Random, change: Change) -> str:
    def mark(site: Site) -> str:
        first, size, new_first, new_size = change.numbers(site)
        off = rng.choice([-2, -1, 1, 2, 5])
        return f"@@ -{first},{max(1, size + off)} +{new_first},{max(1, new_size - off)} @@\n"

    return HEADERS + "".join(mark(site) + plain(change.hunk(site)) for site in change.sites)


def _prose(rng: Random, change: Change) -> str:
    lead = rng.choice(["Sure! Here's the change:", "To improve accuracy, I suggest this:\n\n1. Widen the layer"])
    tail = rng.choice(["This keeps the shapes.\n\n- It trains faster.\n", "Let me know if you'd like more!\n"])
    marks = ["@@\n", "@@ ... @@\n", *([""] if len(change.sites) == 1 else [])]
    fenced = rng.choice([HEADERS, ""]) + bare(change, rng.choice(marks))
    return f"{lead}\n\n```diff\n{fenced}```\n\n{tail}"


def _trailing(rng: Random, change: Change) -> str:
    def blank(tag: str, text: str) -> tuple[str, str]:
        return tag, text + ("" if tag == "+" else rng.choice(["", " ", "    ", "\t"]))

    return "".join("@@\n" + plain([blank(*line) for line in change.hunk(site)]) for site in change.sites)


def _lost_space(_: Random, change: Change) -> str:
    def lines(site: Site) -> list[str]:
        return [text if tag == " " else tag + text for tag, text in change.hunk(site)]

    return "".join("@@ ... @@\n" + text_of(lines(site)) for site in change.sites)


def _lost_blank_mark(_: Random, change: Change) -> str:
    return "\n".join(line.rstrip(" ") if line == " " else line for line in bare(change).split("\n"))


def _in_list(rng: Random, change: Change) -> str:
    margin = " " * rng.choice([2, 3, 4])
    fenced = f"```diff\n{bare(change)}```\n"
    return "1. Change the layer:\n\n" + "".join(margin + line + "\n" for line in fenced.splitlines()) + "\n2. Train.\n"


def _marks_in_list(_: Random, change: Change) -> str:
    return "- Change:\n" + text_of([f"  {line}" if _is_mark(line) else line for line in blocks(change).splitlines()])


def _is_mark(line: str) -> bool:
    return line.startswith(("<<<<<<<", "=======", ">>>>>>>"))


def _inner_fences(_: Random, change: Change) -> str:
    marks = {"<<<<<<< SEARCH": "{}\n```python", "=======": "```\n{}\n```python", ">>>>>>> REPLACE": "```\n{}"}
    return text_of([marks.get(line, "{}").replace("{}", line, 1) for line in blocks(change).splitlines()])


def _outer_blanks(rng: Random, change: Change) -> str:
    outer = rng.choice([("{}\n", "{}\n", "{}"), ("{}", "\n{}", "\n{}"), ("{}\n", "\n{}\n", "\n{}")])
    marks = dict(zip(("<<<<<<< SEARCH", "=======", ">>>>>>> REPLACE"), outer, strict=True))
    return text_of([marks.get(line, "{}").replace("{}", line, 1) for line in blocks(change).splitlines()])


def _block_prose(rng: Random, change: Change) -> str:
    return (
        f"I would change this:\n\nnet.py\n```{rng.choice(['', 'python', 'diff'])}\n{blocks(change)}```\nThat is all.\n"
    )


def _with_idle(rng: Random, change: Change) -> str:
    line = rng.choice([text for text in change.base if text.strip()])
    idle = block([(" ", line)])
    return idle + blocks(change) if rng.random() < 0.5 else blocks(change) + idle


def _git(_: Random, change: Change) -> str:
    return f"diff --git a/net.py b/net.py\nindex 1a2b3c4..5d6e7f8 100644\n{clean(change)}"


def _apply_patch(_: Random, change: Change) -> str:
    return f"*** Begin Patch\n*** Update File: net.py\n{bare(change)}*** End Patch\n"


def _cline(_: Random, change: Change) -> str:
    return "\n".join(block(change.hunk(site), ("------- SEARCH", "+++++++ REPLACE")) for site in change.sites)


SAID: dict[str, Callable[[Random, Change], str]] = {
    "diff: clean": lambda _, c: clean(c),
    "diff: line numbers false": _false_numbers,
    "diff: counts false": _false_counts,
    "diff: no numbers": lambda _, c: HEADERS + bare(c),
    "diff: @@ ... @@": lambda _, c: HEADERS + bare(c, "@@ ... @@\n"),
    "diff: no file headers": lambda _, c: "".join(header(c, s) + plain(c.hunk(s)) for s in c.sites),
    "diff: git's headers": _git,
    "diff: apply_patch's headers": _apply_patch,
    "diff: prose and fence around, @@ or none": _prose,
    "diff: prose behind, no fence": lambda _, c: f"Sure:\n\n{bare(c)}\nThis widens the layer.\nIt helps.\n",
    "diff: between tags": lambda _, c: f"<reason>\nwider\n</reason>\n<delta>\n{bare(c)}</delta>\n<hp>{{}}</hp>\n",
    "diff: fence inside a list": _in_list,
    "diff: CRLF": lambda _, c: clean(c).replace("\n", "\r\n"),
    "diff: blank lines without their mark": _lost_blank_mark,
    "diff: hunks in any order": lambda _, c: bare(replace(c, sites=c.sites[::-1])),
    "diff: a hunk said twice": lambda _, c: bare(c) + bare(replace(c, sites=c.sites[:1])),
    "block: clean": lambda _, c: blocks(c),
    "block: prose, file name, fence": _block_prose,
    "block: CRLF": lambda _, c: blocks(c).replace("\n", "\r\n"),
    "block: marks inside a list": _marks_in_list,
    "block: fences inside the marks": _inner_fences,
    "block: empty lines inside the marks": _outer_blanks,
    "block: Cline's marks": _cline,
    "block: said twice": lambda _, c: blocks(c) + block(c.hunk(c.sites[-1])),
    "block: another that changes nothing": _with_idle,
}  # fmt: skip
SAID_STRIPPED: dict[str, Callable[[Random, Change], str]] = {
    "diff: blanks at line ends": _trailing,
    "diff: kept lines without their mark": _lost_space,
}


def _shift(fault: str, write: Callable[[Tagged], str], draw: Callable[[Random, int], int]) -> Fault:
    def case(rng: Random, change: Change) -> Case | None:
        hunks = [change.hunk(site) for site in change.sites]
        moves = [draw(rng, indentation(hunk)) for hunk in hunks]
        tabs = any(text[: len(text) - len(text.lstrip())].strip(" ") for hunk in hunks for _, text in hunk)
        if tabs or not all(moves) or any(places(change.base, old_of(hunk), str.strip) != 1 for hunk in hunks):
            return None
        edit = "".join(write(shifted(hunk, move)) for hunk, move in zip(hunks, moves, strict=True))
        return Case(fault, text_of(change.base), edit, text_of(change.edited()))

    return case


def _drawn_shift(rng: Random, most: int) -> int:
    return rng.choice([1, 2, 4, 8, *(-blanks for blanks in (1, 2, 4, 8) if blanks <= most)])


def _overwritten(_: Random, change: Change) -> Case | None:
    """The mark of a changed line stands over its first blank, and kept lines have none."""
    hunks = [change.hunk(site) for site in change.sites]
    if any(places(change.base, old_of(hunk), str.strip) != 1 for hunk in hunks) or not all(
        any(tag == "-" for tag, _ in hunk)
        and all(tag == " " or (text.startswith(" ") and text.strip()) for tag, text in hunk)
        for hunk in hunks
    ):
        return None
    edit = "".join("@@\n" + text_of([text if tag == " " else tag + text[1:] for tag, text in one]) for one in hunks)
    return Case("diff: marks over the first blank", text_of(change.base), edit, text_of(change.edited()))


def _crlf_base(_: Random, change: Change) -> Case:
    base, right = text_of(change.base, "\r\n"), text_of(change.edited(), "\r\n")
    return Case("diff: the program has CRLF", base, clean(change), right)


def _blanks_in_base(rng: Random, change: Change) -> Case | None:
    quoted = {i for one in change.sites for i in range(one.start - one.before, one.end + one.after)}
    base = tuple(line + rng.choice([" ", "   ", "\t"]) if i in quoted else line for i, line in enumerate(change.base))
    if any(places(change.base, old_of(change.hunk(site)), str.strip) != 1 for site in change.sites):
        return None
    right = text_of(replace(change, base=base).edited())
    return Case("diff: the program has blanks at line ends", text_of(base), bare(change), right)


def ambiguous(change: Change) -> Change | None:
    """The change's first site, quoted so closely that it fits several places."""
    site = change.sites[0]
    for before, after in ((0, 0), (1, 0), (0, 1), (1, 1)):
        close = replace(change, sites=(replace(site, before=before, after=after),))
        if old_of(close.hunk(close.sites[0])) and places(change.base, old_of(close.hunk(close.sites[0]))) > 1:
            return close
    return None


def _chosen_by_number(_: Random, change: Change) -> Case | None:
    close = ambiguous(change)
    if close is None:
        return None
    return Case("diff: several places, line number right", text_of(close.base), clean(close), text_of(close.edited()))


def _sharing(rng: Random, change: Change) -> Case | None:
    """Two hunks so near to one another that they quote the same lines."""
    first = change.sites[0]
    start = first.end + rng.randint(1, 4)
    if start >= len(change.base) - 3 or not change.base[start].strip():
        return None
    near = Site(start, start + 1, (f"{change.base[start]}  # near",))
    two = replace(change, sites=tuple(replace(one, before=min(3, one.start), after=3) for one in (first, near)))
    if any(places(two.base, old_of(two.hunk(site))) != 1 for site in two.sites):
        return None
    return Case("diff: hunks that share kept lines", text_of(two.base), bare(two), text_of(two.edited()))


FAULTS: list[Fault] = [
    *(said(name, write) for name, write in SAID.items()),
    *(said(name, write, strips=True) for name, write in SAID_STRIPPED.items()),
    _shift("diff: indentation shifted", lambda hunk: f"@@\n{plain(hunk)}", _drawn_shift),
    _shift("block: indentation shifted", block, _drawn_shift),
    _shift("block: no indentation", block, lambda _, most: -most),
    _overwritten,
    _crlf_base,
    _blanks_in_base,
    _chosen_by_number,
    _sharing,
]
"""Those that leave one right reading."""
