"""Between the two ways of writing a transform: torchvision's pixels, and shares of the image's side.

With torchvision a crop or a pad changes the size of what comes after it; ours keep the size. Both ways are followed
with the side as it is at each operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from deltanas.lemur.layout import FaultError
from deltanas.lemur.transforms import Call, Literal, Released
from deltanas.program.transforms import MENU, Step, TransformError, Value, read_transform, transform_text, value_text

_SIDES = ("CenterCrop", "Pad", "RandomCrop", "RandomResizedCrop")
_PIXELS = ("GaussianBlur", "RandomAdjustSharpness")
"""Operations whose filters are of so many pixels."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A released transform in terms of the menu. notes: where it does not mean quite the same."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


def converted(released: Released, side: int) -> Converted:
    """The transform on images of this side, or of the one that it scales them to first.

    Raises FaultError where the menu has nothing that means the same.
    """
    shares = _Shares(released.before or side)
    steps = tuple(map(shares.step, released.calls))
    try:
        read_transform(transform_text(steps))
    except TransformError as error:
        raise FaultError(error.message) from None
    return Converted(steps, tuple(shares.notes))


@dataclass(slots=True)
class _Shares:
    side: float
    notes: list[str] = field(default_factory=list)
    whole: float = field(init=False)

    def __post_init__(self) -> None:
        self.whole = self.side

    def step(self, call: Call) -> Step:
        given = call.arguments
        if call.name in ("CenterCrop", "RandomCrop"):
            return self._crop(call.name, cast("int", given["size"]), cast("int", given.get("padding", 0)))
        if call.name == "Pad":
            return self._pad(cast("int", given["padding"]), given.get("fill", 0), given.get("padding_mode", "constant"))
        if call.name == "RandomResizedCrop":
            self.side = cast("int", given["size"])
        elif call.name in _PIXELS and self.side != self.whole:
            self.notes.append(f"{call.name} is of pixels of an image of {self.side:g}, not {self.whole:g}")
        named = {name: _value(call.name, name, value) for name, value in given.items()}
        parameters = MENU[call.name].parameters
        return Step(call.name, tuple(named.get(one.name, _absent(call.name, one.name)) for one in parameters))

    def _crop(self, name: str, size: int, padding: int) -> Step:
        before, self.side = self.side, size
        if size > before + 2 * padding:
            if name == "RandomCrop":
                raise FaultError(f"a crop of {size} pixels out of {before:g} fails")
            if (size - before) % 2:
                self.notes.append(f"CenterCrop pads {before:g} pixels to {size}: one more on one side")
            return Step("Pad", (_share_of((size - before) / 2, before), 0.0, "constant"))
        share = _share_of(size, before)
        return Step(name, (share,) if name == "CenterCrop" else (_share_of(padding, before), share))

    def _pad(self, padding: int, fill: Literal, mode: Literal) -> Step:
        before, self.side = self.side, self.side + 2 * padding
        levels = [min(float(one), 255.0) for one in (fill if isinstance(fill, tuple) else (fill,))]
        grey = float(round(sum(levels) / len(levels)))
        if len(set(levels)) > 1 and mode == "constant" and padding:
            self.notes.append("Pad has one grey level in place of a colour")
        return Step("Pad", (_share_of(padding, before), grey if mode == "constant" else 0.0, str(mode)))


def _share_of(pixels: float, side: float) -> float:
    """Six digits, of which the whole pixels come back: of 27 pixels .111111 is less than 3."""
    share = round(pixels / side, 6)
    return share if int(share * side) == int(pixels) else round(share + 1e-6, 6)


