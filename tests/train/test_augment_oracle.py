"""Every operation does to an image what torchvision's function does, given the parameters that were drawn for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from deltanas.program.transforms import MENU, Value
from deltanas.train.augment import OPERATIONS
from deltanas.train.augment.draws import Draws
from deltanas.train.augment.geometry import WARPS
from deltanas.train.augment.policies import BINS, NAMES, RAND, WIDE, Reach, _magnitudes, done
from deltanas.train.augment.warps import Perspective, Window, warped

F = pytest.importorskip("torchvision.transforms.functional")
from torchvision.transforms import InterpolationMode  # noqa: E402
from torchvision.transforms.autoaugment import _apply_op  # noqa: E402

BILINEAR = InterpolationMode.BILINEAR
SHAPES = ((3, 16, 24), (1, 28, 28), (3, 9, 8))
EXACT = {name for name in MENU if name not in WARPS} - {"GaussianBlur", "TrivialAugmentWide", "RandAugment"}
EXACT |= {"RandomHorizontalFlip", "RandomVerticalFlip"}
SEED = 3

Oracle = Callable[[int, Tensor], Tensor]
"""The number of an image, and the image."""


def images(n: int, shape: tuple[int, ...]) -> Tensor:
    """Noise of the whole range, of few levels, of one level, and smooth pictures."""
    chance = Generator().manual_seed(1)
    x = torch.randint(0, 256, (n, *shape), dtype=torch.uint8, generator=chance)
    x[1::4] = x[1::4] % 60 + 90
    x[2::8] = x[2::8, :, :1, :1]
    x[3::4] = torch.linspace(0, 255, shape[2]).to(torch.uint8)
    x[3::4, :, 2:] //= 2
    return x


def oracle(name: str, x: Tensor, values: tuple[Value, ...]) -> Oracle:
    """What torchvision makes of an image, with the draws of `SEED` in the operation's order."""
    n, _, h, w = x.shape
    draws = Draws(n, x.device, Generator().manual_seed(SEED))
    if name in SOMETIMES:
        chosen, function = draws.chosen(values[-1]), SOMETIMES[name]  # type: ignore[arg-type]  # p is a number
        return lambda i, image: function(image, *values[:-1]) if chosen[i] else image
    if name == "ColorJitter":
        return jitter(draws, x, values)
    if name == "Grayscale":
        return lambda _, image: grey(image)
    if name == "GaussianBlur":
        size, span = values
        sigma = draws.uniform(*span)  # type: ignore[misc]
        return lambda i, image: F.gaussian_blur(image, [int(size)] * 2, [float(sigma[i])] * 2)  # type: ignore[arg-type]
    if name == "RandomRotation":
        angle = draws.uniform(*values[0])  # type: ignore[misc]
        return lambda i, image: F.rotate(image, float(angle[i]), BILINEAR)
    if name == "RandomAffine":
        return affine(draws, (w, h), values)
    if name == "Pad":
        return lambda _, image: pad(image, *values)  # type: ignore[arg-type]
    warp = WARPS[name](draws, (w, h), *values)
    if isinstance(warp, Perspective):
        return perspective(warp)
    if name == "RandomCrop" and values[1] == 1:
        return shift(Draws(n, x.device, Generator().manual_seed(SEED)), (w, h), float(values[0]))  # type: ignore[arg-type]
    assert isinstance(warp, Window)
    share = values[0] if name == "RandomCrop" else 0.0
    assert isinstance(share, float)
    return window(warp, max(1, int(share * min(w, h))) if share else 0)


SOMETIMES: dict[str, Callable[..., Tensor]] = {
    "RandomHorizontalFlip": F.hflip,
    "RandomVerticalFlip": F.vflip,
    "RandomGrayscale": lambda image: grey(image),
    "RandomInvert": F.invert,
    "RandomPosterize": lambda image, bits: F.posterize(image, int(bits)),
    "RandomSolarize": lambda image, level: F.solarize(image, level) if level < 256 else image,
    "RandomAutocontrast": F.autocontrast,
    "RandomEqualize": F.equalize,
    "RandomAdjustSharpness": F.adjust_sharpness,
}


