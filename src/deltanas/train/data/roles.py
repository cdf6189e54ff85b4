"""Which array of several is what, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.mending import Mender
from deltanas.train.data.names import PARTS

ARRAYS = (
    "save images and labels together, `numpy.savez(path, x=images, y=labels)`, or as x_train, y_train, x_test, y_test"
    " and perhaps x_val, y_val; to denoise, y is the clean images of the noisy x"
)
_KINDS = {
    "x": ("x", "image", "images", "img", "imgs", "data", "input", "inputs", "pixels"),
    "y": ("y", "label", "labels", "target", "targets"),
}
_SPLITS = {
    "": [""],
    "_train": PARTS["train"],
    "_val": PARTS["validation"],
    "_test": PARTS["test"],
    "_eval": PARTS["evaluation"],
}
_ROLES = {
    name: f"{kind}{suffix}"
    for (kind, words), (suffix, splits) in product(_KINDS.items(), _SPLITS.items())
    for word, split in product(words, splits)
    for name in (word + split, split + word)
} | {
    **dict.fromkeys(("classnames", "labelnames", "targetnames", "names", "classes", "categories"), "names"),
    "layout": "layout",
}
_UNNAMED = re.compile(r"arr_\d+")


def role_of(name: str) -> str:
    """What an array is, "" where its name does not say: x, y, x_train, ..., y_test, names or layout."""
    return "unnamed" if _UNNAMED.fullmatch(name) else _ROLES.get(re.sub(r"[\W_]+", "", name).casefold(), "")


def roles_of(where: Path | str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """The names of the arrays by what they are: x and y, or those of train and test and perhaps val.

    Raises DataError where images or labels are missing, or could be several arrays.
    """
    found: dict[str, list[str]] = {}
    for name in arrays:
        found.setdefault(role_of(name), []).append(name)
    unnamed = found.pop("unnamed", [])
    if unnamed and not any(role[:1] == "x" for role in found):
        found = _in_order(where, arrays, unnamed)
    meant = "_val" if any(role.endswith("_test") for role in found) else "_test"
    for role in [role for role in found if role.endswith("_eval")]:
        found.setdefault(role.replace("_eval", meant), []).extend(found.pop(role))
    roles = {role: _one(where, role, names, arrays) for role, names in found.items() if role}
    suffixes = {role[1:] for role in roles if role not in ("names", "layout")}
    if "" in suffixes and len(suffixes) > 1:
        both = [roles[role] for role in roles if role[:1] == "x"]
        raise DataError(
            f"{where}: holds {' and '.join(both)}: images with and without a split",
            f"keep the ones that you mean: {_renamed(where, roles, [role for role in 'xy' if role in roles])}",
        )
    wanted = {"_train"} | suffixes if suffixes - {""} else {""}
    missing = [f"{kind}{suffix}" for suffix in _SPLITS if suffix in wanted for kind in "xy"]
    missing = [role for role in missing if role not in roles]
    if missing:
        there = f" among {', '.join(arrays)}" if arrays else ""
        raise DataError(f"{where}: no array {' and no array '.join(missing)}{there}", ARRAYS)
    return roles


def _one(where: Path | str, role: str, names: list[str], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Of several arrays the one that can be images, as `images` of scikit-learn's digits beside the flat `data`."""
    fitting = [name for name in names if role[0] != "x" or arrays[name].ndim > 2] or names
    if len(names) == 1 or len(fitting) == 1:
        return fitting[0]
    raise DataError(
        f"{where}: {' and '.join(names)} could each be the array {role}",
        f"keep the one that you mean as {role}, and save: " + _renamed(where, {**_first(arrays), role: names[0]}),
    )


def _first(arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    return {role: name for name in reversed(list(arrays)) if (role := role_of(name)) not in ("", "unnamed")}


def _in_order(where: Path | str, arrays: Mapping[str, NDArray[Any]], names: list[str]) -> dict[str, list[str]]:
    """What `numpy.savez(path, images, labels)` saved without names: the images are those with more axes."""
    if len(names) == 2 and len({arrays[name].ndim for name in names}) == 2:
        x, y = sorted(names, key=lambda name: -arrays[name].ndim)
        return {"x": [x], "y": [y]}
    roles = ["x_train", "y_train", "x_test", "y_test"] if len(names) > 3 else ["x", "y"]
    sure = "; the names in the order in which you saved them: "
    raise DataError(
        f"{where}: {', '.join(names)} don't say what they are",
        f"give them names{sure}{_renamed(where, dict(zip(roles, names, strict=False)))}",
    )


def _renamed(where: Path | str, roles: Mapping[str, str], only: Iterable[str] | None = None) -> str:
    return Mender(where, {role: roles[role] for role in (roles if only is None else only)}).hint({})
