"""The operations on training images that a transform may call: their parameters, bounds and steps.

Each is named as in torchvision and means the same, but for sizes: those are shares of the image's side, and the image
keeps its size. Its half that works on images is in `train/augment`.
"""

from __future__ import annotations

from dataclasses import dataclass

Value = float | str | tuple[float, ...]
"""A number, a word, or two numbers."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an operation takes.

    Attributes:
        default: its value where it is not given; a parameter without a default in torchvision has one here.
        least, most: bounds of a number, or of each of two numbers; not read where `choices` are.
        grid: the values that an edit steps through, from weak to strong.
        whole: a whole number. ordered: two numbers are a range, the lesser first. choices: the values that it may have.
        graded: it makes the operation weaker or stronger; one that does not has its default at every strength.
    """

    name: str
    default: Value
    least: float
    most: float
    grid: tuple[Value, ...]
    whole: bool = False
    ordered: bool = True
    choices: tuple[Value, ...] = ()
    graded: bool = True

    def at(self, strength: int) -> Value:
        """Its value at strength 0 (weak), 1 (middle) or 2 (strong)."""
        return self.grid[strength] if self.graded else self.default

    @property
    def bounds(self) -> str:
        """What it may be, in words."""
        if self.choices:
            return f"one of {', '.join(map(value_text, self.choices))}"
        limits = f"from {self.least:g} to {self.most:g}"
        if isinstance(self.default, tuple):
            return f"{'a range (low, high)' if self.ordered else 'two numbers'} {limits}"
        return f"{'a whole number' if self.whole else 'a number'} {limits}"

    @property
    def assigned(self) -> str:
        """As a call has it, at its middle strength."""
        return f"{self.name}={value_text(self.at(1))}"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation on training images.

    Attributes:
        singles: whether it does something to images of other than three channels.
        by_place: torchvision has the parameters in this order too, so a call may give them without their names.
    """

    name: str
    about: str
    parameters: tuple[Parameter, ...] = ()
    singles: bool = True
    by_place: bool = True

    def at(self, strength: int) -> tuple[Value, ...]:
        """The values of its parameters at strength 0 (weak), 1 (middle) or 2 (strong)."""
        return tuple(one.at(strength) for one in self.parameters)

    @property
    def call(self) -> str:
        """As a transform has it, at its middle strength."""
        return f"transforms.{self.name}({', '.join(one.assigned for one in self.parameters)})"

    def __str__(self) -> str:
        given = ", ".join(f"{one.assigned} ({one.bounds})" for one in self.parameters)
        return f"{self.name}({given}): {self.about}"


def value_text(value: Value) -> str:
    """A value as Python has it; a whole number without a decimal point."""
    if isinstance(value, tuple):
        return f"({', '.join(map(value_text, value))})"
    if isinstance(value, str):
        return repr(value)
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _p(default: float = 0.5) -> Parameter:
    return Parameter("p", default, 0.0, 1.0, (0.1, 0.5, 0.9))


def _share(name: str, default: float, least: float, most: float, *grid: float) -> Parameter:
    return Parameter(name, default, least, most, grid)


def _factor(name: str) -> Parameter:
    return Parameter(name, (1.0, 1.0), 0.0, 3.0, ((0.9, 1.1), (0.7, 1.3), (0.4, 1.6)))


_DEGREES = Parameter("degrees", (-15.0, 15.0), -180.0, 180.0, ((-5.0, 5.0), (-15.0, 15.0), (-30.0, 30.0)))
_MAGNITUDE = Parameter("magnitude", 9.0, 0.0, 30.0, (5.0, 9.0, 15.0), whole=True)

_GEOMETRY = (
    Operation(
        "CenterCrop",
        "cuts this share of each side out of the middle and scales it up to the image's size",
        (_share("size", 0.875, 0.25, 1.0, 0.9375, 0.875, 0.75),),
    ),
    Operation(
        "Pad",
        "adds this share of each side on all four sides and scales it down to the image's size; fill: a grey level",
        (
            _share("padding", 0.125, 0.0, 0.5, 0.0625, 0.125, 0.25),
            Parameter("fill", 0.0, 0.0, 255.0, (0.0, 128.0, 255.0), whole=True, graded=False),
            Parameter(
                "padding_mode",
                "constant",
                0.0,
                0.0,
                ("constant", "edge", "reflect", "symmetric"),
                choices=("constant", "edge", "reflect", "symmetric"),
                graded=False,
            ),
        ),
    ),
    Operation(
        "RandomCrop",
        "pads an image with zeros by a share of its shorter side and cuts this share of each of its sides out at a "
        "random place, scaled up to the image's size",
        (
            _share("padding", 0.125, 0.0, 0.5, 0.0625, 0.125, 0.25),
            Parameter("size", 1.0, 0.25, 1.0, (1.0, 0.875, 0.75), graded=False),
        ),
        by_place=False,
    ),
    Operation("RandomHorizontalFlip", "mirrors an image left to right with probability p", (_p(),)),
    Operation("RandomVerticalFlip", "mirrors an image top to bottom with probability p", (_p(),)),
    Operation(
        "RandomResizedCrop",
        "cuts out a random rectangle of this share of the area and this ratio of width to height, scaled to the "
        "image's size",
        (
            Parameter("scale", (0.08, 1.0), 0.01, 1.0, ((0.9, 1.0), (0.8, 1.0), (0.5, 1.0))),
            Parameter("ratio", (0.75, 1.3333), 0.25, 4.0, ((0.9, 1.1), (0.75, 1.3333), (0.5, 2.0))),
        ),
        by_place=False,
    ),
    Operation("RandomRotation", "turns an image by a random angle of this range, in degrees", (_DEGREES,)),
    Operation(
        "RandomAffine",
        "turns, shifts, scales and shears an image; translate: greatest shift as shares of width and height, shear: "
        "degrees along the width",
        (
            _DEGREES,
            Parameter("translate", (0.0, 0.0), 0.0, 1.0, ((0.05, 0.05), (0.1, 0.1), (0.2, 0.2)), ordered=False),
            Parameter("scale", (1.0, 1.0), 0.25, 4.0, ((0.95, 1.05), (0.9, 1.1), (0.8, 1.2))),
            Parameter("shear", (0.0, 0.0), -60.0, 60.0, ((-3.0, 3.0), (-6.0, 6.0), (-12.0, 12.0))),
        ),
    ),
    Operation(
        "RandomPerspective",
        "moves the corners inwards by up to half this share of the sides, with probability p",
        (_share("distortion_scale", 0.5, 0.0, 0.6, 0.1, 0.3, 0.5), _p()),
    ),
)

_COLOUR = (
    Operation(
        "ColorJitter",
        "multiplies brightness, contrast and saturation by factors drawn from these ranges and turns the hue, in a "
        "random order",
        (
            _factor("brightness"),
            _factor("contrast"),
            _factor("saturation"),
            Parameter("hue", (0.0, 0.0), -0.5, 0.5, ((-0.02, 0.02), (-0.05, 0.05), (-0.1, 0.1))),
        ),
    ),
    Operation("Grayscale", "takes the colour away", singles=False),
    Operation("RandomGrayscale", "takes the colour away with probability p", (_p(0.1),), singles=False),
    Operation("RandomInvert", "inverts the levels with probability p", (_p(),)),
    Operation(
        "RandomPosterize",
        "keeps so many bits of each level, with probability p",
        (Parameter("bits", 4.0, 1.0, 8.0, (6.0, 4.0, 2.0), whole=True), _p()),
    ),
    Operation(
        "RandomSolarize",
        "inverts the levels from this one up, with probability p",
        (Parameter("threshold", 128.0, 0.0, 256.0, (192.0, 128.0, 64.0)), _p()),
    ),
    Operation("RandomAutocontrast", "stretches the levels to the whole range, with probability p", (_p(),)),
    Operation("RandomEqualize", "makes all levels about equally frequent, with probability p", (_p(),)),
)

_FILTERS = (
    Operation(
        "GaussianBlur",
        "blurs with a kernel of so many pixels; sigma: range of its deviation, in pixels",
        (
            Parameter("kernel_size", 5.0, 3.0, 7.0, (3.0, 5.0, 7.0), choices=(3.0, 5.0, 7.0)),
            Parameter("sigma", (0.1, 2.0), 0.05, 4.0, ((0.1, 0.5), (0.1, 1.0), (0.5, 2.0))),
        ),
    ),
    Operation(
        "RandomAdjustSharpness",
        "blurs (a factor below 1) or sharpens (above 1), with probability p",
        (_share("sharpness_factor", 1.5, 0.0, 4.0, 0.5, 1.5, 2.0), _p()),
    ),
)

_POLICIES = (
    Operation(
        "TrivialAugmentWide", "does one of fourteen operations at a random strength to each image (arXiv 2103.10158)"
    ),
    Operation(
        "RandAugment",
        "does num_ops of fourteen operations at one strength to each image (arXiv 1909.13719)",
        (Parameter("num_ops", 2.0, 1.0, 4.0, (1.0, 2.0, 3.0), whole=True), _MAGNITUDE),
    ),
)

MENU: dict[str, Operation] = {operation.name: operation for operation in (*_GEOMETRY, *_COLOUR, *_FILTERS, *_POLICIES)}
"""All operations, by name."""