def grey(image: Tensor) -> Tensor:
    grey: Tensor = F.rgb_to_grayscale(image, len(image))
    return grey


def jitter(draws: Draws, x: Tensor, values: tuple[Value, ...]) -> Oracle:
    functions = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue][
        : 4 if x.shape[1] == 3 else 2
    ]
    factors = [draws.uniform(*span) for span in values[: len(functions)]]  # type: ignore[misc]
    order = draws.orders(len(functions))

    def jittered(i: int, image: Tensor) -> Tensor:
        for place in order[i].tolist():
            image = functions[place](image, float(factors[place][i]))
        return image

    return jittered


def affine(draws: Draws, size: tuple[int, int], values: tuple[Value, ...]) -> Oracle:
    degrees, translate, scale, shear = values
    angle = draws.uniform(*degrees)  # type: ignore[misc]
    moves = [draws.uniform(-a * side, a * side).round() for a, side in zip(translate, size, strict=True)]  # type: ignore[operator,arg-type]
    factor, lean = draws.uniform(*scale), draws.uniform(*shear)  # type: ignore[misc]
    return lambda i, image: F.affine(
        image, float(angle[i]), [int(move[i]) for move in moves], float(factor[i]), [float(lean[i]), 0.0], BILINEAR
    )


def pad(image: Tensor, share: float, fill: float, mode: str) -> Tensor:
    _, h, w = image.shape
    padded = F.pad(image, [int(share * w), int(share * h)], fill, mode)
    resized: Tensor = F.resize(padded, [h, w], antialias=False)
    return resized


def shift(draws: Draws, size: tuple[int, int], share: float) -> Oracle:
    around = max(1, int(share * min(size))) if share else 0
    top, left = draws.whole(2 * around), draws.whole(2 * around)
    w, h = size
    return lambda i, image: F.crop(F.pad(image, [around] * 4), int(top[i]), int(left[i]), h, w)


def window(warp: Window, around: int) -> Oracle:
    def cut(i: int, image: Tensor) -> Tensor:
        left, top, w, h = (int(one) for one in warp.box[i])
        padded = F.pad(image, [around] * 4)
        cropped: Tensor = F.resized_crop(padded, top + around, left + around, h, w, image.shape[1:], antialias=False)
        return cropped

    return cut


def perspective(warp: Perspective) -> Oracle:
    w, h = warp.size
    start = [[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]]

    def end(i: int) -> list[list[int]]:
        """Where the corners go: the inverse of the projection from the result."""
        a, b, c, d, e, f, g, k = warp.coefficients[i].double().tolist()
        back = torch.linalg.inv(torch.tensor([[a, b, c], [d, e, f], [g, k, 1]], dtype=torch.float64))
        ends = [back @ torch.tensor([*corner, 1.0], dtype=torch.float64) for corner in start]
        return [[round(float(one[0] / one[2])), round(float(one[1] / one[2]))] for one in ends]

    return lambda i, image: F.perspective(image, start, end(i), BILINEAR) if warp.chosen[i] else image


def differs(name: str, x: Tensor, values: tuple[Value, ...]) -> int:
    """The greatest difference of a level."""
    _, _, h, w = x.shape
    draws = Draws(len(x), x.device, Generator().manual_seed(SEED))
    operation = OPERATIONS[name]
    ours = warped(x, [operation(draws, (w, h), *values)]) if name in WARPS else operation(x, draws, *values)  # type: ignore[list-item]
    one = oracle(name, x, values)
    theirs = torch.stack([one(i, image) for i, image in enumerate(x)])
    assert isinstance(ours, Tensor)
    return int((ours.int() - theirs.int()).abs().max())


