"""What a name says: that a folder or an array is of a split, or that a folder usually lies beside images."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

Part = Literal["train", "validation", "test", "evaluation"]


def _words(text: str) -> list[str]:
    return text.split()


_FILLERS = frozenset(
    _words("data dataset dir folder image images img imgs photos pictures px samples seg set sets split")
)
PARTS: dict[Part, list[str]] = {
    "train": _words("train trains training trainings trn"),
    "validation": _words("val vals valid validate validation validations vld dev devel development"),
    "test": _words("test tests testing tst holdout"),
    "evaluation": _words("eval evals evaluate evaluation"),
}
"""Words for the splits; "evaluation" is the one that is missing."""
_PARTS = {word: part for part, words in PARTS.items() for word in words}
IMAGES = frozenset(_words("image images img imgs jpegimages jpgs photo photos pics pictures rgb"))
_BESIDE = frozenset(
    _words(
        "annotation annotations annots bbox bboxes groundtruth gt images imagesets imgs jpegimages jpgs labels masks"
        " preview previews segmentation segmentationclass segmentationobject segmentations thumbnail thumbnails thumbs"
    )
)
_PERHAPS = frozenset(_words("boxes depth doc docs json label mask meta metadata txt xml"))


def part_of(name: str) -> Part | None:
    """The split that a folder of this name is, in any usual spelling: Train, training_set, testImages, val2017."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold()
    words = [_bare(word) for word in re.findall(r"[a-z]+", apart) if len(word) > 1 and word not in _FILLERS]
    foreign = re.search(r"[^\W\d_a-z]", apart)
    return _PARTS.get(words[0]) if len(words) == 1 and not foreign else None


def _bare(word: str) -> str:
    """Without what is glued to its end, as in "trainset" and "testimagesets"."""
    while glued := max((end for end in _FILLERS if word.endswith(end) and word != end), key=len, default=""):
        word = word.removesuffix(glued)
    return word


def beside_images(name: str, *, sure: bool = True) -> bool:
    """Whether folders of this name hold what is known of images, or copies of them. sure: no class has such a name."""
    plain = re.sub(r"[\W_]+", "", name.casefold())
    return plain in _BESIDE or (not sure and plain in _PERHAPS)


def images_alone(name: str) -> bool:
    """Whether a folder of this name holds images, whatever they show."""
    return re.sub(r"[\W_]+", "", name.casefold()) in IMAGES


def same(name: str) -> str:
    """Equal for names that differ in case, in the way that accents are written, or in spaces around them."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold().strip())
