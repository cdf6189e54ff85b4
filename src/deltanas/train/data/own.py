"""A user's own data: an npz file of arrays, or arrays in memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deltanas.errors import DataError
from deltanas.train.data.labels import coded
from deltanas.train.data.mending import Mender, beside
from deltanas.train.data.own_pairs import paired_splits
from deltanas.train.data.pictures import memory
from deltanas.train.data.records import Images, LeftOut, Provenance, Splits
from deltanas.train.data.roles import ARRAYS, role_of, roles_of
from deltanas.train.data.scales import scaled
from deltanas.train.data.splits import as_given, in_three


def read_npz(path: Path) -> Splits:
    """Arrays `x` and `y`; or `x_train`, `y_train`, `x_test`, `y_test` and perhaps `x_val`, `y_val`.

    y holds labels, or, beside noisy images, the clean ones.

    Other usual names are known too (`roles.py`). Nothing in the file is unpickled.

    Raises:
        DataError: not an npz file, or arrays that can't be read as they are meant.
    """
    try:
        # Opened here: numpy leaves the file open where it is cut short.
        with path.open("rb") as raw:
            file = np.load(raw, allow_pickle=False)
            if isinstance(file, np.ndarray):
                raise _one_array(path, file)
            _require_room(sum(part.file_size for part in file.zip.infolist()))
            arrays = {name: _array(path, file, name) for name in file.files if role_of(name)}
            others = [name for name in file.files if not role_of(name)]
    except (OSError, EOFError, ValueError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        named = path.with_name(f"{path.name}.npz")
        hint = f"name npz:{named}" if not path.exists() and named.exists() else ARRAYS
        hint = f"name folder:{path}, if it holds pictures; of arrays: {ARRAYS}" if path.is_dir() else hint
        hint = "save fewer or smaller images, as uint8" if isinstance(error, MemoryError) else hint
        # numpy takes whatever it does not know for a pickle, and tells how to open one without care.
        why = "it is neither an npz nor an npy file" if "allow_pickle" in str(error) else error
        raise DataError(f"{path} can't be read as an npz file of plain arrays: {why}", hint) from None
    return _splits(path, arrays, others)


def _require_room(size: int) -> None:
    """A small file may unpack to more than memory holds. Raises MemoryError."""
    if size > memory():
        raise MemoryError(f"it unpacks to {size / 1e9:.1f} GB, and this machine has {memory() / 1e9:.1f} GB of memory")


def splits_of(name: str, arrays: Mapping[str, NDArray[Any]]) -> Splits:
    """The splits that arrays in memory make, which are named as `read_npz` says."""
    return _splits(name, {key: np.asarray(array) for key, array in arrays.items()}, [])


def _splits(where: Path | str, arrays: Mapping[str, NDArray[Any]], others: list[str]) -> Splits:
    roles = roles_of(where, arrays)
    others = [
        *others,
        *sorted((name for name in arrays if name not in roles.values()), key=lambda name: role_of(name) != ""),
    ]
    mender = Mender(where, roles)
    suffixes = [suffix for suffix in ("", "_train", "_val", "_test") if f"x{suffix}" in roles]
    x = {suffix: arrays[roles[f"x{suffix}"]] for suffix in suffixes}
    y = {suffix: arrays[roles[f"y{suffix}"]] for suffix in suffixes}
    if all(_images(part) for part in y.values()):
        return paired_splits(mender, x, y, str(arrays[roles["layout"]]) if "layout" in roles else None)
    for suffix in suffixes:
        _in_front(mender, suffix, x[suffix], y[suffix])
    images = scaled(mender, x, str(arrays[roles["layout"]]) if "layout" in roles else None)
    sizes = {suffix: len(part) for suffix, part in images.x.items()}
    labels = coded(mender, y, sizes, arrays[roles["names"]] if "names" in roles else None)
    parts = {suffix: Images(images.x[suffix], labels.y[suffix]) for suffix in suffixes}
    classes = max(int(part.y.max()) for part in parts.values()) + 1
    left = (LeftOut("an array that is neither images nor labels", len(others), others[0]),) if others else ()
    notes = [*images.notes, *labels.notes]
    if suffixes == [""] or suffixes == ["_train"]:
        splits = in_three(parts[suffixes[0]], classes)
    else:
        if "_test" not in parts:
            notes.append(f"no test split: {roles['x_val']} is it, and a sixth of {roles['x_train']} validates")
            parts["_test"] = parts.pop("_val")
        splits = as_given(parts["_train"], parts.get("_val"), parts["_test"], classes)
    return replace(splits, source=Provenance(labels.names, None, tuple(notes), left, images.span))


def _images(y: NDArray[Any]) -> bool:
    """Labels may come as [n, 1, 1] or as [n, 1, classes]."""
    return len([size for size in y.shape[1:] if size > 1]) > 1


def _in_front(mender: Mender, suffix: str, x: NDArray[Any], y: NDArray[Any]) -> None:
    """Raises DataError where the images are counted by the last axis, as MATLAB keeps them."""
    if x.ndim > 2 and x.shape[-1] == len(np.atleast_1d(y)) != len(x):
        role = f"x{suffix}"
        raise DataError(
            f"{mender.where}: {mender.names[role]} has the shape {x.shape} for {len(y)} labels: images come last",
            f"put them first: {mender.hint({role: f'numpy.moveaxis({mender[role]}, -1, 0)'})}",
        )


def _array(path: Path, file: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(file[name])
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        opened = f"a = numpy.load({str(path)!r}, allow_pickle=True)"
        plain = "{name: numpy.array(array.tolist()) for name, array in a.items()}"
        saved = f"numpy.savez({str(beside(path))!r}, **{plain})"
        raise DataError(
            f"{path}: {name} is an array of objects, which numpy pickles, and nothing is unpickled here",
            f"if you trust the file, as opening it so runs code that is in it: `import numpy; {opened}; {saved}`,"
            f" then name npz:{beside(path)}",
        ) from None


def _one_array(path: Path, array: NDArray[Any]) -> DataError:
    said = f"{path} holds one array without a name, of the shape {array.shape}: images without labels"
    code = f"import numpy; numpy.savez({str(beside(path))!r}, x=numpy.load({str(path)!r}), y=labels)"
    return DataError(said, f"save it with its labels: `{code}`, then name npz:{beside(path)}")
