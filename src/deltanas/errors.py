"""Errors that a user can mend: what happened, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from shlex import quote


class DeltanasError(Exception):
    """A problem with a way out. The command line prints `message` and `hint` and exits 1 (2 for `UsageError`)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(DeltanasError):
    """The command or the config asks for something that does not exist: an unknown data set, strategy, key or model."""


class ArchiveError(DeltanasError):
    """The archive can't be opened, read or written; what it holds is left as it was."""


class DataError(DeltanasError):
    """A data set is missing, cut short or malformed."""


class ModelError(DeltanasError):
    """A language model is missing, corrupt or unusable."""


class SandboxError(DeltanasError):
    """The evaluator itself can't work (a candidate's own failure is an `Outcome`, never an exception)."""


class LibraryError(DeltanasError):
    """A library lacks an undocumented name that deltanas uses (the `compat` modules hold all of these)."""

    def __init__(self, library: str, name: str, tested: str) -> None:
        """tested: the release that deltanas was tested with."""
        super().__init__(
            f"{library} {installed(library)} has no {name}, which deltanas needs.",
            f"deltanas was tested with {library} {tested}: pip install '{library}=={tested}'",
        )


MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a record of another form than this version's raises. In a list it breaks its own row, and no other."""


def unused(places: Iterable[Path]) -> Path:
    """The first of them where nothing is yet: what a hint writes overwrites nothing."""
    return next(place for place in places if not place.exists())


def aside(path: Path) -> str:
    """For a hint: the command, in backticks, that gives a file or folder a name that nothing has yet."""
    free = unused(path.with_name(f"{path.name}.{n}") for n in count(1))
    return f"`mv -n {quote(str(path))} {quote(str(free))}`"


def installed(library: str) -> str:
    """The version of a library that is installed here, or "(not installed)"."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "(not installed)"


class EditError(DeltanasError):
    """An edit that applies nowhere, or in more than one place.

    Attributes:
        edit: 1-based number of the hunk or block that failed, 0 if the text holds no edit at all.
        nearest: the baseline's lines that come closest to what the edit looked for, as a small diff ("" if none).
    """

    def __init__(self, message: str, hint: str = "", *, edit: int = 0, nearest: str = "") -> None:
        super().__init__(message, hint)
        self.edit = edit
        self.nearest = nearest

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n{self.nearest}" if self.nearest else text
