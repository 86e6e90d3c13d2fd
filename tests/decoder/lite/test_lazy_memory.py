"""Zeros that take no memory until they are written to."""

from __future__ import annotations

import numpy as np

from nodes.decoder.lite.lazy_memory import lazy_zeros


def test_lazy_zeros_are_zeros_that_can_be_written_to():
    zeros = lazy_zeros((300, 4))
    assert zeros.shape == (300, 4)
    assert zeros.dtype == np.float32
    assert not zeros.any()
    zeros[7] = 3
    assert zeros.sum() == 12


def test_an_empty_shape_is_no_error():
    assert lazy_zeros((0, 2)).shape == (0, 2)
