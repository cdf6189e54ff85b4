"""Where the text of programs comes from: files, the built-in baselines, LEMUR's programs in an imported run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

from deltanas import lemur, nets
from deltanas.archive import POINTER, read_folder
from deltanas.config import SearchConfig
from deltanas.errors import UsageError
from deltanas.lemur.layout import PUBLISHED
from deltanas.program import Refused, Trained
from deltanas.program.trial import Trial
from deltanas.records import Candidate
from deltanas.standings import Evidence, Measured
from deltanas.suggest import suggested

OURS = {theirs: ours for ours, theirs in PUBLISHED.items()}
"""Our names of data sets where LEMUR's differ."""
Told = Callable[[str], None]
_PLACED = ("folder", "npz")
MAX_BYTES = 1_000_000
"""Longest file that is read as a program."""


def chosen_sources(config: SearchConfig, tell: Told | None = None) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """(name, source, hyperparameters that are given) of each baseline that the settings name.

    Built-in ones by name, others by file, LEMUR's drawn from an imported run (`lemur`, `lemur:RUN`) or named there
    (`lemur:RUN#NAME`), and called RUN#NAME where another program has this name; `suggested`, `suggested:PLACE` stand
    for the first that `deltanas suggest` names.

    tell: told of what an imported run holds and suggestions leave out.

    Raises:
        UsageError: none of these, or a file that can't be read as text.
    """
    found = list(_chosen(config, tell))
    for name, source, prm, run in found:
        others = [one for one in found if one[0] == name and one[1:3] != (source, prm)]
        yield f"{run}#{name}" if run and others else name, source, prm


def _chosen(config: SearchConfig, tell: Told | None) -> Iterator[tuple[str, str, Mapping[str, float], str]]:
    """As `chosen_sources`, with the name of the imported run that a program is from, or ""."""
    sources = nets.baselines(config.task)
    for name in _expanded(config, tell):
        kind, _, place = name.partition(":")
        run, _, program = place.rpartition("#")
        if kind == "lemur" and run:
            yield from ((*one, Path(run).name) for one in _lemur_programs(Path(run), config, tell, program))
        elif kind == "lemur":
            path = Path(place) if place else _imported_run()
            yield from ((*one, path.name) for one in _lemur_programs(path, config, tell))
        elif name in sources:
            yield name, sources[name], config.prm, ""
        elif not Path(name).exists():
            known = (
                f"built in: {', '.join(sources)}; lemur:RUN draws from imported programs, `suggested` takes the best"
            )
            several = " ".join(f"--baseline {one.strip()}" for one in name.split(","))
            raise UsageError(
                f"no baseline {name!r}: neither built in nor a file",
                f"several are given as {several}" if "," in name else known,
            )
        else:
            source = read_source(Path(name))
            if isinstance(source, Refused):
                raise UsageError(f"the baseline {name} can't be used: {source.reason}")
            yield Path(name).stem, source, config.prm, ""


def _expanded(config: SearchConfig, tell: Told | None) -> Iterator[str]:
    """The names with `suggested` replaced by what it stands for."""
    for name in config.baselines:
        kind, _, place = name.partition(":")
        if kind == "suggested":
            found = suggested([evidence_of(place or "lemur", tell)], nets.baselines(), data_at(config.dataset))
            yield from (one.program for one in found[: config.suggested_programs])
        else:
            yield name


def _lemur_programs(
    path: Path, config: SearchConfig, tell: Told | None, name: str = ""
) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """Classifiers of an imported run, drawn by rank or the one that is named, each with the hyperparameters of its best
    trial. None is drawn for a trial that is misfiled.
    """
    with read_folder(path).open() as run:
        if run.trials.part != "net":
            raise UsageError(f"{path} holds transforms and no networks", "name a run of `deltanas lemur import WHEEL`")
        if name:
            chosen = _best_named(run.trials.trials(), name, config.dataset)
        else:
            kept, wrong = lemur.scored(run.trials.trials(), 1)
            _tell_misfiled(wrong, tell)
            order = lemur.ranked(kept, config.dataset)
            chosen = lemur.drawn(order, config.lemur_programs, Random(f"{config.seed}:lemur"))
        sources = run.trials.sources([trial.experiment.program for trial in chosen])
    if not chosen and name:
        raise UsageError(
            f"{path} holds no classifier {name!r} that was measured",
            f"`deltanas suggest --dataset {config.dataset} --from lemur:{path}` names some",
        )
    if not chosen:
        raise UsageError(
            f"{path} holds no classifier that was measured after one epoch", "import some: deltanas lemur import WHEEL"
        )
    for trial in chosen:
        yield trial.experiment.program, sources[trial.experiment.program], {**trial.prm, **config.prm}


def _best_named(trials: Sequence[Trial], name: str, dataset: str) -> list[Trial]:
    """The best trial of one program: on the data set, or where it ranks highest if it was not measured there."""
    for where in (dataset, ""):  # no data set is called so: all are taken
        for trial in lemur.ranked(trials, where, epoch=None):
            if trial.experiment.program == name:
                return [trial]
    return []


