"""A section of settings: typed, frozen; an unknown key fails and names the known ones."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from deltanas.errors import UsageError


class Section(BaseModel):
    """Settings that one reader has, defined beside it. Every field has a default and a description."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """The validated settings. Raises UsageError: an unknown key, a value of a wrong type or out of range."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise UsageError(*_explained(error, cls)) from None

    def but(self, **changes: Any) -> Self:
        """These settings with some of them changed. Raises as `read`."""
        return self.read({**self.model_dump(), **changes})


def _explained(error: ValidationError, section: type[BaseModel]) -> tuple[str, str]:
    """The first fault as a message and a hint."""
    fault = error.errors()[0]
    place = [str(part) for part in fault["loc"]]
    key = ".".join(place)
    if fault["type"] == "extra_forbidden":
        known = _known(section, place[:-1])
        close = difflib.get_close_matches(place[-1], known, 1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        return f"unknown config key `{key}`", f"{hint}known keys: {', '.join(known)}"
    return f"`{key}` = {fault['input']!r}: {fault['msg'][:1].lower()}{fault['msg'][1:]}", ""


def _known(section: Any, path: Sequence[str]) -> list[str]:
    for name in path:
        section = section.model_fields[name].annotation
    return list(section.model_fields)
