"""PSNR and SSIM by numpy are what their definitions say."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from deltanas.imagery import before_and_after, extremes, in_levels, png, psnr, ssim

RNG = np.random.RandomState(0)
CLEAN = RNG.randint(0, 256, (5, 3, 24, 17)).astype(np.uint8)
NOISY = np.clip(CLEAN + RNG.normal(0, 20, CLEAN.shape), 0, 255).astype(np.uint8)


def test_outputs_are_clipped_and_rounded_as_they_are_deployed() -> None:
    outputs = np.array([-3.0, 0.0, 0.4999 / 255, 0.5001 / 255, 1.0, 7.0], np.float32)
    assert in_levels(outputs).tolist() == [0, 0, 0, 1, 255, 255]


def test_psnr_is_of_each_image_over_all_its_channels() -> None:
    errors = ((NOISY.astype(float) - CLEAN) ** 2).mean(axis=(1, 2, 3))
    assert psnr(NOISY, CLEAN) == pytest.approx(10 * np.log10(255**2 / errors))


def test_equal_images_have_a_score_that_is_finite_and_the_best_there_is() -> None:
    near = CLEAN.copy()
    near[0, 0, 0, 0] ^= 1
    assert psnr(CLEAN, CLEAN)[0] == psnr(near, CLEAN)[0] == pytest.approx(10 * np.log10(255**2 * CLEAN[0].size))


def test_ssim_is_that_of_wang_by_scipys_filter() -> None:
    def blurred(image: Any) -> Any:
        whole = gaussian_filter(image, 1.5, truncate=3.5, axes=(1, 2))
        return whole[:, 5:-5, 5:-5]

    for x, y, found in zip(NOISY.astype(float), CLEAN.astype(float), ssim(NOISY, CLEAN), strict=True):
        ux, uy = blurred(x), blurred(y)
        vx, vy, both = blurred(x * x) - ux**2, blurred(y * y) - uy**2, blurred(x * y) - ux * uy
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        wanted = ((2 * ux * uy + c1) * (2 * both + c2)) / ((ux**2 + uy**2 + c1) * (vx + vy + c2))
        assert found == pytest.approx(wanted.mean(), abs=1e-10)
    assert ssim(CLEAN, CLEAN) == pytest.approx(np.ones(5))
    assert np.isnan(ssim(CLEAN[..., :10], CLEAN[..., :10])).all()


def test_ssim_is_scikit_images() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    options = {"channel_axis": 0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    wanted = [metrics.structural_similarity(x, y, data_range=255, **options) for x, y in zip(NOISY, CLEAN, strict=True)]
    assert ssim(NOISY, CLEAN) == pytest.approx(wanted, abs=1e-7)


def test_a_picture_shows_the_worst_the_median_and_the_best_before_and_after() -> None:
    clean = np.full((5, 3, 16, 16), 100, np.uint8)
    noisy = clean + np.uint8(50)
    denoised = clean + np.array([3, 9, 1, 5, 7], np.uint8)[:, None, None, None]
    assert extremes(psnr(denoised, clean)) == (1, 3, 2)
    shown = np.asarray(Image.open(io.BytesIO(before_and_after(noisy, denoised, clean))))
    assert shown.shape == (3 * 192 + 2 * 6, 4 * 192 + 3 * 6, 3)
    rows = [shown[place * 198, :: 192 + 6, 0].tolist() for place in range(3)]
    assert rows == [[150, 109, 100, 128 + 36], [150, 105, 100, 128 + 20], [150, 101, 100, 128 + 4]]


def test_of_large_images_the_middle_is_shown() -> None:
    clean = np.zeros((1, 1, 400, 300), np.uint8)
    clean[0, 0, 104:296, 54:246] = 200
    shown = np.asarray(Image.open(io.BytesIO(before_and_after(clean, clean, clean))))
    assert shown.shape == (3 * 192 + 2 * 6, 4 * 192 + 3 * 6)
    assert set(np.unique(shown[:192, :192])) == {200}


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_is_read_as_it_was_written(channels: int) -> None:
    pixels = RNG.randint(0, 256, (5, 7, channels)).astype(np.uint8)
    with Image.open(io.BytesIO(png(pixels))) as read:
        assert np.array_equal(np.asarray(read).reshape(pixels.shape), pixels)
