"""A model of transformers on this machine: batched sampling, each row held to its own grammar by llguidance.

Rows advance together. Where a row's grammar leaves one way only, the forced tokens are fed along with the sampled one:
a verbatim line costs one step of the model. Rows that end leave the batch.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import llguidance.hf
import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer

from deltanas.errors import ModelError
from deltanas.llm.batch import Batch
from deltanas.llm.chat import Chat
from deltanas.llm.heads import Heads
from deltanas.llm.lesson import Lesson, Loss
from deltanas.llm.model import Dtype, Message, Reply, Request, Spent
from deltanas.llm.packing import MOST, Row, answers_nll, packs
from deltanas.llm.spec import Spec
from deltanas.llm.weights import digest, fingerprint, load, samples

BATCH = 16
"""Answers whose likelihood is worked out at once: each of their tokens takes the scores of a whole vocabulary."""


class LocalModel:
    """A causal language model with its tokenizer; see `Tunable` and `Ranker` for what it promises.

    Attributes:
        base: the spec of the model. network: the model, with its adapter, if any. adapter: folder of that adapter.
    """

    def __init__(self, base: str, model: Any, tokenizer: Any) -> None:
        self.base = base
        self.context: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.network = self._bare = model
        self.adapter: Path | None = None
        self._heads = Heads()
        self._tokenizer = tokenizer
        self._chat = Chat(tokenizer, base)
        self._guide = llguidance.hf.from_tokenizer(tokenizer, n_vocab=max(model.config.vocab_size, len(tokenizer)))
        ends = model.generation_config.eos_token_id
        self.spent = Spent()
        self._ends = {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id} - {None}

    @classmethod
    def open(cls, spec: Spec, *, dtype: Dtype | None = None, four_bit: bool = False) -> Self:
        return cls(str(spec), *load(spec, dtype=dtype, four_bit=four_bit))

    @property
    def name(self) -> str:
        return f"{self.base}+{self.adapter.name}" if self.adapter else self.base

    def count(self, messages: Sequence[Message]) -> int:
        return len(self._tokens(self._chat.text(messages)))

    def generate(self, requests: Sequence[Request]) -> list[Reply]:
        if not requests:
            return []
        start = time.perf_counter()
        with self.spent.on("grammar"):
            rows = [_Row(request, self._guide, self._ends, self.spent) for request in requests]
        prompts = [self._chat.text(request.messages) for request in requests]
        stems = [self._chat.stem(request.messages, prompt) for request, prompt in zip(requests, prompts, strict=True)]
        heads = [self._tokens(stem) for stem in stems]
        tails = [self._tokens(prompt[len(stem) :]) for prompt, stem in zip(prompts, stems, strict=True)]
        with torch.inference_mode():
            self._decode(rows, heads, tails)
        seconds = (time.perf_counter() - start) / len(rows)
        return [
            Reply(prompt, row.text, row.complete, len(head) + len(tail), len(row.tokens), seconds, forced=row.forced)
            for row, prompt, head, tail in zip(rows, prompts, heads, tails, strict=True)
        ]

    def _decode(self, rows: list[_Row], heads: list[list[int]], tails: list[list[int]]) -> None:
        batch = Batch(self.network, tree=len(rows) > 1 and self.shared_tokens > 0, heads=self._heads)
        phase: Literal["prompt", "network"] = "prompt"
        with self.spent.on(phase):
            batch.share(heads)
        chunks = [tail + row.begin() for tail, row in zip(tails, rows, strict=True)]
        while True:
            going = [place for place, row in enumerate(rows) if not row.ended]
            if not going:
                return
            if len(going) < len(rows):
                batch.select(going)
                rows, chunks = [rows[place] for place in going], [chunks[place] for place in going]
            with self.spent.on(phase):
                scores = batch.feed(chunks)
            self.spent.drawn += len(rows) if phase == "network" else 0
            phase = "network"
            chunks = [row.advance(row_scores) for row, row_scores in zip(rows, scores, strict=True)]

    def losses(self, lessons: Sequence[Lesson]) -> list[Loss]:
        rows = [self.row(lesson.messages, lesson.completion) for lesson in lessons]
        return [Loss(nll, len(row.tokens) - row.begin) for nll, row in zip(self._nlls(rows), rows, strict=True)]

    def choose(self, requests: Sequence[Request], answers: Sequence[Sequence[str]]) -> list[Reply]:
        start = time.perf_counter()
        groups = [
            [self.row(request.messages, answer) for answer in some]
            for request, some in zip(requests, answers, strict=True)
        ]
        rows = [row for group in groups for row in group]
        nlls = self._nlls(rows)
        if self.adapter:
            with self.network.disable_adapter():
                merits = [bare - worn for bare, worn in zip(self._nlls(rows), nlls, strict=True)]
        else:
            merits = [-nll / (len(row.tokens) - row.begin) for nll, row in zip(nlls, rows, strict=True)]
        left = iter(merits)
        best = [max(range(len(group)), key=[next(left) for _ in group].__getitem__) for group in groups]
        seconds = (time.perf_counter() - start) / max(1, len(requests))
        return [
            Reply(
                self._chat.text(request.messages),
                some[place],
                complete=True,
                prompt_tokens=group[place].begin,
                reply_tokens=len(group[place].tokens) - group[place].begin,
                seconds=seconds,
            )
            for request, some, group, place in zip(requests, answers, groups, best, strict=True)
        ]

    def _nlls(self, rows: Sequence[Row]) -> list[float]:
        """Negative log-likelihood of each row's answer, without dropout."""
        found = [0.0] * len(rows)
        with torch.inference_mode():
            for pack in packs(rows, batch=BATCH, most=self.shared_tokens):
                nlls = answers_nll(self.network, [rows[place] for place in pack], share=self.shared_tokens > 0)
                for place, nll in zip(pack, nlls.tolist(), strict=True):
                    found[place] = nll
        return found

    def row(self, messages: Sequence[Message], completion: str) -> Row:
        """A question and its answer as tokens, as `generate` reads and writes them, with the mark that ends it."""
        prompt = self._chat.text(messages)
        stem = self._chat.stem(messages, prompt)
        question = self._tokens(stem) + self._tokens(prompt[len(stem) :])
        if not question:
            raise ModelError("A lesson asks nothing.", "Its messages make an empty prompt.")
        return Row((*question, *self._tokens(completion), *self._end), len(question))

    @cached_property
    def shared_tokens(self) -> int:
        """How many tokens a tree of texts may have; 0 for a model that does not heed the masks and places of a tree."""
        rows = [Row((1, 2, 3, 4), 2), Row((1, 2, 5, 6), 2)]
        with torch.inference_mode():
            tree, alone = (answers_nll(self._bare, rows, share=share) for share in (True, False))
        window = self._bare.config.get_text_config().to_dict().get("sliding_window") or MOST
        return min(MOST, window) if torch.allclose(tree, alone, rtol=0.02, atol=0.02) else 0

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the base model's weights."""
        return fingerprint(self._bare)

    @cached_property
    def samples(self) -> str:
        """Hash of samples of the base model's weights; "" in 4 bits."""
        return samples(self._bare)

    @cached_property
    def digest(self) -> str:
        """Hash of the base model: weights, vocabulary and chat template."""
        return digest(self._bare, self._tokenizer)

    def adapt(self, folder: Path | None) -> None:
        from deltanas.llm import adapters

        if folder is None:
            self._undress()
            return
        config, weights = adapters.read(folder)
        adapters.check_base(folder, config, self.base, self.fingerprint, self.samples)
        self.wear(config, weights, folder)

    def wear(self, config: Any, weights: dict[str, torch.Tensor] | None = None, folder: Path | None = None) -> None:
        """Wear an adapter that PEFT's `config` describes, with new weights if none are given.

        Raises ModelError if it does not fit; the loaded one stays.
        """
        from deltanas.llm import adapters

        before = self.adapter
        self._undress()
        try:
            self.network = adapters.dress(self._bare, config, weights)
        except ModelError:
            self.adapt(before)
            raise
        self.adapter = folder

    def _undress(self) -> None:
        self._heads = Heads()
        if self.network is not self._bare:
            self._bare = self.network.unload()
            self.network, self.adapter = self._bare, None

    @cached_property
    def _end(self) -> list[int]:
        """The token that ends an answer: what the chat template puts after one, where the model knows it as an end."""
        said = self._chat.text([Message("user", "?"), Message("assistant", "!")], answer=False)
        after = self._tokens(said.rpartition("!")[2])
        return [token for token in [*after[:1], self._tokenizer.eos_token_id, *self._ends] if token in self._ends][:1]

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return tokens


