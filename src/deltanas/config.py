"""The settings of a search: typed, frozen, read from TOML; an unknown key fails and names the known ones."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deltanas.errors import UsageError
from deltanas.learn.elites import Rule
from deltanas.learn.tuning import Packing, Schedule
from deltanas.llm import Dtype
from deltanas.trackers import Tracker
from deltanas.train.epochs import LEAST_STEPS
from deltanas.train.job import Augment

Strategy = Literal["delta", "full", "feedback", "channels", "random", "evolution", "bandit"]
Executor = Literal["local", "ray"]
Device = Literal["cpu", "cuda", "auto"]
Edits = Literal["architecture", "recipe", "both"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainConfig(_Section):
    """How a candidate is trained. The recipe is the same for all of them."""

    size: Annotated[int, Field(ge=1)] | None = Field(None, description="training images to use; all if not given")
    resize: Annotated[int, Field(ge=1)] | None = Field(
        None, description="height and width that images are squeezed to; as they are if not given"
    )
    epochs: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description=f"epochs of a training; auto: one where that gives at least {LEAST_STEPS} optimizer steps, else as"
        " many as reach them, by the batch of the default recipe (or of `prm`), the same for all candidates",
    )
    augment: tuple[Augment, ...] = Field(
        (), description="what is done to training images: flip (left to right) | crop (padded, at a random place)"
    )
    timeout: float = Field(300.0, gt=0, description="wall-clock limit of one training, in seconds")
    memory_gb: float = Field(4.0, gt=0, description="address space that a candidate may use, in GiB")
    workers: Annotated[int, Field(ge=1)] | None = Field(
        None, description="trainings at a time; as many as the cores allow if not given"
    )
    threads: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="CPU threads of a training; if neither this nor workers is given, as `deltanas calibrate`"
        " found best on this machine, else one",
    )
    unsafe: bool = Field(False, description="go on where the sandbox is weaker than tier B")
    device: Device = Field("cpu", description="cpu | cuda (one training a GPU) | auto (cuda where torch finds a GPU)")
    executor: Executor = Field("local", description="who trains: local (this machine) | ray (a Ray cluster)")
    address: str | None = Field(
        None, description="with ray: the cluster's HOST:PORT, or auto; one on this machine, for the run, if not given"
    )


class ModelConfig(_Section):
    """The language model and how it is decoded."""

    spec: str = Field("smollm2", description="smollm2 | hub:OWNER/NAME | gguf:PATH | path:DIR | openai:URL#MODEL")
    dtype: Dtype | None = Field(
        None,
        description="float32 | bfloat16 (faster where the processor has it); float32, on CUDA bfloat16, if not given",
    )
    four_bit: bool = Field(False, description="hold a local model's weights in 4 bits (NF4); needs CUDA")
    timeout: float = Field(120.0, gt=0, description="with a server: seconds for one reply, all its tries together")
    retries: int = Field(3, ge=0, description="with a server: further tries of a request that failed")
    decoding: Literal["typed", "anchored", "free"] = Field(
        "typed", description="what an edit is held to: typed (simple edits) | anchored (the program's lines) | free"
    )
    choice: Literal["goal", "any", "ranked"] = Field(
        "goal",
        description="with delta at level typed the model chooses among: goal (edits of one kind that meet a drawn goal)"
        " | any (edits of any kinds, as the control draws them) | ranked (the same; it writes nothing, and the edit is"
        " taken that the adapter made likeliest; of a local model)",
    )
    offers: int = Field(6, ge=2, description="with delta at level typed: so many edits are offered, at most")
    temperature: float = Field(0.7, gt=0, le=5, description="sampling temperature")
    top_p: float = Field(0.9, gt=0, le=1, description="nucleus of the sampling")
    top_k: int = Field(0, ge=0, description="draw among the likeliest so many tokens; 0: among all")
    max_prompt: int = Field(
        4096, ge=64, description="longest prompt, in tokens; a slot that needs a longer one is refused"
    )
    max_tokens: Annotated[int, Field(ge=16)] | None = Field(
        None, description="longest reply, in tokens; 512, of a whole program 1536, if not given"
    )
    batch: int = Field(8, ge=1, description="replies decoded at a time; with a server, requests under way at a time")
    adapter: str | None = Field(
        None, description="folder of a LoRA adapter that a local model wears; with learning, what its line begins with"
    )


class EvolutionConfig(_Section):
    """How strategy `evolution` chooses parents."""

    population: int = Field(100, ge=1, description="with evolution: the youngest so many trained candidates are alive")
    share: float = Field(0.25, gt=0, le=1, description="with evolution: share of them in each tournament")


class NoveltyConfig(_Section):
    """What is too like a program that the run holds."""

    threshold: float = Field(
        1.0,
        gt=0,
        le=1,
        description="a program as like another or more (Jaccard index of five-token shingles) is refused; 1: equal ones"
        " only, as small edits are alike by nature",
    )


class FeedbackConfig(_Section):
    """How strategy `feedback` remembers and what it writes."""

    window: int = Field(5, ge=0, description="with feedback: trials that the model is told of, the last ones")
    form: Literal["delta", "full"] = Field(
        "delta", description="with feedback: writes delta (an edit) | full (whole programs)"
    )


class LearnConfig(_Section):
    """What the model learns from after each cycle."""

    enabled: bool = Field(False, description="tune the model after each cycle on the elites so far")
    rule: Rule = Field(
        "gain", description="which edits are learned from: gain (over the parent, beyond noise) | floor | quantile"
    )
    beyond: float = Field(1.645, ge=0, description="with gain: standard errors that a gain must exceed")
    floor: float = Field(0.40, ge=0, le=1, description="with floor: the least accuracy")
    fallback: float = Field(0.35, ge=0, le=1, description="with floor: the least accuracy, where too few reach `floor`")
    least: int = Field(15, ge=0, description="with floor: fewer than so many are too few")
    share: float = Field(0.25, gt=0, le=1, description="with quantile: so much of the edits, the most accurate")
    per_family: Annotated[int, Field(ge=1)] | None = Field(
        None, description="elites of one family (a baseline and its descendants) at most; all if not given"
    )
    held_out: float = Field(
        0.2, ge=0, lt=1, description="share of the baselines that are not learned from, nor their descendants"
    )
    fewest: int = Field(4, ge=1, description="with fewer lessons a cycle leaves the model as it is")
    measured: int = Field(
        32, ge=0, description="elites (or pairs) learned from, and held out, measured before and after a tuning"
    )
    corpus: tuple[str, ...] = Field(
        (), description="files of measured edits (`deltanas learn corpus` writes them), learned from in each cycle"
    )


class TuningConfig(_Section):
    """One tuning by LoRA."""

    rank: int = Field(16, ge=1, description="rank of the adapter")
    alpha: int = Field(32, ge=1, description="the adapter's output is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="of the adapter's input")
    targets: tuple[str, ...] = Field(
        ("all-linear",), description="layers that get it, as q_proj or lm_head; all-linear: all but the output layer"
    )
    rate: float = Field(2e-4, gt=0, description="highest learning rate")
    schedule: Schedule = Field("cosine", description="cosine | linear | constant: the rate after the warm-up")
    warmup: int = Field(0, ge=0, description="steps that lead up to the highest rate")
    decay: float = Field(0.01, ge=0, description="AdamW's weight decay")
    clip: float = Field(1.0, gt=0, description="largest norm of a step's gradient")
    epochs: int = Field(1, ge=1, description="passes over the lessons")
    steps: Annotated[int, Field(ge=1)] | None = Field(None, description="optimizer steps, in place of the epochs")
    batch: int = Field(8, ge=1, description="lessons that go through the model at once")
    accumulation: int = Field(1, ge=1, description="batches of an optimizer step")
    together: int = Field(8, ge=1, description="lessons of one program that stay side by side, so that they share work")
    packing: Packing = Field("prefix", description="prefix (what prompts share is worked out once) | none")
    max_length: int = Field(4096, ge=16, description="longer lessons are left out, in tokens")
    checkpointing: bool = Field(False, description="recompute activations: less memory, about a third more time")


class SearchConfig(_Section):
    """One search. Every field has a default that works offline on a CPU."""

    dataset: str = Field("digits", description="data set, see `deltanas datasets list`")
    strategy: Strategy = Field(
        "delta",
        description="who proposes: delta (a language model) | full (it writes whole programs) | feedback (it remembers"
        " its last trials) | channels (it chooses widths) | random (the control) | evolution"
        " | bandit (over kinds of edits)",
    )
    edits: Edits = Field("architecture", description="what is edited: architecture | recipe | both")
    cycles: int = Field(2, ge=1, description="cycles")
    candidates: int = Field(8, ge=1, description="candidates a cycle")
    seed: int = Field(0, ge=0, description="the root of all chance")
    proposals: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = Field(
        1, description="drawn for a slot in each round, the first that passes is kept; auto: by what the run measured"
    )
    retries: int = Field(2, ge=0, description="further rounds for a slot of whose proposals none passed")
    seeds: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        1,
        description="trainings of each candidate, with derived seeds; their mean is its score; auto: one, and more"
        " where they may change which are the best",
    )
    seeds_budget: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="trainings a cycle on top of `seeds`, given out where they may change which are the best; with auto"
        " half as many as candidates, else none, if not given",
    )
    finals: int = Field(3, ge=0, description="elites re-trained with a fresh seed and scored on the test split")
    baselines: tuple[str, ...] = Field(
        (), description="names of built-in baselines, files, or lemur:RUN; all built-in ones if empty"
    )
    lemur_programs: int = Field(8, ge=1, description="programs drawn by rank from each lemur:RUN of the baselines")
    archive: str | None = Field(None, description="archive URL; an SQLite file in the run folder if not given")
    track: tuple[Tracker, ...] = Field(
        (), description="where the search is mirrored to while it runs: tensorboard | mlflow"
    )
    prm: dict[str, float] = Field({}, description="hyperparameters that replace the default recipe's")
    train: TrainConfig = TrainConfig()
    model: ModelConfig = ModelConfig()
    evolution: EvolutionConfig = EvolutionConfig()
    novelty: NoveltyConfig = NoveltyConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    learn: LearnConfig = LearnConfig()
    tuning: TuningConfig = TuningConfig()

    @property
    def asks_model(self) -> bool:
        """Whether the strategy asks a language model."""
        return self.strategy not in ("random", "evolution", "bandit")


def given_settings(
    path: Path | None = None, options: Mapping[str, object] | None = None, preset: str | None = None
) -> dict[str, Any]:
    """What a TOML file says, with `options` (dotted keys; None for not given) laid over it; not validated yet.

    preset: name of one of `presets()`, on which the file is laid.
    """
    values: dict[str, Any] = {} if preset is None else _toml(_preset(preset))
    values = values if path is None else _merged(values, _toml(path))
    for key, value in (options or {}).items():
        if value is not None:
            *sections, name = key.split(".")
            place = values
            for section in sections:
                place = place.setdefault(section, {})
            place[name] = value
    return values


def presets() -> dict[str, Path]:
    """The settings that come with deltanas, by name."""
    folder = Path(str(files("deltanas"))) / "presets"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def _preset(name: str) -> Path:
    known = presets()
    if name not in known:
        raise UsageError(f"no preset {name!r}", f"known: {', '.join(known)}; a file is given without --preset")
    return known[name]


def read_config(values: Mapping[str, Any]) -> SearchConfig:
    """The validated settings.

    Raises:
        UsageError: an unknown key, or a value of a wrong type or out of range.
    """
    try:
        return SearchConfig.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(*_explained(error)) from None


def resumed_config(stored: Mapping[str, Any], given: Mapping[str, Any]) -> SearchConfig:
    """The settings of a run that is taken up again: those it was begun with, but for how the machine is used.

    The run may be lengthened: `cycles` may grow.

    Raises:
        UsageError: `given` asks for something else than the run was begun with.
    """
    begun = read_config(stored)
    wanted = read_config(_merged(begun.model_dump(), given))
    settled = {key: getattr(begun.train, key) for key in ("device", "epochs") if getattr(wanted.train, key) == "auto"}
    if settled:  # it was begun with what there was
        wanted = read_config(_merged(wanted.model_dump(), {"train": settled}))
    may_change = {
        "track",
        "train.workers",
        "train.unsafe",
        "train.executor",
        "train.address",
        "model.timeout",
        "model.retries",
    }
    may_change |= {"tuning.batch", "tuning.accumulation", "tuning.checkpointing"}  # they move a step by rounding
    then, now = _flat(begun.model_dump()), _flat(wanted.model_dump())
    for key in now:
        longer = key == "cycles" and now[key] > then[key]
        if now[key] != then.get(key) and key not in may_change and not longer:
            raise UsageError(
                f"the run was begun with `{key}` = {then.get(key)!r}, not {now[key]!r}",
                "a run keeps its settings: leave the option out to resume it, or name another --run",
            )
    return wanted


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        merged[key] = _merged(merged[key], value) if isinstance(merged.get(key), dict) else value
    return merged


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no config file {path}", "give a TOML file, or leave it out for the defaults") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None


def _explained(error: ValidationError) -> tuple[str, str]:
    """The first fault as a message and a hint."""
    fault = error.errors()[0]
    place = [str(part) for part in fault["loc"]]
    key = ".".join(place)
    if fault["type"] == "extra_forbidden":
        known = _known(place[:-1])
        close = difflib.get_close_matches(place[-1], known, 1)
        hint = f"did you mean `{close[0]}`? " if close else ""
        return f"unknown config key `{key}`", f"{hint}known keys: {', '.join(known)}"
    return f"`{key}` = {fault['input']!r}: {fault['msg'][:1].lower()}{fault['msg'][1:]}", ""


def _known(sections: list[str]) -> list[str]:
    match sections:
        case ["train"]:
            return list(TrainConfig.model_fields)
        case ["model"]:
            return list(ModelConfig.model_fields)
        case ["evolution"]:
            return list(EvolutionConfig.model_fields)
        case ["novelty"]:
            return list(NoveltyConfig.model_fields)
        case ["feedback"]:
            return list(FeedbackConfig.model_fields)
        case ["learn"]:
            return list(LearnConfig.model_fields)
        case ["tuning"]:
            return list(TuningConfig.model_fields)
        case _:
            return list(SearchConfig.model_fields)
