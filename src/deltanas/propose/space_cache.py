"""What build checks showed, kept on disk by program: a space is verified once, whoever draws from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from deltanas.program import EMPTY, Program, Refused
from deltanas.seams import Builds, Built
from deltanas.whole import write_whole

_ANSWER: TypeAdapter[Built | Refused] = TypeAdapter(Built | Refused)
_OWN_FAULT = "line "
"""How the reason begins where the program itself raised. Other refusals may be the machine's: time, memory."""


class CachedBuilds:
    """Build checks that were made before are read, the others made and written. Holds no lock.

    An entry is a small file that appears whole or not at all, so writers may be many and may be killed; one that can't
    be read is dropped and made anew. A folder that can't be written costs time, never the search. Refusals that a
    loaded machine may have caused are not kept.
    """

    def __init__(self, builds: Builds, folder: Path, check: str) -> None:
        """check: says what else the answers depend on: shapes, versions, the check's own code."""
        self._builds = builds
        self._folder = folder
        self._check = check

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        places = [self._place(program) for program in programs]
        known = {place: answer for place in dict.fromkeys(places) if (answer := _read(place)) is not None}
        missing = {place: program for place, program in zip(places, programs, strict=True) if place not in known}
        for place, answer in zip(missing, self._builds.build(list(missing.values())), strict=True):
            known[place] = answer
            if isinstance(answer, Built) or answer.reason.startswith(_OWN_FAULT):
                _write(place, answer)
        return [known[place] for place in places]

    def _place(self, program: Program) -> Path:
        text = json.dumps([self._check, *(program.part(part) for part in EMPTY)])
        key = hashlib.sha256(text.encode()).hexdigest()
        return self._folder / key[:2] / f"{key[2:]}.json"


def _read(place: Path) -> Built | Refused | None:
    try:
        return _ANSWER.validate_json(place.read_bytes(), strict=True)
    except OSError:
        return None
    except ValidationError:
        with contextlib.suppress(OSError):
            place.unlink()
        return None


def _write(place: Path, answer: Built | Refused) -> None:
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, _ANSWER.dump_json(answer))
