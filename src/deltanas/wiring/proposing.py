"""From settings to who proposes: the strategy with its model and its space of edits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from deltanas.check import Limits
from deltanas.config import SearchConfig
from deltanas.errors import UsageError
from deltanas.llm import Message, Model, Request, open_model, parse_spec
from deltanas.objective import objectives_of
from deltanas.policy import AlongFront, by_rank
from deltanas.propose import STRATEGIES, Context
from deltanas.propose.prior import read_prior
from deltanas.propose.screen import Screen
from deltanas.seams import Builds, Choose, Forecast, ParentRule, Proposer
from deltanas.task import CLASSIFY, TASKS
from deltanas.wiring.choosing import joins_of, limited, limits_of


def context_of(
    config: SearchConfig,
    builds: Builds | None = None,
    model: Model | None = None,
    limits: Limits | None = None,
    forecast: Forecast | None = None,
) -> Context:
    """What the settings give to their strategy. `builds` verifies edits of the space; None: nothing does.

    limits: those that the run's gate holds too; made of the settings if not given. forecast: what ranks draws.
    """
    own = getattr(config, config.proposing.name, None)
    if config.recipes.prior and "recipe" not in config.parts:
        raise UsageError(
            "`recipes.prior` is for edits of the recipe, and `edits` has none", "add recipe, as in --edits net,recipe"
        )
    if config.recipes.prior and not config.proposing.weighs:
        known = ", ".join(name for name, one in STRATEGIES.items() if one.weighs)
        raise UsageError(
            f"`recipes.prior` does nothing with strategy {config.strategy}, which draws no single edits",
            f"leave it out, or take one of the strategies {known}",
        )
    context = Context(
        builds=builds and limited(builds, limits or limits_of(config)),
        unlimited=builds,
        model=model,
        asking=config.model,
        settings=own,
        prior=read_prior(Path(config.recipes.prior).expanduser()) if config.recipes.prior else None,
        steps=config.steps_per_edit,
        screen=Screen(forecast, config.candidates, steps=config.steps_per_edit) if forecast else None,
        seed=config.seed,
        candidates=config.candidates,
    )
    if joins_of(config):
        _require_joining(config)
    if config.steps_per_edit > 1 and not config.proposing.composes(context):
        raise UsageError(
            f"`steps_per_edit` = {config.steps_per_edit}, and with strategy {config.strategy}{_level(config)} the model"
            " writes an edit as it likes, in no steps",
            f"leave it out, or take one of the strategies {', '.join(_composing())}",
        )
    if config.screen != "off" and not config.proposing.screens(context):
        known = ", ".join(name for name, one in STRATEGIES.items() if one.screens(Context()))
        raise UsageError(
            f"`screen` = {config.screen!r} ranks draws from the space of edits, and with these settings strategy"
            f" {config.strategy} writes texts of its own",
            f"leave it out, or take one of the strategies {known}, a model at level typed or anchored",
        )
    return context


def _require_joining(config: SearchConfig) -> None:
    """Raises UsageError where a setting would do nothing, or would refuse all, because programs are joined."""
    joined = f"strategy {config.strategy} joins baselines"
    if config.proposals != 1:
        raise UsageError(f"`proposals` = {config.proposals}, and {joined}: a slot has one proposal", "leave it out")
    if config.novelty.threshold < 1:
        raise UsageError(
            f"`novelty.threshold` = {config.novelty.threshold:g}, and {joined}: two that share most of them are alike",
            "leave it out",
        )
    if config.task != CLASSIFY.name:
        raise UsageError(
            f"`task` = {config.task}, and {joined} by the probabilities of classes", f"give --task {CLASSIFY.name}"
        )


def _level(config: SearchConfig) -> str:
    return f" at level {config.model.decoding}" if config.proposing.name == "delta" else ""


def _composing() -> list[str]:
    """Names of the built-in strategies that make edits of several steps, with what it takes."""
    by_default = Context()
    return [
        f"{name} (level typed)" if one.calls else name for name, one in STRATEGIES.items() if one.composes(by_default)
    ]


def proposer_of(
    config: SearchConfig,
    builds: Builds | None,
    model: Model | None,
    limits: Limits | None = None,
    forecast: Forecast | None = None,
) -> Proposer:
    """Who proposes. builds: without limits of size. model: opened, where the strategy asks one (`model_of`).

    limits, forecast: as in `context_of`.
    """
    return config.proposing.build(context_of(config, builds, model, limits, forecast))


def proposals_of(config: SearchConfig) -> int | None:
    """Number of proposals that a slot draws in a round; None: by what the journal measured."""
    draws = config.proposing.draws(context_of(config))
    given = None if config.proposals == "auto" else config.proposals
    return given if draws == 1 else max(draws, given or 1)


def choice_of(config: SearchConfig, proposer: Proposer) -> Choose | None:
    """What takes one of a slot's passing proposals; None: the first is taken. proposer: of `proposer_of`."""
    return config.proposing.choose(context_of(config), proposer)


