from __future__ import annotations

import hashlib

import pytest
import torch
from torch import Tensor

from deltanas.program.transforms import MENU, Parameter, Step, Value, read_transform
from deltanas.train.augment import OPERATIONS, Augmentation, run_wide
from deltanas.train.augment.draws import Draws
from deltanas.train.augment.geometry import projection
from deltanas.train.augment.warps import Affine, Mirror, Shift, Warp, Window, warped
from deltanas.train.job import Augment


def images(n: int) -> Tensor:
    return torch.randint(1, 256, (n, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_about_half_are_mirrored_and_the_others_are_left_alone() -> None:
    x = images(400)
    y = Augmentation(run_wide(["flip"]), 1)(x)
    mirrored = [bool((b == a.flip(2)).all()) for a, b in zip(x, y, strict=True)]
    assert all(m or bool((b == a).all()) for m, a, b in zip(mirrored, x, y, strict=True))
    assert 150 < sum(mirrored) < 250


def test_a_crop_moves_the_image_and_fills_with_zeros() -> None:
    x = images(200)
    y = Augmentation(run_wide(["crop"]), 1)(x)
    assert y.shape == x.shape
    assert y.dtype == torch.uint8
    places = set()
    for before, after in zip(x, y, strict=True):
        found = [(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if bool((moved(before, dy, dx) == after).all())]
        assert len(found) == 1
        places.add(found[0])
    assert len(places) == 25


def moved(image: Tensor, down: int, right: int) -> Tensor:
    """The image shifted by so many pixels, zeros where it does not reach."""
    out = torch.zeros_like(image)
    _, h, w = image.shape
    out[:, max(0, down) : h + min(0, down), max(0, right) : w + min(0, right)] = image[
        :, max(0, -down) : h + min(0, -down), max(0, -right) : w + min(0, -right)
    ]
    return out


def test_the_seed_alone_decides_and_the_input_is_left_as_it_was() -> None:
    x = images(20)
    kept = x.clone()
    first, second, other = (Augmentation(run_wide(["crop", "flip"]), seed)(x) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    ("kinds", "digest"),
    [(["crop"], "0b0b797c4360a7c4"), (["flip"], "a26ba27269b02068"), (["flip", "crop"], "94d32d7398f1a83c")],
    ids=["crop", "flip", "both"],
)
def test_a_runs_augmentation_draws_what_it_drew_before_there_were_transforms(kinds: list[Augment], digest: str) -> None:
    changed = Augmentation(run_wide(kinds), 5)(images(20)).contiguous()
    assert hashlib.sha256(changed.numpy().tobytes()).hexdigest()[:16] == digest


def corners(parameter: Parameter) -> list[Value]:
    """Its values at its bounds, and those that edits step through."""
    if parameter.choices:
        return list(parameter.choices)
    ends: list[Value] = [parameter.least, parameter.most]
    if isinstance(parameter.default, tuple):
        ends = [(low, high) for low in (parameter.least, parameter.most) for high in (low, parameter.most)]
    return [*ends, parameter.default, *parameter.grid]


@pytest.mark.parametrize("shape", [(7, 3, 16, 24), (5, 1, 28, 28), (3, 4, 8, 9), (1, 2, 1, 1), (2, 1, 3, 2)])
@pytest.mark.parametrize("name", MENU)
def test_an_operation_keeps_the_shape_at_all_bounds_of_its_parameters(name: str, shape: tuple[int, ...]) -> None:
    assert OPERATIONS.keys() == MENU.keys()
    x = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    spans = [corners(one) for one in MENU[name].parameters]
    for place in range(max(map(len, spans), default=1)):
        changed = Augmentation([Step(name, tuple(span[place % len(span)] for span in spans))], place)(x)
        assert (changed.shape, changed.dtype) == (x.shape, torch.uint8)


def test_a_transform_does_its_steps_in_their_order() -> None:
    text = "def transform(norm):\n    return transforms.Compose([transforms.RandomHorizontalFlip(1.0)])\n"
    assert torch.equal(Augmentation(read_transform(text), 0)(images(5)), images(5).flip(3))


def one_image(n: int) -> Tensor:
    """The same image many times."""
    return images(1).expand(n, -1, -1, -1).contiguous()


NEVER_ALIKE = {
    "RandomRotation": ((-90.0, 90.0),),
    "RandomAffine": ((-90.0, 90.0), (0.1, 0.1), (0.7, 1.4), (-20.0, 20.0)),
    "ColorJitter": ((0.3, 1.7), (0.3, 1.7), (0.3, 1.7), (-0.5, 0.5)),
    "GaussianBlur": (5.0, (0.5, 3.0)),
}


@pytest.mark.parametrize("name", NEVER_ALIKE)
def test_no_two_images_of_a_batch_are_changed_alike(name: str) -> None:
    changed = Augmentation([Step(name, NEVER_ALIKE[name])], 1)(one_image(32))
    assert len({image.numpy().tobytes() for image in changed}) == 32


RANDOM = [name for name in MENU if name not in ("CenterCrop", "Pad", "Grayscale")]


@pytest.mark.parametrize("name", RANDOM)
def test_an_image_is_changed_in_several_ways_by_the_draws_of_the_seed_alone(name: str) -> None:
    step = Step(name, MENU[name].at(1))
    torch.manual_seed(9)
    state = torch.get_rng_state()
    first, second, other = (Augmentation([step], seed)(one_image(64)) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert len({image.numpy().tobytes() for image in first}) > 1
    assert torch.equal(torch.get_rng_state(), state), "the chance of the network's own training is left alone"


def test_what_a_program_sets_as_torchs_defaults_changes_no_image() -> None:
    steps = [Step(name, one.at(1)) for name, one in MENU.items()]
    plain = Augmentation(steps, 1)(images(20))
    torch.set_default_dtype(torch.float64)
    try:
        other = Augmentation(steps, 1)(images(20))
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(plain, other)


@pytest.mark.parametrize("place", range(5))
def test_composed_movements_are_as_those_done_one_by_one(place: int) -> None:
    x, size, chance = images(200), (24, 16), torch.Generator().manual_seed(0)
    chosen = torch.randint(0, 2, (2, 200), generator=chance).bool()
    moves = torch.randint(-8, 9, (4, 200), generator=chance)
    whole: list[Warp] = [
        Shift(moves[0], moves[1], size),
        Mirror(chosen[0], 0, size),
        Mirror(chosen[1], 1, size),
        Shift(moves[2], moves[3], size),
    ]
    still = Affine(torch.tensor([[1.0, 0, 0, 0, 1, 0]]).repeat(200, 1), size)
    composed: list[Warp] = [*whole[:place], still, *whole[place:]]
    assert torch.equal(warped(x, composed), warped(x, whole))


@pytest.mark.parametrize("fill", [0.0, 200.0])
def test_what_an_operation_puts_around_the_image_is_moved_by_the_next_one(fill: float) -> None:
    pad, still = Step("Pad", (0.25, fill, "constant")), Step("RandomRotation", ((0.0, 0.0),))
    half_turn = Step("RandomRotation", ((180.0, 180.0),))
    x = images(20)
    padded = Augmentation([pad], 1)(x)
    assert (padded[:, :, :2] == int(fill)).all()
    assert torch.equal(Augmentation([pad, still], 1)(x), padded)
    assert int((Augmentation([pad, half_turn], 1)(x).int() - padded.flip(2, 3).int()).abs().max()) <= 1
    shifted = Augmentation([pad, Step("RandomAffine", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)))], 1)(x)
    assert int((shifted == 0).sum()) > int((padded == 0).sum()), "black comes in beside the padding"


def test_what_left_the_image_does_not_come_back() -> None:
    x = images(50)
    away, back = (Step("RandomAffine", ((0.0, 0.0), (0.0, 0.0), (one, one), (0.0, 0.0))) for one in (2.0, 0.5))
    changed = Augmentation([away, back], 1)(x)
    height, width = x.shape[2:]
    edges = torch.ones(height, width, dtype=torch.bool)
    edges[height // 4 - 1 : height - height // 4 + 1, width // 4 - 1 : width - width // 4 + 1] = False
    assert not changed[:, :, edges].any()
    assert changed[:, :, height // 4 + 1 : -height // 4 - 1, width // 4 + 1 : -width // 4 - 1].all()


@pytest.mark.parametrize("size", [(28, 28), (24, 16), (8, 8)])
@pytest.mark.parametrize(
    ("scale", "ratio"), [((0.5, 0.7), (0.5, 2.0)), ((0.08, 1.0), (0.75, 1.3333)), ((1.0, 1.0), (3.0, 4.0))]
)
def test_a_resized_crop_has_its_share_of_the_area_within_the_image(
    size: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> None:
    width, height = size
    warp = OPERATIONS["RandomResizedCrop"](Draws(500, torch.device("cpu"), torch.Generator()), size, scale, ratio)
    assert isinstance(warp, Window)
    left, top, wide, high = warp.box.unbind(1)
    assert torch.equal(warp.box, warp.box.round())
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + wide <= width).all()
    assert (top + high <= height).all()
    if scale != (1.0, 1.0):
        assert len({tuple(box) for box in warp.box.tolist()}) > 20
        shares = wide * high / (width * height)
        rounding = (1 + 0.5 / wide) * (1 + 0.5 / high) - 1
        fallback = (wide == width) | (high == height)
        assert ((shares >= scale[0] * (1 - rounding)) & (shares <= scale[1] * (1 + rounding)) | fallback).all()
    else:
        assert len({tuple(box) for box in warp.box.tolist()}) == 1, (
            "nothing fits: the largest of a ratio, in the middle"
        )


def test_corners_on_one_line_give_a_projection_all_the_same() -> None:
    start = torch.tensor([[0, 0], [3, 0], [3, 3], [0, 3]])
    end = torch.tensor([[[1, 1], [2, 0], [3, 3], [0, 2]]])
    assert projection(end, start).isfinite().all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", MENU)
def test_a_gpu_draws_and_does_the_same(name: str) -> None:
    step = Step(name, MENU[name].at(1))
    there, here = (Augmentation([step], 1)(images(64).to(device)).cpu() for device in ("cuda", "cpu"))
    assert ((there.int() - here.int()).abs() <= 1).float().mean() > 0.999
