"""From settings to who proposes: the strategy with its model and its space of edits."""

from __future__ import annotations

from deltanas.config import SearchConfig
from deltanas.errors import UsageError
from deltanas.llm import Model, open_model, parse_spec
from deltanas.propose import (
    BanditProposer,
    ChannelsProposer,
    DeltaProposer,
    EvolutionProposer,
    FeedbackProposer,
    FullProposer,
    RandomProposer,
    Sampling,
    Space,
)
from deltanas.seams import Builds, Proposer

DELTA_TOKENS, FULL_TOKENS = 512, 1536
"""Longest reply of a model where the settings give none: an edit, and a whole program."""


def proposer_of(config: SearchConfig, builds: Builds | None, opened: Model | None) -> Proposer:
    """Who proposes. `builds` verifies the edits of the space, where a proposal is one of them; None: nothing does.

    `opened`: the model, where the strategy asks one (`model_of`).
    """
    model = config.model
    space, goals = Space(builds, config.edits), Space(None, config.edits)
    whole = writes_programs(config)
    tokens = model.max_tokens or (FULL_TOKENS if whole else DELTA_TOKENS)
    sampling = Sampling(
        batch=model.batch,
        temperature=model.temperature,
        top_p=model.top_p,
        top_k=model.top_k,
        max_prompt=model.max_prompt,
        max_tokens=tokens,
    )
    places = space if model.decoding == "typed" and not whole else goals
    match config.strategy:
        case "random":
            return RandomProposer(space)
        case "evolution":
            return EvolutionProposer(space)
        case "bandit":
            return BanditProposer(builds, config.edits)
        case "full":
            assert opened is not None
            return FullProposer(opened, goals, sampling=sampling)
        case "delta":
            assert opened is not None
            return DeltaProposer(
                opened,
                places,
                decoding=model.decoding,
                choice=model.choice,
                offers=model.offers,
                sampling=sampling,
            )
        case "channels":
            assert opened is not None
            return ChannelsProposer(opened, builds, sampling=sampling)
        case "feedback":
            assert opened is not None
            return FeedbackProposer(
                opened,
                places,
                window=config.feedback.window,
                form=config.feedback.form,
                decoding=model.decoding,
                sampling=sampling,
            )


def writes_programs(config: SearchConfig) -> bool:
    """Whether the model writes whole programs, and not edits."""
    return config.strategy == "full" or (config.strategy == "feedback" and config.feedback.form == "full")


def model_of(config: SearchConfig) -> Model | None:
    """The language model that the settings name, opened; None where the strategy asks none.

    Raises UsageError, ModelError: see `open_model`; and where a model behind a server is to rank edits.
    """
    if not config.asks_model:
        return None
    m = config.model
    if config.strategy == "delta" and m.choice == "ranked" and parse_spec(m.spec).kind == "openai":
        raise UsageError(
            f"{m.spec} can't rank edits: a server does not say how likely it finds an answer",
            "name a model on this machine (smollm2, hub:OWNER/NAME, path:DIR), or take model.choice any",
        )
    return open_model(
        m.spec, dtype=m.dtype, four_bit=m.four_bit, timeout=m.timeout, retries=m.retries, adapter=m.adapter
    )
