from __future__ import annotations

import numpy as np

from stream.crops import PackedMask, crop_mask, uncrop_mask


def test_cropping_and_uncropping_are_inverse():
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = (rng.random((9, 13)) > 0.9).astype(np.uint8)
        bbox, crop = crop_mask(mask)
        assert np.array_equal(uncrop_mask(bbox, crop, mask.shape), mask)


def test_a_packed_mask_is_the_same_when_it_is_unpacked_and_takes_an_eighth_of_its_crop():
    mask = np.zeros((400, 700), np.uint8)
    mask[100:301, 50:250] = np.random.default_rng(1).random((201, 200)) > 0.5
    packed = PackedMask.pack(mask)
    assert np.array_equal(packed.unpack(), mask)
    assert len(packed.bits) <= 201 * 200 / 8 + 1
    assert not PackedMask.pack(np.zeros((5, 6), np.uint8)).unpack().any()
