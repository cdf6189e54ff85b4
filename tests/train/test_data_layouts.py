"""Layouts of folders of pictures: read as meant, or refused with a reason and commands that mend it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from deltanas.errors import DataError
from deltanas.train.data import Dataset, load
from deltanas.train.data.names import part_of
from own_data import files_of, follow, laid_out

PETS = {"cat": 30, "dog": 30}


def sizes(data: Dataset) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def within(split: str, n: int = 30) -> dict[str, int]:
    return {f"{split}/cat": n, f"{split}/dog": n}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"),
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("training", "testing"),
        ("training_set", "test_set"),
        ("Trainset", "Testset"),
        ("trainImages", "testImages"),
        ("train2017", "test2017"),
        ("train-data", "holdout"),
        ("trn", "tests"),
        ("seg_train", "seg_test"),
        ("train", "eval"),
        ("train", "Evaluation"),
        ("train_224x224", "test_224x224"),
    ],
)
def test_train_and_test_in_any_spelling(tmp_path: Path, train: str, test: str) -> None:
    data = load(f"folder:{laid_out(tmp_path, **within(train), **within(test, 10))}")
    assert data.source.names == ("cat", "dog")
    assert sizes(data) == (50, 10, 20)


@pytest.mark.parametrize("val", ["val", "valid", "Validation", "dev", "VAL", "development_set", "eval", "vals"])
def test_all_three_splits(tmp_path: Path, val: str) -> None:
    folder = laid_out(tmp_path, **within("train"), **within(val, 5), **within("test", 10))
    assert sizes(load(f"folder:{folder}")) == (60, 10, 20)


@pytest.mark.parametrize("val", ["val", "valid", "Validation", "dev", "eval"])
def test_without_a_test_split_the_validation_split_is_it(tmp_path: Path, val: str) -> None:
    data = load(f"folder:{laid_out(tmp_path, **within('train'), **within(val, 10))}")
    assert sizes(data) == (50, 10, 20)
    said = f"no test split: {val}/ is it, and a sixth of train/ validates"
    assert (said in data.source.notes) == (val != "eval")


@pytest.mark.parametrize(
    "around",
    [
        "MyData/{}",
        "MyData/data/{}",
        "train/{}",
        "Images/{}",
        "my data (1)/{}",
    ],
)
def test_a_folder_around_the_classes_is_looked_into(tmp_path: Path, around: str) -> None:
    folder = laid_out(tmp_path, **{around.format(name): n for name, n in PETS.items()})
    laid_out(tmp_path, **{f"__MACOSX/{around.format('cat')}": 3})
    data = load(f"folder:{folder}")
    assert (data.source.names, sizes(data)) == (("cat", "dog"), (36, 12, 12))
    assert data.source.notes == (f"read from {(tmp_path / around.format('cat')).parent}",)


def test_splits_in_folders_of_their_own(tmp_path: Path) -> None:
    folder = laid_out(tmp_path, **within("data/seg_train/seg_train"), **within("data/seg_test/seg_test", 10))
    assert sizes(load(f"folder:{folder}")) == (50, 10, 20)


@pytest.mark.parametrize(
    ("beside", "number"),
    [("annotations", 2), ("Annotation", 1), ("labels", 1), ("docs", 1), ("metadata", 1)],
)
def test_what_is_known_of_images_lies_beside_their_classes(tmp_path: Path, beside: str, number: int) -> None:
    for name in range(number):
        (tmp_path / beside).mkdir(exist_ok=True)
        (tmp_path / beside / f"{name}.xml").write_text("<cat/>")
    data = load(f"folder:{laid_out(tmp_path, **PETS)}")
    assert (data.source.names, sizes(data)) == (("cat", "dog"), (36, 12, 12))
    assert [(one.reason, one.number) for one in data.source.left_out] == [("no image", number)]


@pytest.mark.parametrize(
    "inside",
    [("cat/more",), ("cat/a/b",), ("dog/2023", "cat/2023"), ("cat/x", "cat/y", "dog/z"), ("cat/images", "dog/images")],
)
def test_folders_inside_a_class_are_a_part_of_it_and_told(tmp_path: Path, inside: tuple[str, ...]) -> None:
    data = load(f"folder:{laid_out(tmp_path, **PETS, **dict.fromkeys(inside, 5))}")
    assert sum(sizes(data)) == 60 + 5 * len(inside)
    assert any(" inside " in note and " part" in note for note in data.source.notes)


def test_a_folder_alone_in_a_class_is_it(tmp_path: Path) -> None:
    data = load(f"folder:{laid_out(tmp_path, **{'cat/images': 30, 'dog/images': 30})}")
    assert (data.source.names, sizes(data)) == (("cat", "dog"), (36, 12, 12))


def test_loose_images_beside_class_folders_are_told(tmp_path: Path) -> None:
    laid_out(tmp_path, **PETS, **{".": 3})
    (left,) = load(f"folder:{tmp_path}").source.left_out
    assert (left.reason, left.number) == ("an image in no class folder", 3)
    assert left.example == str(tmp_path / "000.png")


MENDED = [
    # layout, words of the refusal, then for each command of the hint the classes that are read after it
    (
        {"test": 30, "train": 30, "plane": 30},
        "test and train are spelt as a split",
        [("plane", "test-class", "train-class")],
    ),
    ({"val": 30, "cat": 30, "dog": 30}, "val is spelt as a split", [("cat", "dog", "val-class"), None]),
    ({"test": 30, "control": 30}, "test is spelt as a split", [("control", "test-class"), None]),
    (within("train") | within("test", 10) | {"predict": 9}, "predict is not", [("cat", "dog"), None]),
    (
        within("train") | within("val", 10) | {"unlabelled": 9, "more/x": 2},
        "more and unlabelled",
        [("cat", "dog"), None],
    ),
    ({"train": 30, "test": 30}, "a split by its name, holds 30 images and no class", [("test-class", "train-class")]),
    (within("train") | {"test": 20}, "holds 20 images and no class folders", [("cat", "dog")]),
    (within("train") | within("val", 10) | {"test": 20}, "no class folders", [("cat", "dog")]),
    (within("train") | {"val/images": 20}, "val, a split by its name, holds 20 images and no class", [("cat", "dog")]),
    (within("train") | {"test": 0}, "test, a split by its name, holds no image", [("cat", "dog")]),
    (within("Train") | within("training"), "named as one and the same split", [("cat", "dog")]),
    (within("train") | within("val", 8) | within("dev", 8), "one and the same split", [("cat", "dog")]),
    (within("val") | within("test", 10), "no split to train on", [("cat", "dog")]),
    (PETS | {"thumbnails": 30}, "thumbnails is", [("cat", "dog"), ("cat", "dog", "thumbnails-class")]),
    (PETS | {"labels": 30, "masks": 30}, "labels and masks are", [("cat", "dog"), None]),
    (PETS | {"Ground_Truth": 9}, "Ground_Truth is", [("cat", "dog")]),
    (PETS | {"cat/thumbs": 30}, "cat/thumbs: by its name", [("cat", "dog")]),
    (PETS | {"dog/annotations": 3, "dog/masks": 3}, "dog/annotations", None),
    (PETS | {"Cat": 30}, "Cat and", [("Cat", "dog"), ("Cat", "cat-2", "dog")]),
    ({"café": 30, "cafe\u0301": 30, "bar": 30}, "differ in capitals, accents or spaces", [("bar", "cafe\u0301"), None]),
    (PETS | {"fox": 0}, "fox: no image", [("cat", "dog")]),
    (within("train") | within("test", 10) | {"test/fox": 5}, "test/fox: a class that", [("cat", "dog")]),
    (within("train") | within("test", 10) | {"train/fox": 9}, "test has no folder fox", [("cat", "dog", "fox")]),
    (within("train") | within("test", 10) | {"train/fox": 9, "test/fox": 0}, "fox: no image", None),
    (
        {"animals/cat": 30, "animals/dog": 30, "cars/bus": 30, "cars/van": 30},
        "animals holds 0 images itself and 60 in folders of its own (cat, dog)",
        [("bus", "cat", "dog", "van"), ("animals", "cars")],
    ),
    ({"cat": 30, "birds/owl": 30, "birds/jay": 30}, "birds holds 0", [("cat", "jay", "owl"), ("birds", "cat")]),
    ({"s1/cat": 30, "s1/dog": 30, "s2/cat": 9, "s2/dog": 9}, "which of them are the classes", [("s1", "s2")]),
    (
        {"cat/train": 30, "cat/test": 9, "dog/train": 30, "dog/test": 9},
        "cat holds 0 images itself",
        [("cat", "dog")],
    ),
    ({"a/b/c/d": 19, "a/b/c/e": 19, "a/f": 9, "g/h": 19, "g/i": 9}, "which of them", [None, ("a", "g")]),
]


@pytest.mark.parametrize(("layout", "words", "after"), MENDED)
def test_what_is_not_sure_is_refused_and_each_command_of_the_hint_mends_it(
    tmp_path: Path, layout: dict[str, int], words: str, after: list[tuple[str, ...] | None] | None
) -> None:
    for number, classes in enumerate(after or [None]):
        folder = laid_out(tmp_path / f"try {number}" / "my data", **layout)
        before = files_of(folder.parent)
        with pytest.raises(DataError, match=re.escape(words)) as caught:
            load(f"folder:{folder}")
        if classes is None:
            continue
        follow(caught.value.hint, number)
        assert before.items() <= files_of(folder.parent).items()
        new = re.search(r"name that, '?([^:']+)|then name '?([^:']+)", caught.value.hint)
        read = Path(new.group(1) or new.group(2)) if new else folder
        assert set(load(f"folder:{read}").source.names) == set(classes)


@pytest.mark.parametrize(
    ("layout", "words", "hint"),
    [
        ({"images": 30, "labels": 30}, "images and labels are no class by name", "make a folder for each class"),
        ({"images": 30, "labels": 0}, "they detect and segment nothing", "make a folder for each class"),
        ({"JPEGImages": 30, "Annotations": 0, "SegmentationClass": 30}, "JPEGImages", "make a folder"),
        ({"train/images": 30, "train/labels": 0, "val/images": 9, "val/labels": 0}, "images", "make a folder"),
        (
            {"images/train": 30, "images/val": 9, "labels/train": 0},
            "train, a split by its name, holds 30 images and no class",
            "make a folder",
        ),
        ({"img": 30, "mask": 30}, "img and mask are", "make a folder"),
        ({".": 30}, "30 images lie right in it", "make a folder"),
        ({"cat": 30}, "cat is the only class", "make a folder"),
        ({"animals": 1, "animals/cat": 30, "animals/dog": 30}, "animals is the only class", "folder:"),
        ({"cat": 0, "dog": 0}, "cat: no image", "put images into it"),
        ({"train": 30}, "train, a split by its name, holds 30 images", "make a folder"),
    ],
)
def test_what_no_command_can_mend_is_refused_with_the_reason(
    tmp_path: Path, layout: dict[str, int], words: str, hint: str
) -> None:
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        load(f"folder:{laid_out(tmp_path, **layout)}")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "layout",
    [{"images/cat": 30, "images/dog": 30, "labels/cat": 3}, {"animals": 1, "animals/cat": 30, "animals/dog": 30}],
)
def test_the_folder_that_a_hint_names_is_read(tmp_path: Path, layout: dict[str, int]) -> None:
    with pytest.raises(DataError) as caught:
        load(f"folder:{laid_out(tmp_path, **layout)}")
    (name,) = re.findall(r"folder:\S+", caught.value.hint)
    assert load(name).source.names == ("cat", "dog")


def test_classes_of_another_case_in_another_split_are_the_same(tmp_path: Path) -> None:
    data = load(f"folder:{laid_out(tmp_path, **within('train'), **{'test/Cat': 9, 'test/DOG ': 9})}")
    assert (data.source.names, sizes(data)) == (("cat", "dog"), (50, 10, 18))


def test_files_in_place_of_a_folder(tmp_path: Path) -> None:
    for name, hint in (("data.zip", "unpack it"), ("data.npz", "npz:")):
        (tmp_path / name).write_bytes(b"PK")
        with pytest.raises(DataError, match="is a file") as caught:
            load(f"folder:{tmp_path / name}")
        assert hint in caught.value.hint


def test_names_that_are_no_splits() -> None:
    names = ["cat", "tester", "train station", "validity", "no test", "test-class", "straining", "été-train", "9", ""]
    names += ["x", "testtrain", "evil", "value", "devil", "data", "images", "set"]
    assert [name for name in names if part_of(name)] == []


def test_what_is_glued_to_a_split_is_taken_off() -> None:
    glued = ["traindataset", "trainset", "testimagesets", "TestDataset", "validationimgs", "valdatasets"]
    assert [part_of(name) for name in glued] == ["train", "train", "test", "test", "validation", "validation"]


def test_nothing_is_ever_an_accuracy_on_splits(tmp_path: Path) -> None:
    """Splits in words that are not known are folders of folders, so they are refused, never read as classes."""
    spelt = ["entrainement", "Lernen", "fold1", "fold 2", "partition", "set-a", "学習"]
    for number, (one, other) in enumerate(itertools.pairwise(spelt)):
        folder = laid_out(tmp_path / str(number), **within(one), **within(other))
        with pytest.raises(DataError, match="which of them are the classes") as caught:
            load(f"folder:{folder}")
        assert f"if {min(one, other)}, {max(one, other)} are splits, call them train" in (caught.value.hint or "")
