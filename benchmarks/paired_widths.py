"""How wide the interval of one training's gain is, image by image, over the one of two networks taken as independent.

    python -m benchmarks paired_widths RUN... [--out FILE]

Each candidate of the runs that was trained is compared with its parent by the first training of each; candidates
without a parent that was trained, or without scores of the images, are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deltanas.archive import read_folder
from deltanas.calibrate import where
from deltanas.gains import Measured, compared, measured
from deltanas.intervals import Estimate, difference, wilson
from deltanas.journal import Journal
from deltanas.records import RunView
from deltanas.task import task_of
from deltanas.whole import write_whole


def rows(view: RunView) -> Iterator[dict[str, object]]:
    """One for each pair: the gain, the widths of both intervals, and the share of images on which they differ."""
    task = task_of(view.manifest)
    journal = Journal(view.candidates, metric=task.metric)
    for candidate in view.candidates:
        parent = journal.of(candidate.parent or "")
        if parent is None or not candidate.trainings or not parent.trainings:
            continue
        one, two = measured(task, candidate.trainings[0]), measured(task, parent.trainings[0])
        if one is None or two is None or one.images is None or two.images is None:
            continue
        found = compared(task.metric, one, two)
        assert found is not None
        yield {
            "child": candidate.label,
            "parent": parent.label,
            "family": journal.family(candidate),
            "n": one.n,
            "gain": found.gain.value,
            "differ": float((one.images != two.images).mean()),
            "paired": _width(found.gain),
            "unpaired": _width(difference(_alone(one), _alone(two))),
        }


def _alone(found: Measured) -> Estimate:
    return wilson(found.score * found.n, found.n)


def _width(found: Estimate) -> float:
    return found.high - found.low


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/paired_widths.json"))
    options = parser.parse_args()
    found = []
    for folder in options.runs:
        with read_folder(folder).open() as run:
            found += list(rows(run.view()))
    write_whole(
        options.out,
        f'{{"where": {json.dumps(where())}, "rows": [\n' + ",\n".join(map(json.dumps, found)) + "\n]}\n",
    )
    for family in sorted({str(row["family"]) for row in found}):
        here = [row for row in found if row["family"] == family]
        _tell(family, here)
    _tell("all", found)


def _tell(name: str, found: list[dict[str, object]]) -> None:
    ratios, differ = (
        np.array([_number(row, "paired") / _number(row, "unpaired") for row in found]),
        np.array([_number(row, "differ") for row in found]),
    )
    sys.stdout.write(
        f"{name}: {len(ratios)} pairs, ratio median {np.median(ratios):.3f} [{ratios.min():.3f}, {ratios.max():.3f}], "
        f"differ on {differ.min():.1%} to {differ.max():.1%} of the images\n"
    )


def _number(row: dict[str, object], name: str) -> float:
    value = row[name]
    assert isinstance(value, float)
    return value


if __name__ == "__main__":
    main()
