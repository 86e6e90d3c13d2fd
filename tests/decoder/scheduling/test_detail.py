"""How finely a live feed's objects are worked on, under costs that a test states."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.decoder.scheduling.costs import SPARE
from nodes.decoder.scheduling.detail import LEAST, Detail

PERIOD_MS = 40.0


def settled(objects_ms: float, fixed_ms: float = 5.0, frames: int = 60) -> Detail:
    """After frames whose objects cost so much where they are worked on in full, and in proportion to the share."""
    detail = Detail()
    for _ in range(frames):
        detail.spent(fixed_ms, detail.share * objects_ms, PERIOD_MS)
    return detail


def test_all_pixels_are_used_while_there_is_time_for_them():
    assert settled(objects_ms=26.0).share == 1.0


def test_a_feed_that_is_a_little_too_fast_gets_what_fits_into_its_period():
    detail = settled(objects_ms=33.0)
    assert 5.0 + detail.share * 33.0 == pytest.approx(SPARE * PERIOD_MS, rel=0.01)


def test_work_is_never_coarser_than_the_least():
    assert settled(objects_ms=500.0).share == LEAST


def test_it_settles_although_costs_vary():
    rng, detail, shares = np.random.default_rng(0), Detail(), []
    for _ in range(200):
        detail.spent(5.0, detail.share * 33.0 * float(rng.uniform(0.7, 1.3)), PERIOD_MS)
        shares.append(detail.share)
    assert np.abs(np.diff(shares[20:])).max() < 0.1


def test_all_pixels_are_used_again_once_there_is_time():
    detail = settled(objects_ms=500.0)
    for _ in range(60):
        detail.spent(5.0, detail.share * 10.0, PERIOD_MS)
    assert detail.share == 1.0


def test_a_feed_of_unknown_period_changes_nothing():
    detail = Detail()
    detail.spent(5.0, 500.0, 0.0)
    assert detail.share == 1.0
