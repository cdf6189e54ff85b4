"""Adapters tuned on lessons, each from the one before it. An adapter's folder exists whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError

from deltanas.errors import MALFORMED, ModelError, UsageError, aside
from deltanas.learn.loop import Keeper, Note, Objective, groups_nll, steps_of, train
from deltanas.learn.tuning import Tuned, Tuning
from deltanas.llm import Lesson, Message, Model, Preference, adapters
from deltanas.llm.local import LocalModel
from deltanas.llm.packing import Row

TUNING = "tuning.json"
"""Beside an adapter: its settings, and what `Tuned` says of it."""
EMBEDDED = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""What the hub calls the embedded model."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tuning stands in its line: the adapter `after` which it comes, and the one that it makes; see `tune`."""

    into: Path
    after: Path | None
    seed: int
    pause: float
    note: Note | None


def tune(model: Model, lessons: Sequence[Lesson], settings: Tuning, place: Place) -> Tuned:
    """See `learn.tune`."""
    local = tunable(model)
    groups = [(local.row(lesson.messages, lesson.completion),) for lesson in lessons]
    kept, heads = _fitting(groups, [lesson.messages[:-1] for lesson in lessons], settings)

    def likelihood() -> Objective:
        return Objective(kept, lambda _, nlls: nlls.sum(), [len(row.tokens) - row.begin for (row,) in kept])

    return _tuned(local, likelihood, kept, heads, settings, place, {"left_out": len(groups) - len(kept)})


def tune_preferences(model: Model, pairs: Sequence[Preference], settings: Tuning, place: Place, beta: float) -> Tuned:
    """See `learn.tune_preferences`."""
    local = tunable(model)
    groups = [(local.row(pair.messages, pair.better), local.row(pair.messages, pair.worse)) for pair in pairs]
    kept, heads = _fitting(groups, [pair.messages[:-1] for pair in pairs], settings)

    def preference() -> Objective:
        with torch.no_grad():
            started = dict(groups_nll(local.network, kept, range(len(kept)), settings, local.shared_tokens))

        def weigh(number: int, nlls: torch.Tensor) -> torch.Tensor:
            better, worse = started[number] - nlls
            return -torch.nn.functional.logsigmoid(beta * (better - worse))

        return Objective(kept, weigh, [1] * len(kept))

    told = {"left_out": len(groups) - len(kept), "beta": beta}
    return _tuned(local, preference, kept, heads, settings, place, told)


def tunable(model: Model) -> LocalModel:
    """The model, if its weights are here. Raises ModelError for one behind a server."""
    if not isinstance(model, LocalModel):
        raise ModelError(
            f"{model.name} can't be tuned: its weights are on a server.",
            "Tune a model on this machine (smollm2, hub:, path:), and give the server the adapter that comes of it.",
        )
    return model


def export_adapter(folder: Path, into: Path, base: str | None = None) -> Path:
    """See `learn.export_adapter`."""
    config, _ = adapters.read(folder)
    mark = adapters.lineage(folder)
    if base is None and mark and config.base_model_name_or_path == mark.base:
        kind, _, where = mark.base.partition(":")
        base = EMBEDDED if kind == "smollm2" else where if kind in ("hub", "path") else None
    elif base is None:
        base = config.base_model_name_or_path
    if base is None:
        raise UsageError(f"What a server calls the base model of {folder} is not known.", "Name it: OWNER/NAME.")
    if into.exists():
        raise UsageError(f"{into} exists already.", "Name a new folder.")
    with _appearing(into) as new:
        for name in (adapters.WEIGHTS, adapters.LINEAGE, TUNING):  # by the last two it is known here too
            if (folder / name).is_file():
                shutil.copy(folder / name, new)
        config.base_model_name_or_path = base
        config.save_pretrained(str(new))
    return into


def _fitting(
    groups: Sequence[tuple[Row, ...]], heads: Sequence[tuple[Message, ...]], settings: Tuning
) -> tuple[list[tuple[Row, ...]], list[tuple[Message, ...]]]:
    """Those that are not too long, each with the messages before its last."""
    if not groups:
        raise ModelError("There is nothing to learn from: no lesson.", "The search has to find better programs first.")
    lengths = [max(len(row.tokens) for row in group) for group in groups]
    fitting = [number for number, length in enumerate(lengths) if length <= settings.max_length]
    if not fitting:
        raise ModelError(
            f"All {len(groups)} lessons are longer than {settings.max_length} tokens, the shortest by "
            f"{min(lengths) - settings.max_length}.",
            "Raise max_length.",
        )
    return [groups[number] for number in fitting], [heads[number] for number in fitting]


