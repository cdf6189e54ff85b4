"""The settings of a search: typed, frozen, read from TOML; an unknown key fails and names the known ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, FiniteFloat, create_model, field_validator

from deltanas import nets
from deltanas.errors import UsageError
from deltanas.learn import Tuning
from deltanas.learn.learner import Learning
from deltanas.llm import Dtype
from deltanas.program import SPACES, Part, parts_named
from deltanas.program.transforms.space import START_NAMES
from deltanas.propose import STRATEGIES, Asking, Strategy, strategy_named
from deltanas.settings import Section, listed, numbers
from deltanas.task import CLASSIFY, DENOISE, TASKS
from deltanas.trackers import Tracker
from deltanas.train.epochs import LEAST_STEPS, LONG_STEPS
from deltanas.train.settings import TrainConfig

__all__ = [
    "ModelConfig",
    "NoveltyConfig",
    "RecipesConfig",
    "SearchConfig",
    "TrainConfig",
    "read_config",
    "with_sections",
]


class ModelConfig(Asking):
    """The language model and how it is asked."""

    spec: str = Field(
        "smollm2", description="language model: smollm2 | hub:OWNER/NAME | gguf:PATH | path:DIR | openai:URL#MODEL"
    )
    dtype: Dtype | None = Field(
        None,
        description="float32 | bfloat16 (faster if the processor supports it); default: float32, on CUDA bfloat16",
    )
    four_bit: bool = Field(False, description="load a local model's weights in 4 bits (NF4); needs CUDA")
    timeout: float = Field(120.0, gt=0, description="with a server: limit for one reply with all its retries, seconds")
    retries: int = Field(
        6, ge=0, description="with a server: number of retries of a request that failed by a fault that may pass"
    )
    adapter: str | None = Field(
        None, description="folder of a LoRA adapter to load into a local model; with learning, the first of its lineage"
    )


class NoveltyConfig(Section):
    """How similar to a program of the run a new one may be."""

    threshold: float = Field(
        1.0,
        gt=0,
        le=1,
        description="refuse a program whose Jaccard similarity to an earlier one is at least this; 1 refuses exact"
        " copies only",
    )


class RecipesConfig(Section):
    """What is known of losses and optimizers."""

    prior: str | None = Field(
        None,
        description="with edits of the recipe: table of `recipes run`; losses and optimizers that scored higher in it,"
        " with the network that is most like the parent, are drawn more often; default: all as often",
    )


def _lengths(value: object) -> object:
    return () if value == "off" else numbers(value)


class SearchConfig(Section):
    """One search. Every field has a default that works offline on a CPU."""

    dataset: str = Field(
        "digits",
        description="name of a data set (`deltanas datasets list`), folder:PATH or npz:PATH; with pairs of images:"
        " photos, photos:PATH (clean photographs, noise is made), pairs:PATH (folders noisy/ and clean/) or npz:PATH",
    )
    task: str = Field(CLASSIFY.name, description=f"what the networks are asked to do: {' | '.join(TASKS)}")
    strategy: str = Field(
        "delta", description=f"who proposes: {' | '.join(STRATEGIES)} | package.module:NAME (one of your own)"
    )
    edits: Annotated[tuple[Part, ...], BeforeValidator(parts_named)] = Field(
        ("net",),
        description=f"parts to edit: {' | '.join(SPACES)}, or several, as net,recipe,transform: a slot edits one, those"
        " whose edits gained more come more often; with transform alone each baseline comes with five transforms",
    )
    steps_per_edit: int = Field(
        1,
        ge=1,
        le=8,
        description="number of simple edits, one after another and at different places, that one edit is made of; it is"
        " checked and journalled as one",
    )
    screen: str = Field(
        "off",
        description="many draws from the space of edits are ranked by measured edits, and the best alone are checked"
        " and trained: builtin (those that come with deltanas) | FILE | RUN (of another search) | off",
    )
    cycles: int = Field(2, ge=1, description="number of cycles; a higher number lengthens a run")
    candidates: int = Field(8, ge=1, description="number of candidates in a cycle")
    seed: int = Field(0, ge=0, description="seed of every random choice")
    proposals: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = Field(
        1,
        description="number of proposals for a slot in a round, the first that passes is kept; auto: by the run so far",
    )
    retries: int = Field(
        2, ge=0, description="how often to ask again when every proposal for a slot was refused; with experts never"
    )
    seeds: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        1,
        description="number of trainings of a candidate, each with its own seed; their mean is the score; auto: one,"
        " and more if they may change the choice of the best",
    )
    seeds_budget: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="number of trainings in a cycle beyond `seeds`, for candidates whose choice they may change;"
        " default: with auto half the number of candidates (with rungs of those that reach the last one), else 0",
    )
    rungs: Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_lengths)] | Literal["auto"] = Field(
        "auto",
        description="lengths of trainings, numbers of epochs, as 1,9: candidates are trained for the first, the most"
        f" promising for the next, and the last chooses parents and elites; auto: the least that give {LEAST_STEPS} and"
        f" {LONG_STEPS} optimizer steps, but one length where `train.epochs` is given, with pairs of images, with"
        " several objectives and with the strategy outside; off: one length, `train.epochs`",
    )
    promote: float = Field(
        0.25,
        gt=0,
        le=1,
        description="with several rungs: share of a cycle's candidates at a rung that go on to the next",
    )
    finals: int = Field(
        3,
        ge=0,
        description="number of elites retrained and scored on the test split, with their baselines and the best one",
    )
    final_epochs: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="number of epochs of the final training; default: those of the longest training in the search",
    )
    objectives: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        (),
        description="what is better: the task's metric (accuracy, psnr), params, flops, macs, latency_ms, traffic;"
        " with several of them the front chooses parents and finals; the metric alone if empty",
    )
    npu: str = Field(
        "ethos-u85", description="processor whose compiler tells `traffic`, a target of `deltanas npu check`"
    )
    max_params: Annotated[int, Field(ge=1)] | None = Field(
        None, description="a network with more trainable parameters is refused; any number if not given"
    )
    max_flops: Annotated[int, Field(ge=1)] | None = Field(
        None, description="a network with more FLOPs an image is refused; any number if not given"
    )
    growth: Annotated[float, Field(ge=1)] | Literal["off"] = Field(
        1.5,
        description="a network with more than this many times the FLOPs or parameters of the baseline that it descends"
        " from is refused, and none is offered; off: any number",
    )
    baselines: tuple[str, ...] = Field(
        (),
        description="baselines: built-in names, files, lemur:RUN or suggested; default: all built-in ones of the task"
        " but a teacher, if the transform alone is edited resnet",
    )
    transforms: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        (),
        description="with edits of the transform alone: transforms that each baseline comes with, of"
        f" {', '.join(START_NAMES)}; default: all of them",
    )
    lemur_programs: int = Field(
        8, ge=1, description="number of programs drawn by rank from each lemur:RUN of the baselines"
    )
    suggested_programs: int = Field(
        3, ge=1, description="number of programs that `suggested` among the baselines stands for, the best of suggest"
    )
    pictures: int = Field(
        5,
        ge=0,
        le=20,
        description="number of training images that a run keeps, small, to show in its report what transforms do; 0"
        " keeps none, as does a run without transforms",
    )
    archive: str | None = Field(
        None, description="URL of the archive, as postgresql://HOST/NAME; default: an SQLite file in the run folder"
    )
    track: tuple[Tracker, ...] = Field(
        (), description="trackers to send the search to while it runs: tensorboard | mlflow"
    )
    prm: dict[str, FiniteFloat] = Field({}, description="hyperparameters, in place of the default recipe's")
    train: TrainConfig = TrainConfig()
    model: ModelConfig = ModelConfig()
    novelty: NoveltyConfig = NoveltyConfig()
    recipes: RecipesConfig = RecipesConfig()
    learn: Learning = Learning()
    tuning: Tuning = Tuning()

    @field_validator("rungs")
    @classmethod
    def _ascending(cls, rungs: tuple[int, ...] | Literal["auto"]) -> tuple[int, ...] | Literal["auto"]:
        if rungs != "auto" and any(one >= other for one, other in pairwise(rungs)):
            raise ValueError("each number of epochs must be larger than the one before, as in 1,9")
        return rungs

    @field_validator("task")
    @classmethod
    def _known_task(cls, name: str) -> str:
        if name not in TASKS:
            raise ValueError(f"there is none of this name; known: {', '.join(TASKS)}")
        return name

    @field_validator("transforms")
    @classmethod
    def _known_transforms(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in START_NAMES]:
            raise ValueError(f"there is no {unknown[0]!r}; known: {', '.join(START_NAMES)}")
        return tuple(dict.fromkeys(names))

    @property
    def proposing(self) -> Strategy:
        """The record of the strategy."""
        return strategy_named(self.strategy)

    @property
    def asks_outside(self) -> bool:
        """Its slots are filled by whoever asks for one, not by a proposer of this package."""
        return self.strategy == "outside"

    @property
    def lengths(self) -> tuple[int, ...]:
        """Numbers of epochs of its trainings, two or more; none where it has one length, or where none is settled."""
        return self.rungs if self.rungs != "auto" and len(self.rungs) > 1 else ()

    @property
    def shortest(self) -> int | None:
        """Number of epochs of the first of several lengths, for which `train.timeout` is; None where there is one."""
        return self.lengths[0] if self.lengths else None

    def at(self, rungs: tuple[int, ...]) -> Self:
        """With these lengths. The number of epochs of a training is that of the longest one."""
        train = self.train.model_copy(update={"epochs": rungs[-1]}) if rungs else self.train
        return self.model_copy(update={"rungs": rungs, "train": train})

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of `edits` that the strategy can draw from."""
        only = self.proposing.only
        return tuple(part for part in self.edits if not only or part in only)


