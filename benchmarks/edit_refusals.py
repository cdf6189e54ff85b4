"""Edits that leave no right reading, as models write them: each must be refused, whatever a loose reader would do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random

from benchmarks.edit_faults import (
    HEADERS,
    Case,
    Change,
    Fault,
    Tagged,
    ambiguous,
    bare,
    block,
    blocks,
    header,
    old_of,
    places,
    plain,
    text_of,
)

INVENTED = (
    "self.bn_extra = nn.BatchNorm2d(64)",
    "x = self.drop_path(x)",
    "return self.classifier_head(x)",
    "self.act_fn = nn.Mish(inplace=True)",
    "if self.use_checkpoint:",
)
PROSE = (
    "I would replace the activation with GELU, as it is smoother, and add batch normalisation after each convolution.",
    "To improve the accuracy:\n\n- widen the first layer\n- use AdamW\n+ add dropout\n\nThis should help.",
    "The network is already well designed; no change is needed.",
)


def _write(rng: Random, hunk: Tagged) -> str:
    return rng.choice([f"{HEADERS}@@ -1,9 +1,9 @@\n{plain(hunk)}", f"@@ ... @@\n{plain(hunk)}", block(hunk)])


def _spoilt(spoil: Callable[[Random, Tagged], Tagged | None]) -> Callable[[Random, Change], str | None]:
    """One of the hunks comes from `spoil`; none of what it quotes may stand anywhere in the base."""

    def write(rng: Random, change: Change) -> str | None:
        hunks = [change.hunk(site) for site in change.sites]
        place = rng.randrange(len(hunks))
        bad = spoil(rng, hunks[place])
        quoted = "\n".join(line.rstrip() for line in old_of(bad or [])).strip("\n").split("\n")
        if bad is None or places(change.base, quoted, str.strip):
            return None
        hunks[place] = bad
        if rng.random() < 0.5:
            return "".join(block(hunk) for hunk in hunks)
        return "".join(f"{rng.choice(['@@', '@@ ... @@', '@@ -1,9 +1,9 @@'])}\n{plain(hunk)}" for hunk in hunks)

    return write


def _indented_like(hunk: Tagged, text: str) -> str:
    like = next(line for _, line in hunk if line.strip())
    return like[: len(like) - len(like.lstrip())] + text


def _invented(tag: str) -> Callable[[Random, Tagged], Tagged]:
    def spoil(rng: Random, hunk: Tagged) -> Tagged:
        place = rng.randint(0, len(hunk))
        return [*hunk[:place], (tag, _indented_like(hunk, rng.choice(INVENTED))), *hunk[place:]]

    return spoil


def _near_miss(rng: Random, hunk: Tagged) -> Tagged | None:
    """One quoted line is as the model remembers it: a number, a name, a quote or a blank is not the file's."""
    options = []
    for place, (tag, text) in enumerate(hunk):
        for old, new in ((r"\d+", "77"), (r"self\.(\w)", r"self.my_\1"), ("'", '"'), (r"\(", "( "), (" = ", "=")):
            if tag != "+" and text.strip() and re.search(old, text):
                options.append((place, tag, re.sub(old, new, text, count=1)))
    if not options:
        return None
    place, tag, text = rng.choice(options)
    return [*hunk[:place], (tag, text), *hunk[place + 1 :]]


def _dropped(rng: Random, hunk: Tagged) -> Tagged | None:
    """A kept line is missing between two that are quoted."""
    quoted = [place for place, (tag, _) in enumerate(hunk) if tag != "+"]
    inner = [place for place in quoted[1:-1] if hunk[place][0] == " " and hunk[place][1].strip()]
    if not inner:
        return None
    place = rng.choice(inner)
    return hunk[:place] + hunk[place + 1 :]


def _elided(rng: Random, hunk: Tagged) -> Tagged | None:
    """A kept line gives way to `...`."""
    kept = [place for place, (tag, text) in enumerate(hunk) if tag == " " and text.strip()]
    if not kept:
        return None
    place = rng.choice(kept)
    stands = rng.choice(["...", "# ...", "# ... existing code ..."])
    return [*hunk[:place], (" ", _indented_like(hunk, stands)), *hunk[place + 1 :]]


def _no_plus(_: Random, hunk: Tagged) -> Tagged | None:
    """New lines are not marked as such."""
    if all(tag != "+" or not text.strip() for tag, text in hunk):
        return None
    return [(" " if tag == "+" else tag, text) for tag, text in hunk]


def _reversed(_: Random, hunk: Tagged) -> Tagged:
    turned = {"+": "-", "-": "+", " ": " "}
    return [(turned[tag], text) for tag, text in hunk]


def _uneven(rng: Random, change: Change) -> str | None:
    """One quoted line is indented otherwise than the others."""
    (hunk, *_) = (change.hunk(site) for site in change.sites)
    quoted = [place for place, (tag, text) in enumerate(hunk) if tag != "+" and text.strip()]
    if len(quoted) < 2:
        return None
    place = rng.choice(quoted)
    tag, text = hunk[place]
    moved = "  " + text if rng.random() < 0.5 or not text.startswith("    ") else text[3:]
    return _write(rng, [*hunk[:place], (tag, moved), *hunk[place + 1 :]])


