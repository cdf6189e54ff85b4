"""Hidden states of a language model that reads measured edits, kept in a file: each takes a pass through the network.

The model reads the question that a search asks about the parent (choice "any") and the edit as its answer. A state is
the mean over the edit's tokens, which see the whole of the parent.
"""

from __future__ import annotations

import hashlib
import io
import sys
import time
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, cast

import numpy as np
import torch
import transformers
from transformers import DynamicCache

from deltanas.config import read_config
from deltanas.errors import DataError, UsageError, aside
from deltanas.learn.corpus import Phrasing
from deltanas.learn.measured import MeasuredEdit
from deltanas.llm import Lesson
from deltanas.llm.compat import layers_of
from deltanas.llm.local import LocalModel
from deltanas.llm.packing import Row
from deltanas.llm.spec import parse_spec
from deltanas.program import Part, SpaceEdit, edits_in
from deltanas.propose.grammar import written
from deltanas.whole import write_whole
from deltanas.wiring.proposing import model_of, proposer_of

DEPTHS = (0.5, 1.0)
"""Where states are taken: shares of the network's layers."""
TOGETHER = 10
"""Answers that go through the network side by side: the more, the more of their attention is masked."""
ROUND = 20
"""Edits of one parent in a turn: each turn reads the parent anew."""
PAUSE = 60.0
"""Seconds after which what was found is written to the file."""
States = np.ndarray[Any, np.dtype[np.float32]]


class Reader:
    """A language model that reads edits."""

    def __init__(self, spec: str, dtype: str = "float32") -> None:
        """Raises UsageError for a model behind a server."""
        if parse_spec(spec).kind == "openai":
            raise UsageError(
                f"{spec} shows no hidden states: it is behind a server",
                "name a model on this machine: smollm2, path:DIR, gguf:PATH",
            )
        settings = {"spec": spec, "dtype": dtype, "choice": "any"}
        config = read_config({"strategy": "delta", "model": settings})
        self.model = cast("LocalModel", model_of(config))
        self._phrasing = cast("Phrasing", proposer_of(config, None, self.model))

    def lessons(self, edits: Sequence[MeasuredEdit]) -> list[Lesson | None]:
        """Each edit as the answer to a question about its parent; None where it can't be asked for."""
        spaces: dict[str, dict[str, SpaceEdit]] = {}
        asked: dict[tuple[str, Part], Lesson] = {}
        found: list[Lesson | None] = []
        for edit in edits:
            source = edit.source
            if source not in spaces:
                spaces[source] = {one.text: one for one in edits_in(edit.parent, edit.ask.parts)}
            simple, same = spaces[source].get(edit.edit), asked.get((source, edit.part))
            if simple and same:  # all edits of a parent answer the same question
                found.append(replace(same, completion=written(simple)))
                continue
            lesson = self._phrasing.lesson(edit.ask, edit.edit, edit.goal, edit.family)
            found.append(lesson if isinstance(lesson, Lesson) else None)
            if isinstance(lesson, Lesson):
                asked[source, edit.part] = lesson
        return found


def untrained(network: Any, seed: int = 0) -> Any:
    """The same network with random weights, as they are before any training."""
    maker: Any = transformers.AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = maker.from_config(network.config, dtype=network.dtype)
    return made.to(network.device).eval()


def states_of(network: Any, rows: Sequence[Row], *, together: int = TOGETHER) -> States:
    """Mean states of the answers of rows that ask the same, without their end marks: [row, depth, width].

    The question goes through the network once, then up to `together` answers side by side: each sees the question and
    itself alone, so its states are those that it would have by itself.
    """
    (begin,) = {row.begin for row in rows}
    (question,) = {row.tokens[:begin] for row in rows}
    cache = DynamicCache(config=network.config)
    found: list[Any] = []
    with torch.inference_mode():
        tokens = torch.tensor([question], device=network.device)
        network(input_ids=tokens, cache=cache, use_cache=True, logits_to_keep=1)
        read = [(layer.keys, layer.values) for layer in layers_of(cache)]
        for start in range(0, len(rows), together):
            found += _means(network, cache, begin, [row.tokens[begin:-1] for row in rows[start : start + together]])
            for layer, (keys, values) in zip(layers_of(cache), read, strict=True):
                layer.keys, layer.values = keys, values
    return np.asarray(torch.stack(found).cpu().numpy(), np.float32)


