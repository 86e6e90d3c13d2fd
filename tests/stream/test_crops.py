from __future__ import annotations

import numpy as np

from stream.crops import crop_mask, uncrop_mask


def test_cropping_and_uncropping_are_inverse():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = (rng.random((9, 13)) > 0.9).astype(np.uint8)
        bbox, crop = crop_mask(mask)
        assert np.array_equal(uncrop_mask(bbox, crop, mask.shape), mask)