def _lazy(rng: Random, change: Change) -> str:
    """The new text leaves out what is to stay, or what the model did not care to write."""
    hunk = change.hunk(change.sites[0])
    stands = rng.choice(["# ... rest of the code ...", "# ... existing code ...", "...", "# remaining code unchanged"])
    kept = [line for line in hunk if line[0] != "-"]
    cut = rng.randrange(len(kept)) + 1
    new = [("+", text) for _, text in kept[:cut] if not text.rstrip().endswith(":")]
    old = [("-", text) for text in old_of(hunk)]
    return _write(rng, [*old, *new, ("+", _indented_like(hunk, stands))])


def _nothing(rng: Random, change: Change) -> str:
    kept = [(" ", text) for text in old_of(change.hunk(change.sites[0]))]
    same = [(tag, text) for _, text in kept for tag in "-+"]
    return rng.choice([_write(rng, kept), f"@@\n{plain(same)}"])


def _several(form: str) -> Callable[[Random, Change], str | None]:
    def write(rng: Random, change: Change) -> str | None:
        close = ambiguous(change)
        if close is None:
            return None
        (site,) = close.sites
        hunk = close.hunk(site)
        if form == "block":
            return block(hunk)
        if form == "none":
            return f"{rng.choice(['@@', '@@ ... @@'])}\n{plain(hunk)}"
        old = old_of(hunk)
        starts = {i + 1 for i in range(len(close.base)) if [*close.base[i : i + len(old)]] == old}
        line = rng.choice([i for i in range(1, len(close.base) + 40) if i not in starts])
        return f"{HEADERS}@@ -{line},{len(old)} +{line},{len(hunk)} @@\n{plain(hunk)}"

    return write


def _whole(rng: Random, change: Change) -> str:
    code = text_of(change.edited())
    return rng.choice(["```python\n{}```\n", "{}", "Here is the network:\n\n```\n{}```\n", "<nn>\n{}</nn>\n"]).format(
        code
    )


def _cut_block(rng: Random, change: Change) -> str:
    lines = blocks(change).splitlines()
    last = max(place for place, line in enumerate(lines) if line.startswith("<<<<<<< SEARCH"))
    return text_of(lines[: rng.randint(last + 1, len(lines) - 1)])


def _cut_diff(rng: Random, change: Change) -> str | None:
    *earlier, last = change.sites
    body = plain(change.hunk(last)).splitlines()
    if len(body) < 2:
        return None
    cut = header(change, last) + text_of(body[: rng.randint(1, len(body) - 1)])
    return f"```diff\n{HEADERS}{bare(replace(change, sites=tuple(earlier)))}{cut}"


def _contradicting(_: Random, change: Change) -> str | None:
    site = change.sites[0]
    if not any(line.strip() for line in change.base[site.start : site.end]):
        return None
    hunk = change.hunk(site)
    other = [("+", f"{text}  # no") if tag == "-" else (tag, text) for tag, text in hunk if tag != "+"]
    other = [(" ", text) if tag == " " else (tag, text) for tag, text in other]
    removed = [("-", text) for tag, text in hunk if tag == "-"]
    first = next(place for place, (tag, _) in enumerate(other) if tag == "+")
    return block(hunk) + block([*other[:first], *removed, *other[first:]])


def _nowhere(rng: Random, change: Change) -> str | None:
    new = [("+", text) for site in change.sites for text in site.new if text.strip()]
    return _write(rng, new) if new else None


def _no_divider(_: Random, change: Change) -> str:
    return blocks(change).replace("=======\n", "", 1)


WRITTEN: dict[str, Callable[[Random, Change], str | None]] = {
    "invented context": _spoilt(_invented(" ")),
    "invented deletion": _spoilt(_invented("-")),
    "a quoted line that is nearly right": _spoilt(_near_miss),
    "a kept line missing between quoted ones": _spoilt(_dropped),
    "elision in what is quoted": _spoilt(_elided),
    "new lines without their mark": _spoilt(_no_plus),
    "already applied": _spoilt(_reversed),
    "uneven indentation": _uneven,
    "elision in what is new": _lazy,
    "changes nothing": _nothing,
    "several places, block": _several("block"),
    "several places, no line number": _several("none"),
    "several places, line number false": _several("false"),
    "whole program": _whole,
    "cut short, block": _cut_block,
    "cut short, diff in a fence": _cut_diff,
    "two blocks that contradict one another": _contradicting,
    "new lines without a place": _nowhere,
    "block without its middle mark": _no_divider,
    "prose": lambda rng, _: rng.choice(PROSE),
}


def _refusal(name: str, write: Callable[[Random, Change], str | None]) -> Fault:
    def case(rng: Random, change: Change) -> Case | None:
        edit = write(rng, change)
        return Case(name, text_of(change.base), edit, None) if edit is not None else None

    return case


REFUSALS: list[Fault] = [_refusal(f"refuse: {name}", write) for name, write in WRITTEN.items()]
"""Those that leave none."""