def parent_rule_of(config: SearchConfig) -> ParentRule:
    """Who chooses parents: the strategy where it has a rule, else their ranks; with several objectives, the front."""
    rule, objectives = config.proposing.parent, objectives_of(config.objectives, TASKS[config.task])
    if rule:
        return rule(context_of(config))
    return AlongFront(objectives) if len(objectives) > 1 else by_rank


def first_request(config: SearchConfig, texts: Iterable[str]) -> Request:
    """What a server is asked first: one word, by a request that has all that the search's own have.

    texts: of the baselines; the longest is in the prompt.
    """
    m, context = config.model, context_of(config)
    messages = (
        Message("system", "You improve small PyTorch networks by editing their source."),
        Message("user", f"Here is a file.\n{max(texts, key=len, default='')}"),
        Message("assistant", "Do you want to change it?"),
        Message("user", "Say yes."),
    )
    return Request(
        messages,
        key="first",
        grammar='start: "yes"\n' if config.proposing.held(context) else None,
        max_tokens=m.max_tokens or config.proposing.longest_reply(context),
        temperature=m.temperature,
        top_p=m.top_p,
        top_k=m.top_k,
    )


def require_room(config: SearchConfig, model: Model, texts: Iterable[str]) -> None:
    """Raises UsageError where the longest reply leaves no room for a prompt. texts: of the baselines."""
    if model.context is None:
        return
    first = first_request(config, [min(texts, key=len, default="")])
    room, needed = model.context - first.max_tokens, model.count(first.messages)
    most = model.context - needed
    if room < needed:
        raise UsageError(
            f"`model.max_tokens` = {first.max_tokens} leaves {max(0, room)} of the {model.context} tokens that"
            f" {model.name} reads and writes for the prompt, and the shortest takes {needed}",
            f"--set model.max_tokens={most} leaves enough" if most >= 16 else "take a model that reads more at a time",
        )


def model_of(config: SearchConfig, texts: Sequence[str] = ()) -> Model | None:
    """The language model that the settings name, opened; None where the strategy asks none.

    texts: of the baselines, for the first request to a server.

    Raises UsageError, ModelError: see `open_model` and `require_room`; and where a model behind a server is to rank
    edits.
    """
    m, strategy = config.model, config.proposing
    if not strategy.calls:
        return None
    if strategy.ranks(context_of(config)) and parse_spec(m.spec).kind == "openai":
        raise UsageError(
            f"{m.spec} can't rank edits: a server does not say how likely it finds an answer",
            "name a model on this machine (smollm2, hub:OWNER/NAME, path:DIR), or take model.choice any",
        )
    model = open_model(
        m.spec,
        dtype=m.dtype,
        four_bit=m.four_bit,
        timeout=m.timeout,
        retries=m.retries,
        adapter=m.adapter,
        first=first_request(config, texts),
    )
    require_room(config, model, texts)
    return model