class _Row:
    """One reply in the making. tokens: so far. forced: number of them for which the grammar left no choice."""

    def __init__(self, request: Request, guide: LLTokenizer, ends: set[int], spent: Spent) -> None:
        self._request = request
        self._spent = spent
        self._guide = guide
        self._ends = ends
        self._matcher = LLMatcher(guide, request.grammar) if request.grammar is not None else None
        if self._matcher and self._matcher.is_error():
            raise ModelError(f"A grammar does not compile: {self._matcher.get_error()}")
        seed = int.from_bytes(hashlib.sha256(request.key.encode()).digest()[:7])
        self._chance = torch.Generator().manual_seed(seed)
        self.tokens: list[int] = []
        self.forced = 0
        self.ended = self.complete = False

    @property
    def text(self) -> str:
        return str(self._guide.decode_bytes(self.tokens).decode("utf-8", "replace"))

    def begin(self) -> list[int]:
        """The tokens that every reply by the grammar begins with."""
        return self._take([])

    def advance(self, scores: torch.Tensor) -> list[int]:
        """Draw a token from `scores` [vocabulary]; return it with those that it forces, to be fed next."""
        token = self._draw(scores)
        if token in self._ends:
            self.ended = self.complete = True
            return []
        if self._matcher:
            with self._spent.on("grammar"):
                if not self._matcher.consume_token(token):
                    raise ModelError(f"The grammar's matcher gave up: {self._matcher.get_error()}")
        return self._take([token])

    def _take(self, tokens: list[int]) -> list[int]:
        if self._matcher:
            with self._spent.on("grammar"):
                room = self._request.max_tokens - len(self.tokens) - len(tokens)
                forced = [token for token in self._matcher.compute_ff_tokens() if token not in self._ends][:room]
                self._matcher.consume_tokens(forced)
            tokens = tokens + forced
            self.forced += len(forced)
        self.tokens += tokens
        if self._matcher:
            self.complete = self._matcher.is_stopped()
        self.ended = self.complete or len(self.tokens) >= self._request.max_tokens
        return tokens

    def _draw(self, scores: torch.Tensor) -> int:
        allowed: torch.Tensor | None = None
        if self._matcher:
            with self._spent.on("grammar"):
                bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
                allowed = torch.from_numpy(np.flatnonzero(np.unpackbits(bits, bitorder="little", count=len(scores))))
            if len(allowed) == 0:
                raise ModelError(f"The grammar allows no token: {self._matcher.get_error()}")
        with self._spent.on("draw"):
            among = scores if allowed is None else scores[allowed]
            request = self._request
            drawn = nucleus_draw(among, request.temperature, request.top_p, self._chance, request.top_k)
            return drawn if allowed is None else int(allowed[drawn])


def nucleus_draw(
    scores: torch.Tensor, temperature: float, top_p: float, chance: torch.Generator, top_k: int = 0
) -> int:
    """Draw an index from the smallest set of likeliest ones with probability >= `top_p` together.

    scores: [n] logits. top_k: the others count for nothing, as if they were not there; 0: all count.
    After Holtzman et al. (2020), "The Curious Case of Neural Text Degeneration", section 3.1.
    """
    if temperature == 0:
        return int(scores.argmax())
    if 0 < top_k < len(scores):
        kept = scores.topk(top_k).indices
        return int(kept[nucleus_draw(scores[kept], temperature, top_p, chance)])
    weights = torch.softmax(scores / temperature, dim=0)
    # All those below (1 - top_p) / n together weigh less than 1 - top_p: the nucleus needs none, and sorting is dear.
    likely = (weights >= (1 - top_p) / len(weights)).nonzero()[:, 0]
    ranked, order = weights[likely].sort(descending=True, stable=True)
    before = ranked.cumsum(0) - ranked
    nucleus = ranked[: max(1, int((before < top_p).sum()))]
    return int(likely[order[int(torch.multinomial(nucleus, 1, generator=chance))]])
