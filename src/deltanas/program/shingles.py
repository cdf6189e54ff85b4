"""How alike two programs are: by the runs of tokens that their texts share."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deltanas.program.program import EMPTY, Program

Hashes = NDArray[np.uint64]
"""The shingles of a text, sorted, each once."""

SHINGLE = 5
"""Tokens a shingle."""
_MIX, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
_TOKEN = re.compile(
    r'"""(?s:.*?)"""|' + r"'''(?s:.*?)'''|#[^\n]*"  # texts of several lines and comments: no tokens
    r'|("(?:\\.|[^"\\\n])*"' + r"|'(?:\\.|[^'\\\n])*'|\w+(?:\.\d+)?|[^\w\s])"
)


def shingles(source: str, size: int = SHINGLE) -> Hashes:
    """The runs of `size` tokens in a program's text as sorted 64-bit hashes; numbers are kept, comments are not.

    A run that comes again is another shingle: a layer more of the same makes another program. A text of fewer tokens
    is one shingle.
    """
    return shingles_of([_hash(token) for token in _TOKEN.findall(source) if token], size)


def shingles_of(hashed: ArrayLike, size: int = SHINGLE) -> Hashes:
    """The shingles of a text whose tokens are given as 64-bit hashes."""
    tokens = np.array(hashed, np.uint64)
    if len(tokens) < size:
        return np.array([_hash(" ".join(map(str, tokens)))], np.uint64)
    runs = np.zeros(len(tokens) - size + 1, np.uint64)
    for offset in range(size):
        runs = runs * _MIX + tokens[offset : len(tokens) - size + 1 + offset]
    runs.sort()
    again = np.arange(len(runs)) - np.searchsorted(runs, runs, "left")
    runs += again.astype(np.uint64) * _STEP
    runs.sort()
    return runs


def fingerprints(program: Program) -> list[Hashes]:
    """What near copies are found by: its fingerprint or, of one with a transform, that among programs of the same
    transform and the shingles of the transform among those that have all else in common.

    A transform is short beside a network: by one fingerprint all transforms of one network would be near copies.
    """
    if not program.transform:
        return [fingerprint(program)]
    rest = {part: text for part, text in program.parts.items() if part != "transform"}
    return [
        _among(fingerprint(Program(rest)), program.transform, program.id),
        _among(shingles(program.transform), program.besides("transform"), program.id),
    ]


def _among(found: Hashes, shared: str, identity: str) -> Hashes:
    """Hashes that equal others only under an equal text `shared`; with the identity as one more."""
    return np.sort(np.append(found ^ np.uint64(_hash(shared)), np.uint64(_hash(identity))))


def fingerprint(program: Program) -> Hashes:
    """The shingles of all its parts, and its identity as one more: only equal programs have a Jaccard index of 1."""
    text = "\n".join(program.part(part) for part in dict.fromkeys((*EMPTY, *program.parts)))
    return np.sort(np.append(shingles(text), np.uint64(_hash(program.id))))


def jaccard(one: Hashes, others: list[Hashes]) -> NDArray[np.float64]:
    """The index |A & B| / |A | B| of `one` with each of the others (P. Jaccard, 1901), in [0, 1]."""
    if not others:
        return np.zeros(0)
    sizes = np.array([len(other) for other in others])
    joined = np.concatenate(others)
    place = np.minimum(np.searchsorted(one, joined), len(one) - 1)
    common = np.add.reduceat((one[place] == joined).astype(np.int64), np.cumsum(sizes) - sizes)
    index: NDArray[np.float64] = common / (sizes + len(one) - common)
    return index


@lru_cache(100_000)
def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")
