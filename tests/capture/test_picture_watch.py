"""Pictures that repeat, and black ones."""

from __future__ import annotations

import numpy as np
from capture.clips import shade

from nodes.capture.picture_watch import PictureWatch

SECOND = 1_000_000_000


def seen(*pictures) -> PictureWatch:
    watch = PictureWatch()
    for i, picture in enumerate(pictures):
        watch.see(picture, i * SECOND)
    return watch


def test_pictures_that_differ_are_neither_frozen_nor_black():
    watch = seen(*[shade(i + 8) for i in range(6)])
    assert (watch.frozen_s(6 * SECOND), watch.black_s(6 * SECOND)) == (0, 0)


def test_a_repeated_picture_is_frozen_since_it_first_came_until_another_comes():
    watch = seen(shade(8), *[shade(9)] * 5)
    assert (watch.frozen_s(6 * SECOND), watch.black_s(6 * SECOND)) == (5, 0)
    watch.see(shade(10), 6 * SECOND)
    assert watch.frozen_s(7 * SECOND) == 0


def test_a_covered_lens_is_black_though_it_is_noisy():
    rng = np.random.default_rng(0)
    dark = [rng.integers(14, 20, (64, 96, 3), np.uint8) for _ in range(5)]
    watch = seen(shade(8), *dark)
    assert (watch.frozen_s(6 * SECOND), watch.black_s(6 * SECOND)) == (0, 5)


def test_a_new_size_is_another_picture():
    watch = seen(*[shade(0)] * 4, shade(0, (32, 48)))
    assert watch.frozen_s(9 * SECOND) == 0
