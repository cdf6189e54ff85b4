"""The least edit between two texts: the inverse of applying one."""

from __future__ import annotations

from deltanas.errors import EditError
from deltanas.program.edits import apply_edit, places_of, split_lines

Piece = tuple[int, int, int, int]
"""Lines [i1, i2) of the old text become lines [j1, j2) of the new one."""


def diff(base: str, edited: str, name: str = "net.py", *, context: int = 3) -> str:
    """The unified diff from `base` to `edited` with the fewest changed lines, "" where they are equal.

    context: number of lines around a change; more where a hunk would otherwise have several places in `base`, so that
    the numbers in `@@` are never needed.

    Raises EditError where no diff leads from `base` to exactly `edited`: they differ in their line endings.
    """
    if base == edited:
        return ""
    (old, old_ends), (new, new_ends) = split_lines(base), split_lines(edited)
    before, after = [_marked(*one) for one in ((old, old_ends), (new, new_ends))]
    pieces = changed_runs(before, after)
    groups = _groups(pieces, len(old), context)
    while context < len(old) and any(len(places_of(old[g[0][0] : g[-1][1]], old, "exact")) != 1 for g in groups):
        context += max(1, context // 3)
        groups = _groups(pieces, len(old), context)
    text = [f"--- a/{name}\n", f"+++ b/{name}\n"]
    for group in groups:
        text.append(f"@@ -{_range(group[0][0], group[-1][1])} +{_range(group[0][2], group[-1][3])} @@\n")
        for i1, i2, j1, j2 in group:
            if before[i1:i2] == after[j1:j2]:
                text += [" " + line for line in before[i1:i2]]
            else:
                text += ["-" + line for line in before[i1:i2]] + ["+" + line for line in after[j1:j2]]
    made = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in text)
    if not pieces or apply_edit(base, made).source != edited:
        raise EditError("A diff can't turn one text into the other: their lines end differently.", "Convert one first.")
    return made


def _marked(lines: list[str], endings: list[str]) -> list[str]:
    """Lines with a newline each, but for a last one that has none."""
    return [line + ("\n" if ending else "") for line, ending in zip(lines, endings, strict=True)]


def _range(start: int, end: int) -> str:
    return f"{start + 1 if end > start else start},{end - start}"


def changed_runs(old: list[str], new: list[str]) -> list[Piece]:
    """The runs of lines that change, in order; as few lines as can be.

    E. W. Myers (1986), "An O(ND) difference algorithm and its variations", Algorithmica 1:251-266, the greedy one.
    """
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    pieces: list[Piece] = []
    for x, y, right in _steps(a, b):
        step = (head + x, head + x + right, head + y, head + y + (not right))
        if pieces and pieces[-1][1] == step[0] and pieces[-1][3] == step[2]:
            step = (pieces[-1][0], step[1], pieces[-1][2], step[3])
            pieces.pop()
        pieces.append(step)
    return pieces


def _steps(a: list[str], b: list[str]) -> list[tuple[int, int, bool]]:
    """The single steps of a shortest edit script: at (x, y), line x of `a` goes (True) or line y of `b` comes."""
    furthest = {1: 0}
    history = []
    for distance in range(len(a) + len(b) + 1):
        history.append(dict(furthest))
        for k in range(-distance, distance + 1, 2):
            down = k == -distance or (k != distance and furthest[k - 1] < furthest[k + 1])
            x = furthest[k + 1] if down else furthest[k - 1] + 1
            while x < len(a) and x - k < len(b) and a[x] == b[x - k]:
                x += 1
            furthest[k] = x
            if x >= len(a) and x - k >= len(b):
                return _traced(history, len(a), len(b))
    return []


def _traced(history: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int, bool]]:
    steps = []
    for distance in range(len(history) - 1, 0, -1):
        furthest, k = history[distance], x - y
        down = k == -distance or (k != distance and furthest[k - 1] < furthest[k + 1])
        x = furthest[k + 1] if down else furthest[k - 1]
        y = x - (k + 1 if down else k - 1)
        steps.append((x, y, not down))
    return steps[::-1]


def _groups(pieces: list[Piece], size: int, context: int) -> list[list[Piece]]:
    """Changed and kept runs by hunk; runs nearer to one another than twice the context share one."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        i1, _, j1, _ = piece
        if groups and i1 - groups[-1][-1][1] <= 2 * context:
            _, end, _, new_end = groups[-1][-1]
            groups[-1] += [(end, i1, new_end, j1), piece]
        else:
            lead = min(context, i1)
            groups.append([(i1 - lead, i1, j1 - lead, j1), piece])
    for group in groups:
        _, i2, _, j2 = group[-1]
        tail = min(context, size - i2)
        group.append((i2, i2 + tail, j2, j2 + tail))
    return groups
