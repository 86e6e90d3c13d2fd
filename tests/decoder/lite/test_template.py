"""Templates: an object is found again by what it looked like when all of it was last in sight."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from nodes.decoder.lite import template
from stream import geometry


def test_an_object_larger_than_a_stored_template_is_found_again_where_it_is():
    rgb = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 255, (1300, 2400, 3)).astype(np.uint8), (0, 0), 12)
    rgb = cv2.normalize(rgb, None, 0, 255, cv2.NORM_MINMAX)
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[100:1000, 200:1800] = 1
    stored = template.cut_template(rgb, mask, geometry.IDENTITY)
    moved = np.roll(rgb, (40, 60), axis=(0, 1))
    match = template.search(moved, np.ones_like(mask), stored, 0.0, (0, 0, 2400, 1300))
    assert max(stored.mask.shape) == template.STORED_SIDE
    assert match is not None
    assert np.allclose(match.pose[:, 2], (60, 40), atol=1)
    assert stored.area == pytest.approx(900 * 1600, rel=0.01)