def _tuned(
    model: LocalModel,
    objective: Callable[[], Objective],
    groups: Sequence[tuple[Row, ...]],
    heads: Sequence[tuple[Message, ...]],
    settings: Tuning,
    place: Place,
    told: dict[str, float],
) -> Tuned:
    """The adapter: as it is there already, else trained. `objective` is worked out on the adapter before."""
    parent = adapters.digest(place.after) if place.after else None
    rows = [(row.begin, row.tokens) for group in groups for row in group]
    what = [model.fingerprint, model.samples, parent, place.seed, _steps(settings), told, rows]
    key = hashlib.sha256(json.dumps(what).encode()).hexdigest()
    keeper = Keeper(place.into.with_name(f".{place.into.name}.part"), key, place.pause)
    if place.into.exists():
        keeper.file.unlink(missing_ok=True)
        return _found(place.into, key)
    steps = steps_of(heads, settings, place.seed)
    try:
        place.into.parent.mkdir(parents=True, exist_ok=True)
        with _learning(model, settings, place):
            progress = train(
                model.network, objective(), steps, settings, place.seed, keeper, model.shared_tokens, place.note
            )
            with _appearing(place.into) as new:
                prints = {"print_": model.fingerprint, "samples": model.samples}
                adapters.save(model.network, new, base=model.base, parent=parent, **prints)
                facts = {"key": key, "seed": place.seed, "settings": settings.model_dump(), "steps": len(steps)}
                (new / TUNING).write_text(json.dumps({**facts, **vars(progress), **told}) + "\n", "utf-8")
        keeper.file.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The adapter {place.into} can't be written: {error}", "It needs room.") from error
    return _found(place.into, key)


def _steps(settings: Tuning) -> dict[str, object]:
    """What of the settings says which steps are taken. How a step is cut into batches moves it by rounding alone."""
    said = settings.model_dump() | {"step": settings.step}
    return {name: value for name, value in said.items() if name not in ("batch", "accumulation", "checkpointing")}


def _found(folder: Path, key: str) -> Tuned:
    """What was made in `folder` by the tuning `key`."""
    try:
        told = json.loads((folder / TUNING).read_text("utf-8"))
        if told["key"] == key:
            return Tuned(
                folder, tuple(told["losses"]), told["steps"], told["tokens"], told["seconds"], told["left_out"]
            )
    except (OSError, *MALFORMED):
        pass
    raise ModelError(
        f"{folder} holds something else than this tuning.", f"Name a new folder, or put it aside: {aside(folder)}"
    )


@contextmanager
def _learning(model: LocalModel, settings: Tuning, place: Place) -> Iterator[None]:
    """The model has the adapter to be trained; afterwards the one that it had before."""
    worn = model.adapter
    with torch.random.fork_rng(devices=[model.network.device] if model.network.device.type == "cuda" else []):
        torch.manual_seed(place.seed)
        try:
            if place.after:
                _continue(model, settings, place.after)
            else:
                _begin(model, settings)
            if settings.checkpointing:
                _keep_activations(model, False)
            yield
        finally:
            if settings.checkpointing:
                _keep_activations(model, True)
            model.network.eval()
            model.adapt(worn)


def _begin(model: LocalModel, settings: Tuning) -> None:
    every = settings.targets == ("all-linear",)
    if not every:
        layers = [(name.rpartition(".")[2], layer) for name, layer in model.network.named_modules()]
        unknown = sorted(set(settings.targets) - {name for name, _ in layers})
        linear = {name for name, layer in layers if isinstance(layer, torch.nn.Linear)}
        if unknown:
            raise ModelError(
                f"{model.base} has no layers {', '.join(unknown)} to put an adapter on.",
                f"It has all-linear, or {', '.join(sorted(linear))}.",
            )
    model.wear(
        adapters.lora.LoraConfig(
            task_type="CAUSAL_LM",
            r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            target_modules=settings.targets[0] if every else list(settings.targets),
        )
    )


def _continue(model: LocalModel, settings: Tuning, after: Path) -> None:
    config, weights = adapters.read(after)
    adapters.check_base(after, config, model.base, model.fingerprint, model.samples)
    has = {"rank": config.r, "alpha": config.lora_alpha}
    if (after / TUNING).is_file():
        try:
            has["targets"] = tuple(json.loads((after / TUNING).read_text("utf-8"))["settings"]["targets"])
        except (OSError, *MALFORMED) as error:
            raise ModelError(f"{after / TUNING} can't be read: {error}", "Tune that adapter again.") from error
    for name, value in has.items():
        if value != getattr(settings, name):
            raise ModelError(
                f"The adapter {after} has {name} {value}; the settings say {getattr(settings, name)}.",
                f"Keep {name} along a line of adapters, or begin a new line.",
            )
    config.lora_dropout, config.inference_mode = settings.dropout, False
    model.wear(config, weights, after)


def _keep_activations(model: LocalModel, keep: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the newer names are not in every transformers 5
        if keep:
            model.network.gradient_checkpointing_disable()
            return
        try:
            model.network.gradient_checkpointing_enable({"use_reentrant": False})
        except ValueError as error:
            raise ModelError(f"{model.base} can't recompute activations.", "Leave checkpointing out.") from error


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A new folder to fill, which takes its name when all is in it."""
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
