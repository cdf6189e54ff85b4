"""Generates sets of arrays as people keep them, with what each means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coded_images import Meant, encoded

Array = NDArray[Any]
Pair = tuple[Array, Array]
SCALES: dict[str, Callable[[Array], Array]] = {
    "uint8": lambda x: x,
    "0 to 1": lambda x: x / 255,
    "0 to 1, float32": lambda x: (x / 255).astype(np.float32),
    "0 to 1, float16": lambda x: (x / 255).astype(np.float16),
    "-1 to 1": lambda x: x / 127.5 - 1,
    "floats to 255": lambda x: x.astype(np.float32),
    "fractions to 255": lambda x: x * 0.999 + 0.1,
    "int64": lambda x: x.astype(np.int64),
    "12 bits": lambda x: np.rint(x / 255 * 4095).astype(np.uint16),
    "16 bits": lambda x: x.astype(np.uint16) * 257,
    "booleans": lambda x: x > 127,
    "zero and one": lambda x: (x > 127).astype(np.uint8),
}
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "grey": lambda x: x,
    "channel first": lambda x: x[:, None],
    "channel last": lambda x: x[..., None],
    "RGB first": lambda x: x[:, None].repeat(3, 1),
    "RGB last": lambda x: x[..., None].repeat(3, 3),
    "RGBA last": lambda x: np.concatenate([x[..., None].repeat(3, 3), np.full((*x.shape, 1), 255, x.dtype)], 3),
}
LABELS: dict[str, tuple[Callable[[Array, int], Array], Callable[[int], list[str]]]] = {
    "plain": (lambda y, _: y, lambda k: [str(c) for c in range(k)]),
    "bytes": (lambda y, _: y.astype(np.uint8), lambda k: [str(c) for c in range(k)]),
    "column": (lambda y, _: y[:, None], lambda k: [str(c) for c in range(k)]),
    "floats": (lambda y, _: y.astype(float), lambda k: [str(c) for c in range(k)]),
    "one-hot": (lambda y, k: np.eye(k)[y], lambda k: [str(c) for c in range(k)]),
    "from 1": (lambda y, _: y + 1, lambda k: [str(c + 1) for c in range(k)]),
    "with gaps": (lambda y, _: y * 3 + 2, lambda k: [str(c * 3 + 2) for c in range(k)]),
    "names": (
        lambda y, _: np.array(["owl", "ant", "été", "2", "yak"])[y],
        lambda k: ["owl", "ant", "été", "2", "yak"][:k],
    ),
    "numbers as names": (lambda y, _: (y * 5 + 6).astype(str), lambda k: [str(c * 5 + 6) for c in range(k)]),
}
NAMES = [("x{}", "y{}"), ("X{}", "y{}"), ("images{}", "labels{}"), ("{}images", "{}labels"), ("data{}", "targets{}")]
SPELLED = {
    "train": ["_train", "_training", "Train", "-train"],
    "val": ["_val", "_valid", "_validation", "Dev"],
    "test": ["_test", "_testing", "Test", "_TEST"],
}


def _normalised(pairs: dict[str, Pair], _: Random) -> str:
    for split, (x, y) in pairs.items():
        pairs[split] = ((x - x.mean()) / x.std()).astype(np.float32), y
    return "may mean several scales|several scales"


def _holed(pairs: dict[str, Pair], rng: Random) -> str:
    split = rng.choice(list(pairs))
    x = pairs[split][0].astype(float)
    x[rng.randrange(len(x))] = rng.choice([np.nan, np.inf])
    pairs[split] = x, pairs[split][1]
    return "is (nan|inf)"


def _unlabelled(pairs: dict[str, Pair], rng: Random) -> str:
    split = rng.choice(list(pairs))
    x, y = pairs[split]
    y = y.astype(object) if y.dtype.kind == "U" else y.astype(float)
    y[rng.randrange(len(y))] = "" if y.dtype == object else -1
    pairs[split] = x, y.astype(str) if y.dtype == object else y
    return "unlabelled images|not one-hot|name several classes"


def _unequal(pairs: dict[str, Pair], rng: Random) -> str:
    split = rng.choice(list(pairs))
    pairs[split] = pairs[split][0], pairs[split][1][:-1]
    return "for .* images"


def _flat(pairs: dict[str, Pair], _: Random) -> str:
    for split, (x, y) in pairs.items():
        pairs[split] = x.reshape(len(x), -1), y
    return "rows of numbers|don't say what they are"


def _objects(pairs: dict[str, Pair], rng: Random) -> str:
    split = rng.choice(list(pairs))
    pairs[split] = pairs[split][0], pairs[split][1].astype(object)
    return "array of objects"


def _other_scale(pairs: dict[str, Pair], rng: Random) -> str:
    """In the last split, or nothing but NaN where there is one split."""
    if len(pairs) == 1:
        return _holed(pairs, rng)
    split = next(reversed(pairs))
    x, y = pairs[split]
    pairs[split] = x.astype(float) / 1000 if x.max() > 1 else x.astype(float) * 200, y
    return "several scales"


def _one_class(pairs: dict[str, Pair], _: Random) -> str:
    for split, (x, y) in pairs.items():
        pairs[split] = x, np.repeat(y[:1], len(y), 0)
    return "nothing to tell apart|is no class of"


FAULTS = [_normalised, _holed, _unlabelled, _unequal, _flat, _objects, _other_scale, _one_class]


def arrays_at(folder: Path, seed: int) -> tuple[str, Meant]:
    """Saves a generated set; returns its name as a data set, and what it means."""
    rng, meant = Random(f"arrays {seed}"), Meant()
    k = rng.randint(2, 5)
    scale, layout, coding = rng.choice(list(SCALES)), rng.choice(list(LAYOUTS)), rng.choice(list(LABELS))
    meant.what += [scale, layout, coding]
    encode, names = LABELS[coding]
    meant.names = names(k)
    pairs: dict[str, Pair] = {}
    numbers = dict.fromkeys(range(k), 0)
    for split, least in rng.choice(
        [{"": 30}, {"": 28}, {"train": 30, "test": 8}, {"train": 26, "val": 8}, {"train": 26, "val": 7, "test": 7}]
    ).items():
        y = np.array([label for label in range(k) for _ in range(least + rng.randint(0, 6))])
        x, order_of = [], list[tuple[int, int]]()
        for label in y.tolist():
            x.append(encoded(label, numbers[label], rng))
            order_of.append((label, numbers[label]))
            numbers[label] += 1
        meant.images[split] = set(order_of)
        order = np.array(rng.sample(range(len(y)), len(y)))
        images = np.stack(x)[order]
        if scale in ("booleans", "zero and one"):
            images = np.where(images > 127, 255, 0).astype(np.uint8)
        pairs[split] = SCALES[scale](LAYOUTS[layout](images)), encode(y[order], k)
        if rng.random() < 0.3 and not split:
            meant.lost = {order_of[order[0]]}
            _conflict(pairs, meant)
    if rng.random() < 0.35:
        fault = rng.choice(FAULTS)
        meant.what.append(fault.__name__)
        meant.reasons.append(fault(pairs, rng))
    return _save(folder, pairs, meant, rng), meant


def _conflict(pairs: dict[str, Pair], meant: Meant) -> None:
    """The first image stands there again, under the label of another."""
    x, y = pairs[""]
    other = next(place for place in range(len(y)) if (np.asarray(y[place]) != np.asarray(y[0])).any())
    pairs[""] = np.concatenate([x, x[:1]]), np.concatenate([y, y[other : other + 1]])
    meant.what.append("conflict")


def _save(folder: Path, pairs: dict[str, Pair], meant: Meant, rng: Random) -> str:
    images, labels = rng.choice(NAMES)
    saved: dict[str, Any] = {}
    for split, (x, y) in pairs.items():
        end = rng.choice(SPELLED[split]) if split else ""
        if "{}images" in images:
            end = end.strip("-_").lower() + "_" if end else ""
        saved[images.format(end)], saved[labels.format(end)] = x, y
    if len(pairs) == 1 and rng.random() < 0.2:
        saved = dict(zip(("arr_0", "arr_1"), saved.values(), strict=True))
    if rng.random() < 0.3:
        saved[rng.choice(["ids", "paths", "masks", "weights"])] = np.arange(3)
    meant.what.append(", ".join(saved))
    path = folder / rng.choice(["data.npz", "my data.npz", "dätä.npz"])
    rng.choice([np.savez, np.savez_compressed])(path, **saved)
    return f"npz:{path}"
