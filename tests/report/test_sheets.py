"""Contact sheets: the same pictures before and after, in a PNG that the page holds itself."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from deltanas import report
from deltanas.imagery import png
from deltanas.program import Program
from deltanas.program.transforms import read_transform
from deltanas.records import Draft, RunView
from deltanas.report.sheets import DRAWS, contact_sheet
from deltanas.train.data import Images
from deltanas.train.data.sample import kept_pictures, read_pictures
from transformed_run import BOTH, FLIP, NONE, images, with_transforms


def section(html: str) -> str:
    found = re.search(r'<section id="sheets".*?</section>', html, re.DOTALL)
    return found[0] if found else ""


def test_a_run_without_transforms_has_no_sheets(story: RunView) -> None:
    assert section(report.render(story)) == ""


def test_each_transform_that_does_something_has_a_sheet(story: RunView) -> None:
    html = section(report.render(with_transforms(story, FLIP, BOTH, NONE, FLIP)))
    assert re.findall(r"<b>(.*?)</b>", html) == ["policy0", "policy1"]
    assert "<code>RandomCrop(padding=0.25, size=1)</code></li><li><code>RandomHorizontalFlip(p=1)</code>" in html
    assert 'alt="Training pictures before and after the transform of policy0: RandomHorizontalFlip(p=1)"' in html
    assert re.search(r"80\.0+", html)


def test_the_best_of_the_search_come_after_the_baselines(story: RunView) -> None:
    best = story.candidates[-2]
    assert best.program is not None
    edited = replace(best, draft=Draft(Program.of(best.program.net, BOTH, parents=best.program.parents)))
    view = with_transforms(replace(story, candidates=(*story.candidates[:-2], edited)), FLIP)
    assert re.findall(r"<b>(.*?)</b>", section(report.render(view))) == ["policy0", "2.0"]


def test_the_picture_is_what_the_transform_makes(story: RunView) -> None:
    html = section(report.render(with_transforms(story, FLIP)))
    file = base64.b64decode(re.findall(r"data:image/png;base64,([^\"]+)", html)[0])
    drawn = np.asarray(Image.open(io.BytesIO(file)))
    kept = read_pictures(kept_pictures(images(), 5))[:, 0]
    assert drawn.shape == (4 * (8 + 1) + 1, 5 * (8 + 1) - 1, 2)
    for number, picture in enumerate(kept):
        left = number * 9
        assert np.array_equal(drawn[:8, left : left + 8, 0], picture)
        for draw in range(DRAWS):
            top = 8 + 1 + 2 + draw * 9
            assert np.array_equal(drawn[top : top + 8, left : left + 8, 0], picture[:, ::-1])
    assert set(np.unique(drawn[..., 1])) == {0, 255}


def test_a_run_that_keeps_no_pictures_says_so(story: RunView) -> None:
    html = section(report.render(replace(with_transforms(story, FLIP), pictures=b"")))
    assert "keeps no training pictures" in html
    assert "<code>pictures</code>" in html or "`pictures`" in html


def test_a_transform_of_another_version_is_said_to_be_unknown_and_a_name_is_text(story: RunView) -> None:
    html = section(report.render(with_transforms(story, FLIP.replace("RandomHorizontalFlip(p=1.0)", "RandomSwirl()"))))
    assert "This version does not know the transform." in html
    view = with_transforms(story, FLIP)
    named = replace(view, candidates=(replace(view.candidates[0], name='"><script>'), *view.candidates[1:]))
    assert "<script>" not in section(report.render(named))


@pytest.mark.parametrize(("channels", "mode"), [(1, "LA"), (2, "LA"), (3, "RGBA"), (5, "RGBA")])
def test_a_sheet_of_any_number_of_channels_is_a_picture(channels: int, mode: str) -> None:
    kept = read_pictures(kept_pictures(images(channels=channels, height=12, width=20), 4))
    picture = Image.open(io.BytesIO(png(contact_sheet(kept, read_transform(BOTH)))))
    assert (picture.mode, picture.format) == (mode, "PNG")
    picture.load()


def test_one_picture_of_each_class_is_kept_and_large_ones_are_shrunk() -> None:
    given = images(30)
    assert np.array_equal(read_pictures(kept_pictures(given, 5)), given.x[[0, 1, 2, 3, 4]])
    last = Images(given.x, np.array([0] * 29 + [1]))
    assert np.array_equal(read_pictures(kept_pictures(last, 3)), given.x[[0, 29, 1]])
    assert len(read_pictures(kept_pictures(images(2), 5))) == 2
    large = read_pictures(kept_pictures(images(3, 3, 130, 200), 2))
    assert large.shape == (2, 3, 32, 50)
    assert abs(float(large.mean()) - 127.5) < 3


def test_a_clean_image_as_the_target_needs_no_class() -> None:
    x = images(6).x
    assert np.array_equal(read_pictures(kept_pictures(Images(x, x), 3)), x[:3])