def _means(network: Any, cache: Any, begin: int, answers: Sequence[tuple[int, ...]]) -> list[Any]:
    """Of answers behind the question in the cache: [depth, width] each."""
    sizes = [len(answer) for answer in answers]
    whose = torch.repeat_interleave(torch.arange(len(answers)), torch.tensor(sizes))
    own = (whose[:, None] == whose).tril()
    sees = torch.cat([torch.ones(len(whose), begin, dtype=torch.bool), own], dim=1)
    mask = torch.zeros(sees.shape, dtype=network.dtype).masked_fill(~sees, torch.finfo(network.dtype).min)
    places = torch.cat([begin + torch.arange(size) for size in sizes])
    hidden = network(
        input_ids=torch.tensor([[token for answer in answers for token in answer]], device=network.device),
        attention_mask=mask[None, None].to(network.device),
        position_ids=places[None].to(network.device),
        cache=cache,
        use_cache=True,
        output_hidden_states=True,
        logits_to_keep=1,
    ).hidden_states
    layers: Any = torch.stack([hidden[round(depth * (len(hidden) - 1))][0] for depth in DEPTHS]).float()
    return [one.mean(1) for one in layers.split(sizes, dim=1)]


def key_of(lesson: Lesson) -> str:
    return hashlib.sha256(repr((lesson.messages, lesson.completion)).encode()).hexdigest()[:32]


class Kept:
    """States by `key_of`, and the CPU seconds that they took, in a file (npz)."""

    def __init__(self, path: Path) -> None:
        """Raises DataError for a file that holds something else."""
        self.path = path
        self.states: dict[str, States] = {}
        self.seconds = 0.0
        if path.exists():
            try:
                with np.load(io.BytesIO(path.read_bytes())) as held:
                    self.states = dict(zip(held["keys"].tolist(), held["states"], strict=True))
                    self.seconds = float(held["seconds"])
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                raise DataError(f"{path} holds no states: {error}", f"put it aside: {aside(path)}") from None

    def write(self) -> None:
        content = io.BytesIO()
        tables = np.stack(list(self.states.values()))
        np.savez(content, keys=np.array(list(self.states)), states=tables, seconds=np.array(self.seconds))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, content.getvalue())


def rounds(edits: Sequence[MeasuredEdit]) -> list[list[int]]:
    """Places of the edits in an even order over families: each entry is up to `ROUND` edits of one parent, drawn.

    All families' baselines come first, then a descendant of each, and so on; then the next edits of each.
    """
    families: defaultdict[str, dict[str, list[int]]] = defaultdict(dict)
    for place, edit in enumerate(edits):
        families[edit.family].setdefault(edit.source, []).append(place)
    found: dict[tuple[int, int], list[list[int]]] = defaultdict(list)
    for family in sorted(families):
        for rank, places in enumerate(families[family].values()):
            Random(f"hidden:{family}:{rank}").shuffle(places)
            for start in range(0, len(places), ROUND):
                found[start, rank].append(places[start : start + ROUND])
    return [some for turn in sorted(found) for some in found[turn]]


def collect(
    model: LocalModel,
    networks: Mapping[str, Any],
    kept: Mapping[str, Kept],
    turns: Iterable[Sequence[Lesson]],
    *,
    minutes: float | None = None,
) -> None:
    """Works out the states that are missing, turn by turn, by all networks alike.

    Args:
        networks, kept: by name. turns: lessons of one parent each.
        minutes: of wall clock, after which no turn is begun; None: no limit.
    """
    begun = written = time.monotonic()
    together = TOGETHER if model.shared_tokens else 1
    for turn in turns:
        if minutes is not None and time.monotonic() - begun >= 60 * minutes:
            break
        for name, network in networks.items():
            states = kept[name].states
            lacking = {
                key_of(one): model.row(one.messages, one.completion) for one in turn if key_of(one) not in states
            }
            if lacking:
                start = time.process_time()
                found = states_of(network, list(lacking.values()), together=together)
                kept[name].seconds += time.process_time() - start
                states.update(zip(lacking, found, strict=True))
        if time.monotonic() - written > PAUSE:
            _write(kept)
            written = time.monotonic()
    _write(kept)


def _write(kept: Mapping[str, Kept]) -> None:
    for one in kept.values():
        if one.states:
            one.write()
    counts = ", ".join(f"{name} {len(one.states)} in {one.seconds:.0f} s of CPU" for name, one in kept.items())
    sys.stderr.write(f"states: {counts}\n")
