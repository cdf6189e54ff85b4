"""The settings of a training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from deltanas.settings import Section, listed, numbers
from deltanas.train.epochs import CROP, LEAST_STEPS, LEAST_STEPS_OF_PAIRS
from deltanas.train.job import PATCH, Augment, Noise
from deltanas.wording import counted

Executor = Literal["local", "ray"]
Device = Literal["cpu", "cuda", "auto"]


def _sizes(value: object) -> object:
    return value if value == "auto" else numbers(value)


class TrainConfig(Section):
    """How a candidate is trained. The recipe is the same for all of them."""

    size: Annotated[int, Field(ge=1)] | None = Field(None, description="number of training images; default: all")
    validation_size: Annotated[int, Field(ge=10)] | Literal["all"] = Field(
        3300,
        description="number of validation images that a candidate is scored on, where there are more; all: every one."
        " The test split is always taken whole",
    )
    resize: Annotated[int, Field(ge=1)] | None = Field(
        None, description="height and width to resize images to, in pixels; default: no resizing"
    )
    colour: bool | None = Field(
        None,
        description="read all images as RGB (true) or as grey (false); default: as they are, files as RGB if any of"
        " them has colours",
    )
    epochs: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description="number of epochs of a training; auto: the least number with which the batch size of the default"
        f" recipe (or of `prm`) gives {LEAST_STEPS} optimizer steps, with pairs of images {LEAST_STEPS_OF_PAIRS}; the"
        " same for all, but that a search with `rungs` trains some for longer",
    )
    augment: Annotated[tuple[Augment, ...], BeforeValidator(listed)] = Field(
        (),
        description="augmentation of training images, if the program has no transform: flip (left to right)"
        " | crop (padded, at a random place); not with edits of the transform",
    )
    patch: int = Field(
        PATCH,
        ge=8,
        description="with photographs: height and width of the patches that they are cut into, in pixels",
    )
    crops: Annotated[tuple[Annotated[int, Field(ge=8)], ...] | Literal["auto"], BeforeValidator(_sizes)] = Field(
        "auto",
        description="with pairs of images: sizes that they are cropped to in training, in pixels, as 32,64: each for an"
        f" equal share of the epochs, in this order; auto: {CROP}, where pairs are larger. Pairs are always flipped and"
        " transposed by chance, both sides alike",
    )
    noise: Noise = Field(
        "independent",
        description="with photos: noise that is put on them: independent (in each pixel) | mosaic (correlated as after"
        " a sensor's colours were interpolated) | darktable (independent, of measured strengths of cameras, if"
        " darktable is installed)",
    )
    average: float = Field(
        0.25,
        ge=0,
        le=1,
        description="share of the last steps of a training over which weights are averaged; these are scored and"
        " exported; 0: the last weights are",
    )
    timeout: float = Field(
        300.0,
        gt=0,
        description="wall-clock limit of a training that all candidates get, seconds; a longer one, by rungs or at the"
        " end, may take longer by as much",
    )
    memory_gb: float = Field(4.0, gt=0, description="limit of a candidate's address space, GiB")
    workers: Annotated[int, Field(ge=1)] | None = Field(
        None, description="number of trainings at a time, on each machine; default: as many as the cores allow"
    )
    threads: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="number of CPU threads of a training; default: 1, or what `deltanas calibrate` found best on this"
        " machine if `train.workers` is not given either",
    )
    cache: bool = Field(
        True,
        description="keep trainings of the baselines on this machine, and take them from there where a run with equal"
        " data, settings of the training and seed asks for them",
    )
    unsafe: bool = Field(False, description="run even if the sandbox is weaker than tier B")
    device: Device = Field(
        "cpu", description="device of trainings: cpu | cuda (one on each GPU) | auto (cuda if torch finds a GPU)"
    )
    executor: Executor = Field("local", description="where trainings run: local (this machine) | ray (a Ray cluster)")
    address: str | None = Field(
        None, description="with ray: HOST:PORT of the cluster, or auto; default: start one on this machine for the run"
    )

    @property
    def told_epochs(self) -> str:
        return "auto epochs" if self.epochs == "auto" else counted(self.epochs, "epoch")
