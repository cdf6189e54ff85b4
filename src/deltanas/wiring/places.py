"""Where what a run needs lies: a run begun in one place goes on in another, if what lies there is the same.

A place (a folder, a file, a server's address) is no part of a run's identity; what lies there is, by its hash.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from deltanas.archive import RunArchive
from deltanas.config import SearchConfig, read_config
from deltanas.errors import DataError, UsageError
from deltanas.forecast import NO_TABLES, Forecaster
from deltanas.learn.learner import Teaching
from deltanas.llm import HeldModel, Model, parse_spec
from deltanas.program import Program
from deltanas.settings import flat, given_settings, merged
from deltanas.wiring.programs import programs_of

_WEIGHTS = "adapter_model.safetensors"
_KINDS = {"dataset": ("folder", "npz", "photos", "pairs"), "model.spec": ("path", "gguf")}
"""Settings whose value names a path behind the name of a kind."""


def began(folder: Path) -> dict[str, str]:
    """Where a run in `folder` is begun: the working directory, and the way to it from the run's folder."""
    here = Path.cwd()
    return {"in": str(here), "from_run": os.path.relpath(here, folder.resolve())}


def located(config: SearchConfig, manifest: Mapping[str, object], folder: Path) -> SearchConfig:
    """The settings with their relative or moved paths as they are found now. folder: the run's, as it is named now.

    A path is looked for from where the run was begun, then as far from the run's folder as it was (both were moved
    together), then from the working directory. One that is nowhere stays as it is.
    """
    start = manifest.get("began")
    if not isinstance(start, dict):
        return config

    def found(place: str) -> str:
        return str(_found(Path(place).expanduser(), Path(start["in"]), folder.resolve() / start["from_run"]))

    return _moved(config, found)


def told_here(config: SearchConfig, manifest: Mapping[str, object]) -> SearchConfig:
    """The settings with whole paths in place of relative ones, where the run was begun in another working directory."""
    start = manifest.get("began")
    if isinstance(start, dict) and start["in"] == str(Path.cwd()):
        return config
    return _moved(config, lambda place: str(Path(place).expanduser().absolute()))


def _moved(config: SearchConfig, found: Callable[[str], str]) -> SearchConfig:
    values, places = flat(config.model_dump()), dict[str, object]()
    for key, kinds in _KINDS.items():
        kind, _, place = values[key].partition(":")
        if kind in kinds and place:
            places[key] = f"{kind}:{found(place)}"
    if config.model.adapter:
        places["model.adapter"] = found(config.model.adapter)
    if config.recipes.prior:
        places["recipes.prior"] = found(config.recipes.prior)
    if config.screen not in NO_TABLES:
        places["screen"] = found(config.screen)
    places["learn.corpus"] = tuple(map(found, config.learn.corpus))
    return read_config(merged(config.model_dump(), given_settings(options=places)))


def require_there(dataset: str) -> None:
    """Raises DataError where the folder or file of a run's data is not there any more."""
    kind, _, place = dataset.partition(":")
    if kind in _KINDS["dataset"] and place and not Path(place).expanduser().exists():
        raise DataError(
            f"the run's data is not at {place} any more", f"name the place where it is now: --dataset {kind}:PLACE"
        )


def contents(
    config: SearchConfig, model: Model | None, teaching: Teaching | None, forecast: Forecaster | None = None
) -> dict[str, str]:
    """Hashes of what lies at the places that the settings name; the model behind a server is known by its name."""
    found: dict[str, str] = {}
    if isinstance(model, HeldModel):
        found["model.spec"] = model.digest
    elif model is not None and (name := _served(config)):
        found["model.spec"] = name
    if config.model.adapter and (weights := Path(config.model.adapter).expanduser() / _WEIGHTS).is_file():
        found["model.adapter"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    if config.recipes.prior:
        found["recipes.prior"] = hashlib.sha256(Path(config.recipes.prior).expanduser().read_bytes()).hexdigest()
    if teaching and teaching.more:
        found["learn.corpus"] = hashlib.sha256(repr(teaching.more).encode()).hexdigest()
    if forecast:
        found["screen"] = forecast.table.digest
    return found


def require_same_server(begun: SearchConfig, config: SearchConfig) -> None:
    """Raises UsageError where a server is to run another model: that is known before any is opened."""
    if _served(begun) != _served(config):
        raise _other("model.spec", begun.model.spec, config.model.spec)


def require_same_contents(run: RunArchive, begun: SearchConfig, config: SearchConfig, found: Mapping[str, str]) -> None:
    """Raises UsageError where a model, an adapter, a corpus or a table is not the one that the run was begun with."""
    known = run.manifest.get("contents")
    hashes = known if isinstance(known, dict) else {}
    if "model.spec" in found and (name := _served(begun)):
        hashes = {"model.spec": name, **hashes}
    then, now = flat(begun.model_dump()), flat(config.model_dump())
    for key in ("model.spec", "model.adapter", "learn.corpus", "recipes.prior", "screen"):
        moved = now[key] != then[key]
        if (key in hashes and hashes[key] != found.get(key, hashes[key])) or (moved and key not in hashes):
            raise _other(key, then[key], now[key])


def _other(key: str, then: object, now: object) -> UsageError:
    what = f"`{key}` = {then!r}"
    return UsageError(
        f"{what} is not what it was at the start" if then == now else f"the run was begun with {what}, not {now!r}",
        "a run keeps what it was begun with, wherever that lies: put it back, or begin another with --run",
    )


def baselines_of(run: RunArchive, begun: SearchConfig, config: SearchConfig) -> dict[str, Program] | None:
    """The run's baselines as it holds them, None before there are any: their files may be gone.

    Raises UsageError where other baselines are asked for.
    """
    rows = run.baselines()
    held = {row.name: row.draft.program if row.draft else Program.of("") for row in rows}
    if rows and config.baselines != begun.baselines:
        wanted = {name: program.id for name, program in programs_of(config).items()}
        known = {row.name: row.draft.program.id for row in rows if row.draft}
        if any(wanted.get(name) != identity for name, identity in known.items()) or wanted.keys() != held.keys():
            raise UsageError(
                f"the run was begun with other baselines: {', '.join(held)}",
                "a run keeps its baselines: leave the option out to resume it, or name another --run",
            )
    return held or None


def _served(config: SearchConfig) -> str:
    """The name of a model behind a server, "" for one on this machine."""
    spec = parse_spec(config.model.spec)
    return f"model:{spec.where.rpartition('#')[2]}" if spec.kind == "openai" else ""


def _found(place: Path, then: Path, now: Path) -> Path:
    ways = [then / place]
    if not place.is_absolute():
        ways += [now / place, Path.cwd() / place]
    elif place.is_relative_to(then):
        ways.append(now / place.relative_to(then))
    return next((Path(os.path.normpath(way)) for way in ways if way.exists()), place)
