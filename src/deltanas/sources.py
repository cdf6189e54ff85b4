"""Where the text of programs comes from: files, the built-in baselines, LEMUR's programs in an imported run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from deltanas import lemur, nets
from deltanas.archive import POINTER, read_folder
from deltanas.config import SearchConfig
from deltanas.errors import UsageError
from deltanas.program import Refused

MAX_BYTES = 1_000_000
"""Longest file that is read as a program."""


def chosen_sources(config: SearchConfig) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """(name, source, hyperparameters that are given) of each baseline that the settings name.

    Built-in ones by name, others by file, LEMUR's drawn from an imported run (`lemur`, `lemur:RUN`).

    Raises:
        UsageError: none of these, or a file that can't be read as text.
    """
    sources = nets.baselines()
    for name in config.baselines:
        kind, _, place = name.partition(":")
        if kind == "lemur":
            yield from _lemur_programs(Path(place) if place else _imported_run(), config)
        elif name in sources:
            yield name, sources[name], config.prm
        elif not Path(name).exists():
            raise UsageError(
                f"no baseline {name!r}: neither built in nor a file",
                f"built in: {', '.join(sources)}; lemur:RUN draws from imported programs",
            )
        else:
            source = read_source(Path(name))
            if isinstance(source, Refused):
                raise UsageError(f"the baseline {name} can't be used: {source.reason}")
            yield Path(name).stem, source, config.prm


def _lemur_programs(path: Path, config: SearchConfig) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """Classifiers of an imported run, drawn by rank, each with the hyperparameters of its best trial."""
    with read_folder(path).open() as run:
        if run.trials.part != "net":
            raise UsageError(f"{path} holds transforms and no networks", "name a run of `deltanas lemur import WHEEL`")
        order = lemur.ranked(run.trials.trials(epoch=1), config.dataset)
        chosen = lemur.drawn(order, config.lemur_programs, Random(f"{config.seed}:lemur"))
        sources = run.trials.sources([trial.experiment.program for trial in chosen])
    if not chosen:
        raise UsageError(
            f"{path} holds no classifier that was measured after one epoch", "import some: deltanas lemur import WHEEL"
        )
    for trial in chosen:
        yield trial.experiment.program, sources[trial.experiment.program], {**trial.prm, **config.prm}


def _imported_run() -> Path:
    found = sorted(pointer.parent for pointer in Path("runs").glob(f"lemur-*/{POINTER}"))
    if len(found) != 1:
        known = ", ".join(f"lemur:{path}" for path in found) or "none; import some: deltanas lemur import WHEEL"
        raise UsageError(f"`lemur` is the one run runs/lemur-*, and there are {len(found)}", f"known: {known}")
    return found[0]


def read_source(path: Path) -> str | Refused:
    """A candidate's file as text; a file that can't be a program is refused as a candidate, not an error.

    Raises:
        UsageError: there is no such file, or it can't be opened.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from None
    return source_of(data)


def source_of(data: bytes) -> str | Refused:
    """What a candidate's file holds, as text."""
    if len(data) > MAX_BYTES:
        return Refused("contract", f"the file has more than {MAX_BYTES:,} bytes")
    if b"\0" in data:
        return Refused("contract", f"not a text file: a NUL byte at offset {data.index(0)}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Refused("contract", f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}")
