"""The one noun that flows through the house: an immutable program, addressed by its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from deltanas.program.canonical import canonical_source
from deltanas.program.hyperparameters import assumed

Part = Literal["net", "transform", "prm"]
PARTS: tuple[Part, ...] = ("net", "transform", "prm")


@dataclass(frozen=True)
class Program:
    """A network program in named parts.

    Attributes:
        net: Python source by the LEMUR contract (`class Net`, `supported_hyperparameters`).
        transform: Python source of the training transform, "" for none.
        prm: hyperparameters as JSON text with sorted keys.
        parent: identity of the program this one was edited from; no part of its own identity.
    """

    net: str
    transform: str = ""
    prm: str = "{}"
    parent: str | None = field(default=None, compare=False)

    @cached_property
    def id(self) -> str:
        """Identity, 16 hexadecimal digits: equal where only comments, formatting or names of locals differ."""
        text = json.dumps([canonical_source(self.net), canonical_source(self.transform), self.prm])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def hyperparameters(self) -> dict[str, float]:
        values: dict[str, float] = json.loads(self.prm)
        return values

    def edited(self, part: Part, text: str) -> Program:
        """This program with one part replaced, and this program as its parent.

        Hyperparameters that a new `net` declares and this program lacks get their usual values.
        """
        match part:
            case "net":
                more = assumed(text, self.hyperparameters)
                prm = prm_text({**self.hyperparameters, **more}) if more else self.prm
                return replace(self, net=text, prm=prm, parent=self.id)
            case "transform":
                return replace(self, transform=text, parent=self.id)
            case "prm":
                return replace(self, prm=text, parent=self.id)


def prm_text(values: Mapping[str, float]) -> str:
    """Hyperparameters as the text that a `Program` holds."""
    return json.dumps(dict(values), sort_keys=True)
