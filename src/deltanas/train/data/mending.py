"""Code that mends arrays, for hints. It reads what the user has, and writes under a name that nothing has yet."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path

from deltanas.errors import unused


class Mender:
    """Writes code for the arrays of one data set.

    where: the file that holds them, or the name of a set in memory. names: of the arrays in use, by what they are.
    """

    def __init__(self, where: Path | str, names: Mapping[str, str]) -> None:
        self.where, self.names = where, names

    def __getitem__(self, role: str) -> str:
        """How code refers to an array."""
        name = self.names[role]
        return f"a[{name!r}]" if isinstance(self.where, Path) else name

    def code(self, changes: Mapping[str, str], first: str = "") -> str:
        """Code that puts the expressions `changes` in the place of arrays. first: statements that go before."""
        before = [first] if first else []
        if not isinstance(self.where, Path):
            if not changes:
                return f"dataset_of({self.where!r}, {', '.join(f'{role}={name}' for role, name in self.names.items())})"
            return "; ".join([*before, *(f"{self.names.get(role, role)} = {new}" for role, new in changes.items())])
        arrays = {role: self[role] for role in self.names} | dict(changes)
        given = ", ".join(f"{role}={array}" for role, array in arrays.items())
        opened = f"import numpy; a = numpy.load({str(self.where)!r})"
        return "; ".join([opened, *before, f"numpy.savez({str(beside(self.where))!r}, {given})"])

    def hint(self, changes: Mapping[str, str], first: str = "") -> str:
        """The same in backticks, and what to name then."""
        after = f", then name npz:{beside(self.where)}" if isinstance(self.where, Path) else ""
        return f"`{self.code(changes, first)}`{after}"

    def keeping(self, splits: Mapping[str, str]) -> str:
        """A hint that keeps some images of each split, with their labels. splits: which, by the split's suffix."""
        first = "; ".join(f"keep{suffix} = {kept}" for suffix, kept in splits.items())
        roles = [(f"{kind}{suffix}", f"keep{suffix}") for suffix in splits for kind in "xy"]
        return self.hint({role: f"{self[role]}[{keep}]" for role, keep in roles}, first)


def beside(path: Path) -> Path:
    """A name beside the file that is free."""
    return unused(path.with_name(f"{path.stem}-{n}.npz") for n in count(2))
