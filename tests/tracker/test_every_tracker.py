"""Every point tracker on a live feed that is faster than it, with weights by rule: ages, skips, objects come and go.

`tests/load` has a thousand frames of each, and whole runs of a file, the drawn scene and a camera.
"""

from __future__ import annotations

import numpy as np
import pytest
from tracker.every_tracker import PERIOD_S, STEP_S, LiveFeed
from tracker.weights_by_rule import BACKENDS, keys_of

from stream.settings.options import POINT_BACKENDS


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """TapNet sees 64x64 px: it is the same at any size, and 16 times cheaper."""
    if pytest.importorskip("torch"):
        from nodes.tracker.tapnet import backend

        monkeypatch.setattr(backend, "SIDE", 64)


@pytest.mark.parametrize(
    "reinit", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["reinit", "points live on"]
)
@pytest.mark.parametrize(
    "backend", [pytest.param(b, marks=pytest.mark.slow) if b in ("superglue", "lightglue") else b for b in BACKENDS]
)
def test_a_feed_faster_than_the_tracker_is_followed_with_counted_skips(backend, reinit, tmp_path):
    feed = LiveFeed({**keys_of(backend, tmp_path), "tracker.reinit": reinit})
    feed.add(1)
    feed.run(15)
    feed.add(2, click=True)
    feed.run(10)
    feed.refine(2)
    feed.run(10)
    assert [o.object_id for o in feed.tracks[-1].objects] == [1, 2]
    feed.remove(1)
    feed.run(10)
    counters = feed.stage.progress().counters
    newest = feed.tracks[-1]
    assert [o.object_id for o in newest.objects] == [2]
    assert counters["failed"] == 0
    assert counters["tracked"] + counters["passed_over"] == newest.frame.stamp.frame_id + 1
    assert counters["passed_over"] > counters["tracked"] > 8
    assert max(feed.ages) <= STEP_S + 3 * PERIOD_S
    for tracks in feed.tracks:
        for o in tracks.objects:
            assert len(o.xy) > 0
            assert np.isfinite(o.xy).all()
            assert ((o.visibility >= 0) & (o.visibility <= 1)).all()
    revises = POINT_BACKENDS[backend].revises
    assert any(not o.points_final for tracks in feed.tracks for o in tracks.objects) == revises
