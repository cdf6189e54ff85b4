"""How often the intervals of `deltanas study` cover the truth, over simulated studies of known truth.

    python -m benchmarks study_calibration [--studies N] [--only TEXT] [--out FILE]

Every design of `benchmarks.simulated_studies` and `benchmarks.simulated_recipes` in turn. What the file holds already
is not run again, so a run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.simulated_recipes import RECIPES, Compared, Failed, Shared
from benchmarks.simulated_studies import DESIGNS, Answers, Design, Elites, Level, coverage
from deltanas.whole import write_whole

MORE: dict[type, int] = {Level: 10, Answers: 5, Elites: 5, Compared: 5, Shared: 5, Failed: 5}
"""Times the studies of the other designs: these cost little."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400, help="simulated studies of each design")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/study_calibration.json"))
    parser.add_argument("--only", default="", help="designs whose name holds this text")
    options = parser.parse_args()
    rows = json.loads(options.out.read_text("utf-8")) if options.out.exists() else []
    done = {(row["design"], row["studies"]) for row in rows}
    for design in (*DESIGNS, *RECIPES):
        studies = options.studies * MORE.get(type(design), 1)
        if (repr(design), studies) in done or options.only not in repr(design):
            continue
        rows += [{"design": repr(design), **found} for found in _rows(design, studies)]
        write_whole(options.out, "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
        sys.stderr.write(f"{design}\n")


def _rows(design: Design, studies: int) -> list[dict[str, object]]:
    return [
        {**asdict(found), "share": round(found.share, 4), "error": round(found.error, 4)}
        for found in coverage(design, studies)
    ]


if __name__ == "__main__":
    main()