def evidence_of(place: str, tell: Told | None = None) -> Evidence:
    """What was measured at a place: `lemur:RUN` or `lemur`, the folder of a run, or a table of `suitability_table`.

    Programs are named as `--baselines` takes them: those of an imported run as lemur:RUN#NAME. Of a search and of a
    table the built-in baselines count, as others can't be named so. tell: told of each trial that is left out.

    Raises:
        UsageError: there is nothing of the kind at this place.
    """
    kind, _, named = place.partition(":")
    path = Path(place)
    if kind == "lemur":
        return _of_lemur(Path(named) if named else _imported_run(), tell)
    if path.suffix == ".whl":
        return _of_lemur(path, tell)
    if path.is_file():
        return _of_table(path)
    if not (path / POINTER).exists():
        raise UsageError(
            f"{place} is no run and no table of trainings",
            "name lemur:RUN (`deltanas lemur import WHEEL` makes one), the folder of a run, or a table",
        )
    with read_folder(path).open() as run:
        manifest = run.manifest
        rows = run.baselines() if "config" in manifest else []
    if "config" not in manifest:
        return _of_lemur(path, tell)
    begun = manifest.get("began")
    start = Path(str(begun["in"])) if isinstance(begun, Mapping) else Path()
    return _of_run(data_at(str(_setting(manifest, "dataset")), start), rows)


def data_at(dataset: str, start: Path | None = None) -> str:
    """A data set by one name: folder:PATH and npz:PATH with the whole path, from `start` or the working directory."""
    kind, _, place = dataset.partition(":")
    if kind in _PLACED and place:
        return f"{kind}:{((start or Path()) / Path(place).expanduser()).resolve()}"
    return dataset


def _setting(manifest: Mapping[str, object], key: str) -> object:
    config = manifest.get("config")
    return config.get(key) if isinstance(config, Mapping) else None


def _of_lemur(path: Path, tell: Told | None) -> Evidence:
    """Without the trials that are misfiled.

    Raises:
        UsageError: it was not imported, so that a search could not take programs from there.
    """
    if not (path / POINTER).exists():
        raise UsageError(
            f"{path} is no imported run", "make one with `deltanas lemur import WHEEL`, and name it as lemur:RUN"
        )
    trials, sources = trials_in(path)
    kept, wrong = lemur.sifted(trials)
    _tell_misfiled(wrong, tell)
    rows = []
    for trial in kept:
        _, dataset, _, name = trial.experiment
        rows.append(Measured(f"lemur:{path}#{name}", OURS.get(dataset, dataset), trial.epoch, trial.accuracy))
    return Evidence(rows, {f"lemur:{path}#{name}": text for name, text in sources.items()}, tuned=True)


def _tell_misfiled(wrong: Sequence[Trial], tell: Told | None) -> None:
    if tell is not None:
        for line in lemur.told_misfiled(wrong):
            tell(line)


def _of_run(dataset: str, rows: Iterable[Candidate]) -> Evidence:
    """The baselines that are built in, by the text as it is now, but for those that failed in a longer training."""
    known = {source: name for name, source in nets.baselines().items()}
    measured = [
        Measured(known[row.program.net], dataset, training.epochs, training.score)
        for row in rows
        if isinstance(row.outcome, Trained) and row.program
        if row.program.net in known and not row.program.transform
        for training in row.trainings
        if isinstance(training, Trained)
    ]
    return Evidence(measured, nets.baselines(), tuned=False)


def _of_table(path: Path) -> Evidence:
    """Raises UsageError where a row says neither what was trained on what, nor how it scored."""
    held = nets.baselines()
    rows = []
    try:
        for line in path.read_text("utf-8").splitlines(keepends=True):
            row = json.loads(line) if line.endswith("\n") else {}  # a kill cuts the last line short
            if row.get("score") is not None and _text(row["program"]) in held:
                place = data_at(_text(row["dataset"]))
                rows.append(Measured(row["program"], place, int(row["epochs"]), _accuracy(row["score"])))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path} is no table of trainings: {error!r}",
            "take a table of `python -m benchmarks suitability_table`: JSON lines with program, dataset, epochs, score",
        ) from None
    return Evidence(rows, held, tuned=False)


def _text(value: object) -> str:
    """Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no name")
    return value


def _accuracy(value: object) -> float:
    """Raises ValueError."""
    if not 0 <= (number := float(str(value))) <= 1:
        raise ValueError(f"a score is {number}, and no share of right images")
    return number


def trials_in(path: Path) -> tuple[list[Trial], dict[str, str]]:
    """The trials of networks in an imported run, a wheel or a folder in LEMUR's layout, and the networks' texts.

    Raises:
        UsageError: there is nothing at this place, or it holds no trials of networks.
        DataError: it is no wheel that can be read.
    """
    if (path / POINTER).exists():
        with read_folder(path).open() as run:
            networks = run.trials.part == "net"
            trials, sources = (run.trials.trials(), run.trials.sources()) if networks else ([], {})
    else:
        held = lemur.Memory()
        with lemur.open_tree(path) as tree:
            lemur.import_tree(tree, held, lambda *_: None)
        trials, sources = held.trials, held.sources
    if not trials:
        raise UsageError(
            f"{path} holds no trials of networks",
            "take one that does: `pip download --no-deps nn-dataset==1.2.6` fetches a wheel with trials",
        )
    return trials, sources


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
        task = nets.task_with(str(path))
        written = f"""python -c "from deltanas import nets; print(nets.baseline('{path}', '{task}'))" > {path}.py"""
        hint = f"it is a built-in network; write it to a file: `{written}`" if task else "name a file that you may read"
        raise UsageError(f"{path} can't be read: {error.strerror}", hint) from None
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