def with_sections(strategies: Iterable[Strategy]) -> type[SearchConfig]:
    """`SearchConfig` with a section, of its name, for each of the strategies that has settings of its own."""
    records = {one.name: one for one in strategies}
    if taken := records.keys() & SearchConfig.model_fields:
        raise UsageError(f"the strategy {taken.pop()!r} has the name of a setting", "give it another")
    return _composed(tuple((name, one.settings) for name, one in records.items() if one.settings))


@cache
def _composed(sections: tuple[tuple[str, type[Section]], ...]) -> type[SearchConfig]:
    fields: dict[str, Any] = {name: (kind, kind()) for name, kind in sections}
    return create_model("SearchConfig", __base__=SearchConfig, **fields)


def read_config(values: Mapping[str, Any]) -> SearchConfig:
    """The validated settings, among them those of the built-in strategies and of the one that is named.

    Raises:
        UsageError: an unknown key, a value of a wrong type or out of range, no such strategy, or settings that exclude
            one another.
    """
    name = values.get("strategy")
    own = [strategy_named(name)] if isinstance(name, str) else []
    config = with_sections([*STRATEGIES.values(), *own]).read(values)
    if config.rungs == "auto" and _has_one_length(config):
        config = config.at(())
    _require_consistent(config)
    if config.rungs != "auto":
        config = config.at(config.rungs)
    # The metric alone is what is meant where no objective is given.
    alone = config.objectives == (TASKS[config.task].metric.name,)
    return config.model_copy(update={"objectives": ()}) if alone else config


