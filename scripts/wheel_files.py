"""wheel_files.py FOLDER: is each file of the package's source installed here, byte for byte, and nothing else?"""

from __future__ import annotations

import sys
from importlib.metadata import files
from pathlib import Path

OTHER = {"__pycache__", ".mypy_cache"}


def main(source: Path) -> int:
    wanted = {file.relative_to(source) for file in source.rglob("*") if file.is_file() and not OTHER & {*file.parts}}
    listed = [file for file in files("deltanas") or () if file.parts[0] == "deltanas" and not OTHER & {*file.parts}]
    found = {Path(*file.parts[1:]): Path(str(file.locate())) for file in listed}
    lacking = sorted(str(file) for file in wanted - found.keys())
    extra = sorted(str(file) for file in found.keys() - wanted)
    other = sorted(
        str(file) for file in wanted & found.keys() if (source / file).read_bytes() != found[file].read_bytes()
    )
    for what, names in (("lacks", lacking), ("has, and the checkout has not", extra), ("has other bytes of", other)):
        if names:
            print(f"the wheel {what}: {', '.join(names)}", file=sys.stderr)
    kinds = sorted({file.suffix for file in wanted})
    print(f"number of files in the wheel: {len(found)}, of the kinds {' '.join(kinds)}")
    return 1 if lacking or extra or other else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
