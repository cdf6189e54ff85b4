"""Programs and trials out of wheels and folders, into an archive and back."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from deltanas.archive import RunArchive, create_run, sqlite_url
from deltanas.errors import DataError, UsageError
from deltanas.lemur import Imported, import_tree, open_tree, write_layout
from deltanas.program.trial import Experiment
from lemur_wheels import (
    CLASSIFICATION,
    PROGRAMS,
    TRIALS,
    files,
    net,
    read_folder,
    rows,
    trial,
    write_folder,
    write_wheel,
)

Import = Callable[[Path], Imported]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunArchive]:
    with create_run(sqlite_url(tmp_path / "archive.db"), "lemur", {}) as run:
        yield run


@pytest.fixture
def imported(run: RunArchive) -> Import:
    def read(path: Path) -> Imported:
        with open_tree(path) as tree:
            return import_tree(tree, run.trials, lambda what, done, total: None)

    return read


@pytest.mark.parametrize("old", [True, False], ids=["1.2.6", "2.1.2"])
@pytest.mark.parametrize("write", [write_wheel, write_folder])
def test_programs_and_trials_of_both_layouts(
    old: bool,
    write: Callable[[Path, Mapping[str, bytes]], Path],
    tmp_path: Path,
    imported: Import,
    run: RunArchive,
) -> None:
    assert imported(write(tmp_path / "source", files(old))) == Imported(3, 8)
    assert run.trials.sources() == PROGRAMS
    first, second = run.trials.trials(dataset="mnist", epoch=1)[:2]
    assert first.experiment == Experiment("img-classification", "mnist", "acc", "Small")
    assert (first.epoch, first.accuracy, first.duration) == (1, 0.5, 10)
    assert first.prm == {"batch": 32, "lr": 0.1, "momentum": 0.5}
    assert (second.duration, second.prm["lr"]) == (None, 1e-05)
    assert imported(tmp_path / "source") == Imported()


def test_a_folder_may_be_the_package_itself(tmp_path: Path, imported: Import) -> None:
    write_folder(tmp_path / "checkout", files())
    assert imported(tmp_path / "checkout" / "ab" / "nn") == Imported(3, 8)


@pytest.mark.parametrize("old", [True, False], ids=["1.2.6", "2.1.2"])
def test_a_round_trip_is_exact(old: bool, tmp_path: Path, imported: Import, run: RunArchive) -> None:
    imported(write_wheel(tmp_path / "source.whl", files(old)))
    assert write_layout(tmp_path / "out", run.trials.sources(), run.trials.trials()) == (3, 8)
    expected = {name.removeprefix("ab/nn/"): data for name, data in files().items()}
    kept = {
        name: data for name, data in expected.items() if name.startswith(("nn/", "stat/train/")) and "__" not in name
    }
    assert read_folder(tmp_path / "out" / "ab" / "nn") == kept
    before = run.trials.trials()
    with create_run(sqlite_url(tmp_path / "again.db"), "again", {}) as again, open_tree(tmp_path / "out") as tree:
        assert import_tree(tree, again.trials, lambda *_: None) == Imported(3, 8)
        assert again.trials.sources() == PROGRAMS
        assert again.trials.trials() == before


SMALL_2 = f"{CLASSIFICATION}_Small/2.json"
FAULTS = {
    "cut short": (SMALL_2, TRIALS[SMALL_2].encode()[:-20], "not JSON: "),
    "empty": (SMALL_2, b" \n", "the file is empty"),
    "no trial": (SMALL_2, b"[]", "it holds no trial"),
    "not a list": (SMALL_2, b"{}", "not a list of trials"),
    "not objects": (SMALL_2, b"[1]", "trial 1 is not an object"),
    "no accuracy": (SMALL_2, rows(trial(0.5), {"lr": 1}).encode(), "trial 2 has no accuracy"),
    "no number": (SMALL_2, b'[{"accuracy": NaN}]', "trial 1 has no accuracy"),
    "a number too large": (SMALL_2, b'[{"accuracy": 1' + b"0" * 400 + b"}]", "trial 1 has no accuracy"),
    "digits without end": (SMALL_2, b'[{"accuracy": 1' + b"0" * 5000 + b"}]", "not JSON: "),
    "nested without end": (SMALL_2, b"[" * 100_000, "not JSON: "),
    "not UTF-8": (SMALL_2, b'[{"accuracy": 0.5, "x": "\xff"}]', "not JSON: "),
    "too long": (SMALL_2, b" " * 16_000_001, "has more than 16,000,000 bytes"),
    "no epoch": (f"{CLASSIFICATION}_Small/last.json", b"[]", "its name is not the number of an epoch"),
    "epoch 0": (f"{CLASSIFICATION}_Small/0.json", b"[]", "its name is not the number of an epoch"),
    "no experiment": ("mnist_acc_Small/2.json", b"[]", "its folder is not named"),
    "no program": (f"{CLASSIFICATION}_Other/1.json", rows(trial(0.5)).encode(), "no program Other.py"),
    "a bad name": (f"{CLASSIFICATION}_Small/\x07.json", b"[]", "its path is too long or not plain text"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_file_of_trials_is_named_and_the_others_are_read(
    fault: str, tmp_path: Path, imported: Import, run: RunArchive
) -> None:
    name, data, reason = FAULTS[fault]
    held = 8 - (name in TRIALS)
    done = imported(write_wheel(tmp_path / "source.whl", {**files(), f"ab/nn/stat/train/{name}": data}))
    assert (done.programs, done.trials) == (3, held)
    (broken,) = done.broken
    assert broken.path == f"stat/train/{name}"
    assert broken.reason.startswith(reason)
    assert len(run.trials.trials()) == held


def test_a_mended_file_is_read_the_next_time(tmp_path: Path, imported: Import) -> None:
    folder = write_folder(tmp_path / "source", files())
    (folder / "ab/nn/stat/train" / SMALL_2).write_bytes(b"[")
    assert imported(folder).trials == 7
    write_folder(folder, files())
    assert imported(folder) == Imported(0, 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "the file is empty"), (b"x = '\xff'", "not UTF-8: byte 0xff at offset 5"), (b"a\0b", "not a text file")],
)
def test_a_broken_program_takes_its_trials_along(data: bytes, reason: str, tmp_path: Path, imported: Import) -> None:
    done = imported(write_wheel(tmp_path / "source.whl", {**files(), "ab/nn/nn/Small.py": data}))
    assert (done.programs, done.trials) == (2, 4)
    assert [each.path for each in done.broken] == [
        "nn/Small.py",
        *(f"stat/train/{n}" for n in sorted(TRIALS) if "Small" in n),
    ]
    assert done.broken[0].reason.startswith(reason)


def test_a_program_of_the_same_name_and_another_text_is_refused(
    tmp_path: Path, imported: Import, run: RunArchive
) -> None:
    imported(write_wheel(tmp_path / "first.whl", files()))
    programs = {**PROGRAMS, "Same": net(16), "New": net(9)}
    done = imported(write_wheel(tmp_path / "second.whl", files(programs=programs)))
    assert (done.programs, done.trials) == (1, 0)
    assert [each.path for each in done.broken] == ["nn/Same.py", "stat/train/obj-detection_coco_map_Same/50.json"]
    assert run.trials.sources() == {**PROGRAMS, "New": net(9)}


def test_members_that_can_not_be_unpacked_are_named(tmp_path: Path, imported: Import) -> None:
    wheel = write_wheel(tmp_path / "source.whl", files())
    with zipfile.ZipFile(wheel) as archive:
        member = archive.getinfo(f"ab/nn/stat/train/{SMALL_2}")
    data = bytearray(wheel.read_bytes())
    data[member.header_offset + 30 + len(member.filename) + 10] ^= 0xFF
    wheel.write_bytes(data)
    done = imported(wheel)
    assert (done.programs, done.trials) == (3, 7)
    assert [each.path for each in done.broken] == [f"stat/train/{SMALL_2}"]
    assert "can't be unpacked" in done.broken[0].reason


def test_what_is_no_wheel(tmp_path: Path) -> None:
    (tmp_path / "text.whl").write_text("no wheel")
    whole = write_wheel(tmp_path / "whole.whl", files()).read_bytes()
    (tmp_path / "cut.whl").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.whl").touch()
    for name in ("text.whl", "cut.whl", "empty.whl"):
        with pytest.raises(DataError, match="is no wheel that can be read"), open_tree(tmp_path / name):
            pass
    with pytest.raises(UsageError, match="no wheel or folder"), open_tree(tmp_path / "none.whl"):
        pass


def test_a_wheel_without_programs_says_which_have_them(tmp_path: Path) -> None:
    wheel = write_wheel(
        tmp_path / "nn_dataset-2.2.11-py3-none-any.whl", {"ab/nn/nn/__init__.py": b"", "ab/nn/api.py": b""}
    )
    with pytest.raises(DataError, match=r"holds no programs.*\n.*1\.2\.6 and 2\.1\.2 hold"), open_tree(wheel):
        pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no programs"), open_tree(tmp_path / "empty"):
        pass


def test_what_is_no_number_in_a_duration_stays_as_it_is(tmp_path: Path, imported: Import, run: RunArchive) -> None:
    odd = [trial(0.5, duration=value) for value in (1.5, "long", True, -1, 2**63)]
    name = f"ab/nn/stat/train/{SMALL_2}"
    imported(write_wheel(tmp_path / "source.whl", {**files(), name: rows(*odd).encode()}))
    assert all(each.duration is None for each in run.trials.trials(epoch=2))
    write_layout(tmp_path / "out", run.trials.sources(), run.trials.trials())
    assert json.loads((tmp_path / "out" / name).read_text()) == odd


def test_an_export_needs_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is not an empty folder"):
        write_layout(tmp_path, {}, [])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "nn").touch()
    with pytest.raises(UsageError, match="is not an empty folder"):
        write_layout(tmp_path / "full", {}, [])
