"""What a short training foretells: within families, and over all programs of few families."""

from __future__ import annotations

import re

from benchmarks.proxy import report


def test_programs_of_one_family_are_no_independent_ones() -> None:
    """Nine families whose levels are unrelated, whose edits gain alike after both lengths."""
    levels = [
        (0.1, 0.5),
        (0.2, 0.9),
        (0.3, 0.1),
        (0.4, 0.7),
        (0.5, 0.3),
        (0.6, 0.8),
        (0.7, 0.2),
        (0.8, 0.6),
        (0.9, 0.4),
    ]
    rows = [
        {"program": f"net{number}{f'+{edit}' if edit else ''}", "proxy": f"{one + gain}", "target": f"{other + gain}"}
        for number, (one, other) in enumerate(levels)
        for edit in range(4)
        for gain in [0.001 * edit * (-1) ** number]
    ]
    rows.append({"program": "failed", "proxy": "0.9", "target": ""})
    every, gains = report(rows).splitlines()
    assert every.endswith("(n = 36 of 9 families)")
    value, low, high = map(float, re.findall(r"[+-]\d\.\d\d", every))
    assert low < -0.5 < value < 0.5 < high, "nine families say little"
    assert gains == "gains of edits: Spearman +1.00 [+1.00, +1.00] (n = 27 of 9 families)"