@pytest.mark.parametrize("n", [60, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", [name for name in MENU if name not in ("TrivialAugmentWide", "RandAugment")])
def test_an_operation_equals_torchvisions(name: str, shape: tuple[int, ...], n: int) -> None:
    x = images(n, shape)
    for strength in (0, 1, 2):
        found = differs(name, x, MENU[name].at(strength))
        assert found <= (0 if name in EXACT else 1)


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric", "constant"])
def test_a_border_equals_torchvisions(mode: str) -> None:
    assert differs("Pad", images(60, (3, 16, 24)), (0.3, 77.0, mode)) <= 1


@pytest.mark.parametrize(("padding", "size"), [(0.2, 1.0), (0.0, 1.0), (0.0, 0.8), (0.25, 0.75), (0.5, 1.0)])
def test_a_crop_equals_torchvisions(padding: float, size: float) -> None:
    found = differs("RandomCrop", images(60, (3, 16, 24)), (padding, size))
    assert found <= (0 if size == 1 else 1)


@pytest.mark.parametrize("n", [140, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reach", [WIDE, RAND], ids=["TrivialAugmentWide", "RandAugment"])
def test_each_of_the_fourteen_equals_torchvisions(reach: Reach, shape: tuple[int, ...], n: int) -> None:
    _, h, w = shape
    x, chance = images(n, shape), Generator().manual_seed(2)
    which, strength = (torch.randint(0, most, (n,), generator=chance) for most in (len(NAMES), BINS))
    sign = 1.0 - 2.0 * torch.randint(0, 2, (n,), generator=chance)
    most = dict.fromkeys(("Color", "Sharpness", "Brightness", "Contrast"), reach.factor) | {
        "ShearX": reach.shear,
        "ShearY": reach.shear,
        "TranslateX": reach.shift * w,
        "TranslateY": reach.shift * h,
        "Rotate": reach.turn,
    }
    ours = done(x, which, strength, sign, reach)
    assert {NAMES[place] for place in which} == set(NAMES)
    for i, image in enumerate(x):
        name, bin_ = NAMES[which[i]], strength[i]
        magnitude = float(torch.linspace(0.0, most.get(name, 0.0), BINS)[bin_]) * float(sign[i])
        if name == "Posterize":
            magnitude = int((8 - (torch.arange(BINS) / ((BINS - 1) / reach.bits)).round().int())[bin_])
        elif name == "Solarize":
            magnitude = float(torch.linspace(255.0, 0.0, BINS)[bin_])
        theirs = _apply_op(image, name, magnitude, BILINEAR, None)
        allowed = 1 if name in ("ShearX", "ShearY", "Rotate") else 0
        assert int((ours[i].int() - theirs.int()).abs().max()) <= allowed, name


def test_the_fourteen_are_torchvisions_own_at_all_strengths() -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    trivial = transforms.TrivialAugmentWide()._augmentation_space(BINS)
    rand = transforms.RandAugment()._augmentation_space(BINS, (32, 32))
    assert set(trivial) == set(NAMES) == set(rand)
    for theirs, reach in ((trivial, WIDE), (rand, RAND)):
        ours = dict(zip(NAMES, _magnitudes(reach, 32, 32), strict=True))
        for name, (magnitudes, _) in theirs.items():
            wanted = magnitudes.float() if magnitudes.ndim else torch.zeros(BINS)
            assert torch.equal(ours[name], wanted.trunc() if "Translate" in name else wanted), name


def test_what_is_not_given_is_as_in_torchvision_or_of_middle_strength() -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    assert MENU["ColorJitter"].parameters[3].default == (0.0, 0.0)
    for operation in MENU.values():
        if operation.name in ("ColorJitter", "RandomCrop"):
            continue
        known = inspect.signature(getattr(transforms, operation.name)).parameters
        for one in operation.parameters:
            default = known[one.name].default
            if default is None:
                continue  # no shift, scale or shear
            wanted = one.at(1) if default is inspect.Parameter.empty else default
            assert one.default == (wanted if isinstance(wanted, str) else pytest.approx(wanted, abs=1e-4))
