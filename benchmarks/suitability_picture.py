"""What tells on which of two data sets a network stands higher, drawn: shares of right answers with their intervals.

deltanas study suitability runs/lemur-1.2.6 --epoch 5 --json > relative.json
deltanas study suitability runs/lemur-1.2.6 --epoch 5 --label quantile --json > quantile.json
python -m benchmarks suitability_picture relative.json quantile.json --out docs/suitability.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

ROWS = {
    "majority": "names of the two sets",
    "one_order": "one order of the sets",
    "sizes": "+ size of the text",
    "nearest": "nearest code",
    "trees": "code, boosted trees",
    "code": "code, regression",
    "leak": "code, divided by rows (leak)",
    "ceiling": "two halves of the trials agree",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, nargs="+", help="what `study suitability --json` said")
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    given = parser.parse_args()
    figure, panels = plt.subplots(
        1, len(given.figures), figsize=(4.4 * len(given.figures), 3.2), layout="constrained", sharey=True, squeeze=False
    )
    for panel, path in zip(panels[0], given.figures, strict=True):
        _draw(panel, json.loads(path.read_text("utf-8")))
    figure.supxlabel("share of right answers, 95 % intervals for other families", fontsize=9)
    figure.savefig(given.out, dpi=100, metadata={"Software": None})


def _draw(panel: Axes, found: dict[str, Any]) -> None:
    shown = [name for name in ROWS if found[name]["value"] is not None]
    for place, name in enumerate(reversed(shown)):
        one = found[name]
        colour = "#b04a00" if name == "leak" else "0.5" if name == "ceiling" else "#0b5fa5"
        panel.plot([one["low"], one["high"]], [place, place], color=colour, linewidth=2)
        panel.plot([one["value"]], [place], "o", color=colour, markersize=5)
    panel.axvline(found["majority"]["value"], color="0.7", linewidth=0.8, zorder=0)
    panel.set_yticks(range(len(shown)), [ROWS[name] for name in reversed(shown)], fontsize=8)
    panel.set_title(f"label {found['label']}, epoch {found['epoch']}, n = {found['examples']['n']:,}", fontsize=9)
    panel.tick_params(axis="x", labelsize=8)


if __name__ == "__main__":
    main()