def _value(operation: str, name: str, value: Literal) -> Value:
    """The value as the menu has it: one number where torchvision makes a range of it is that range."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return tuple(map(float, value))
    if name in ("degrees", "hue", "shear"):
        return -float(value), float(value)
    if name in ("brightness", "contrast", "saturation"):
        return max(0.0, round(1 - value, 6)), round(1 + value, 6)
    return (float(value), float(value)) if (operation, name) == ("GaussianBlur", "sigma") else float(value)


_DEFAULTS: Mapping[tuple[str, str], Value] = {
    ("RandomResizedCrop", "ratio"): (0.75, 4 / 3),
    ("ColorJitter", "brightness"): (1.0, 1.0),
    ("ColorJitter", "contrast"): (1.0, 1.0),
    ("ColorJitter", "saturation"): (1.0, 1.0),
    ("ColorJitter", "hue"): (0.0, 0.0),
    ("RandomAffine", "degrees"): (0.0, 0.0),
    ("RandomAffine", "translate"): (0.0, 0.0),
    ("RandomAffine", "scale"): (1.0, 1.0),
    ("RandomAffine", "shear"): (0.0, 0.0),
}


def _absent(operation: str, name: str) -> Value:
    """What a parameter that is not given means in torchvision."""
    default = next(one.default for one in MENU[operation].parameters if one.name == name)
    return _DEFAULTS.get((operation, name), default)


_READ_AS = {True: "Lambda(lambda image: image.convert('RGB'))", False: "Grayscale(num_output_channels=1)"}


def pixels_text(
    steps: Sequence[Step], shape: tuple[int, int, int], *, resized: bool, colour: bool | None = None
) -> str:
    """LEMUR's text of a policy on images of this shape (channels, height, width), for torchvision.

    Images are made RGB or grey first where the run reads them so (`colour`). They are scaled before the operations
    where the run does so (`resized`), and after them where these change a size. Operations on colours are left out
    where channels are neither one nor three.
    """
    channels, height, width = shape
    size = [height, width]
    calls = [] if colour is None else [_READ_AS[colour]]
    calls += [f"Resize(({size[0]}, {size[1]}))"] if resized else []
    calls += [_pixels_call(step, size, channels) for step in steps if MENU[step.name].singles or channels in (1, 3)]
    if any(step.name in _SIDES for step in steps) and size != [height, width]:
        calls.append(f"Resize(({height}, {width}))")
    lines = "".join(f"        transforms.{call},\n" for call in [*calls, "ToTensor()", "Normalize(*norm)"])
    head = "import torch\nimport torchvision.transforms as transforms\n\n\ndef transform(norm):\n"
    return f"{head}    return transforms.Compose([\n{lines}    ])\n"


def _size(size: Sequence[int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"({size[0]}, {size[1]})"


def _share(named: Mapping[str, Value], name: str, size: Sequence[int]) -> list[int]:
    return [max(1, round(cast("float", named[name]) * one)) for one in size]


def _pixels_call(step: Step, size: list[int], channels: int) -> str:
    """A step as torchvision takes it. size: height and width before it, and after it afterwards."""
    named = dict(zip((one.name for one in MENU[step.name].parameters), step.values, strict=True))
    texts = {name: value_text(value) for name, value in named.items()}
    match step.name:
        case "CenterCrop":
            size[:] = _share(named, "size", size)
            texts = {"size": _size(size)}
        case "Pad":
            down, right = (int(cast("float", named["padding"]) * one) for one in size)  # as when training
            size[:] = [size[0] + 2 * down, size[1] + 2 * right]
            texts["padding"] = str(down) if down == right else f"({right}, {down})"
            if channels > 1:
                texts["fill"] = f"({', '.join([texts['fill']] * channels)})"
        case "RandomCrop":
            share = cast("float", named["padding"])
            padding = max(1, int(share * min(size))) if share else 0  # as when training
            size[:] = _share(named, "size", size)
            texts = {"size": _size(size), "padding": str(padding)}
        case "RandomResizedCrop":
            texts = {"size": _size(size), **texts}
        case "GaussianBlur":  # torchvision mirrors the image at its edge, and no further than once
            texts["kernel_size"] = str(min(int(cast("float", named["kernel_size"])), 2 * min(size) - 1))
        case "Grayscale":
            texts = {"num_output_channels": "3" if channels == 3 else "1"}
    return f"{step.name}({', '.join(f'{name}={text}' for name, text in texts.items())})"
