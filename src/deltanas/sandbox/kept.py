"""Trainings kept on disk between runs: baselines are the same in each of them, and their long trainings cost most."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from deltanas.program import EMPTY, Failed, Program, Refused, Trained
from deltanas.seams import Built, Runner, Split
from deltanas.whole import write_whole

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@cache
def _form() -> TypeAdapter[Trained]:
    """What an entry holds; a child's process has no pydantic."""
    from pydantic import TypeAdapter

    return TypeAdapter(Trained)


class KeptTrainings:
    """A `Runner` that reads those trainings of some programs that were made before, and writes those that it makes.

    Only scores on the validation images are kept: a failure may be the machine's, and the test images are scored by
    each run itself. What is read has the seconds of the training that was made, and says that it is `cached`.

    An entry is a small file that appears whole or not at all, under a name that all that its score depends on makes,
    the seed too. So writers may be many and may be killed. One that can't be read is dropped, and the training made. A
    folder that can't be written costs time, never the search.
    """

    def __init__(self, runner: Runner, folder: Path, protocol: str, programs: Iterable[Program], epochs: int) -> None:
        """protocol: what scores depend on beside program, seed and length. epochs: the runner's own number."""
        self._runner = runner
        self._folder = folder
        self._protocol = protocol
        self._programs = {program.id for program in programs}
        self._epochs = epochs
        self._told = False

    @property
    def tier(self) -> str:
        return self._runner.tier

    def build(self, programs: Sequence[Program]) -> list[Built | Refused]:
        return self._runner.build(programs)

    def train(
        self, programs: Sequence[Program], *, seed: int, split: Split = "validation", epochs: int | None = None
    ) -> Iterator[tuple[int, Trained | Failed]]:
        kept = [self._place(each, seed, epochs or self._epochs) if split == "validation" else None for each in programs]
        known = {number: made for number, place in enumerate(kept) if place and (made := self._read(place))}
        yield from known.items()
        missing = [number for number in range(len(programs)) if number not in known]
        if not missing:
            return
        wanted = [programs[number] for number in missing]
        for position, outcome in self._runner.train(wanted, seed=seed, split=split, epochs=epochs):
            place = kept[missing[position]]
            if place and isinstance(outcome, Trained):
                self._write(place, outcome)
            yield missing[position], outcome

    def _place(self, program: Program, seed: int, epochs: int) -> Path | None:
        if program.id not in self._programs:
            return None
        text = json.dumps([self._protocol, seed, epochs, *(program.part(part) for part in EMPTY)])
        key = hashlib.sha256(text.encode()).hexdigest()
        return self._folder / key[:2] / key[2:]

    def _read(self, place: Path) -> Trained | None:
        try:
            digest, told, per_image = place.read_bytes().split(b"\n", 2)
            if digest != _digest(told, per_image):
                raise ValueError("its digest is another")
            return replace(_form().validate_json(told, strict=True), per_image=per_image or None, cached=True)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._warn(f"a kept training can't be read, so it is made again: {place}: {error}")
            with contextlib.suppress(OSError):
                place.unlink()
            return None

    def _write(self, place: Path, made: Trained) -> None:
        told, per_image = _form().dump_json(replace(made, per_image=None)), made.per_image or b""
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, b"\n".join([_digest(told, per_image), told, per_image]))
        except OSError as error:
            self._warn(f"a training can't be kept for other runs, and this one goes on: {error}")

    def _warn(self, words: str) -> None:
        if not self._told:
            logging.getLogger("deltanas").warning(words)
        self._told = True


def _digest(told: bytes, per_image: bytes) -> bytes:
    return hashlib.sha256(told + b"\n" + per_image).hexdigest().encode()