def _has_one_length(config: SearchConfig) -> bool:
    """Where nobody gives lengths, whatever the data."""
    return config.train.epochs != "auto" or len(config.objectives) > 1 or config.asks_outside


def _require_consistent(config: SearchConfig) -> None:
    if config.task == DENOISE.name:
        _require_no_classifiers(config)
    if not config.parts:
        only = config.proposing.only
        raise UsageError(
            f"strategy {config.strategy} edits {', '.join(only)} alone, and `edits` = {','.join(config.edits)}",
            f"take --edits {','.join(only)}, or another strategy",
        )
    rungs = () if config.rungs == "auto" else config.rungs
    if rungs and config.train.epochs not in ("auto", rungs[-1]):
        raise UsageError(
            f"`train.epochs` = {config.train.epochs} and `rungs` = {','.join(map(str, rungs))} exclude one"
            " another: the last rung is the number of epochs of a whole training",
            f"leave train.epochs out, or give it {rungs[-1]}",
        )
    if config.rungs != "auto" and not config.lengths and config.promote != SearchConfig.model_fields["promote"].default:
        raise UsageError(
            f"`promote` = {config.promote} says who goes on from one of several `rungs` to the next, and there is one"
            " length of training",
            "give rungs, as --set rungs=1,9, or leave promote out",
        )
    if "transform" in config.edits and config.train.augment:
        raise UsageError(
            f"`train.augment` = {','.join(config.train.augment)} and edits of the transform exclude one another: a"
            " transform says all that is done to training images",
            "leave train.augment out: edits of the transform bring flips and crops in, and with --edits transform alone"
            " they are among the baselines",
        )
    if config.transforms and config.edits != ("transform",):
        raise UsageError(
            f"`transforms` needs edits of the transform alone, and `edits` = {','.join(config.edits)}",
            "take --edits transform, or leave transforms out",
        )
    if config.model.reason and config.model.choice == "ranked" and config.model.decoding == "typed":
        raise UsageError(
            "`model.reason` and `model.choice` = ranked exclude one another: a model that ranks edits writes nothing",
            "leave model.reason out, or set model.choice=any",
        )


def _require_no_classifiers(config: SearchConfig) -> None:
    """Raises UsageError where a search for denoisers is to begin with what is known of classifiers."""
    if any(SPACES[part].of == "transform" for part in config.parts):
        raise UsageError(
            f"transforms change images alone, and the task {config.task} has images on both sides",
            "take --edits net, or net,recipe: pairs are flipped and transposed as it is",
        )
    if config.screen == "builtin":
        raise UsageError(
            "the gains that come with deltanas are those of classifiers",
            "leave screen out, or name a run that searched denoisers: --screen RUN",
        )
    for name in config.baselines:
        if name.partition(":")[0] in ("lemur", "suggested"):
            raise UsageError(
                f"the baselines {name} are classifiers",
                f"name denoisers: {', '.join(nets.baselines(DENOISE.name))}, or files",
            )
