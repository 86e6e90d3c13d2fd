"""Events of `lite` on the drawn scene against its truth for many zones (`make slow`; with -s: how many agree)."""

from __future__ import annotations

import numpy as np
import pytest
from publisher.test_zone_events import masks_of_the_drawn_scene, told_by

from nodes.publisher.zones.zone_events import ZoneEvents
from stream.settings.zones import Polygon, Zones

pytestmark = pytest.mark.slow

RECTANGLES = 60
SMALLEST = 0.2  # of the frame's width and height
LATE_FRAMES = 2
OPEN_SHARE, OPEN_FRAMES = 0.6, 15  # an object in the open: so much of it in sight, for so many frames before and after
LEAST_AGREEING = {"all": 0.93, "in the open": 0.98}


@pytest.fixture(scope="module")
def both():
    return masks_of_the_drawn_scene()


def rectangles():
    rng = np.random.default_rng(11)
    while True:
        (left, right), (top, bottom) = np.sort(rng.uniform(0, 1, (2, 2)))
        if min(right - left, bottom - top) >= SMALLEST:
            yield (left, top), (right, top), (right, bottom), (left, bottom)


@pytest.mark.parametrize("inside", ["share", "foot", "any"])
def test_events_are_those_of_the_truth_whatever_the_zone(both, inside):
    true_masks, _ = both
    areas = np.array([[o.area for o in masks.objects] for masks in true_masks], float)
    share = areas / areas.max(axis=0)
    counts = {"all": [0, 0], "in the open": [0, 0]}  # events of the truth, those that lite has, too
    more = 0  # events of lite that the truth has not
    places = rectangles()
    for _ in range(RECTANGLES):
        zones = Zones(polygons={"zone": Polygon(points=next(places), inside=inside)})
        wanted, left = (told_by(ZoneEvents(zones), masks) for masks in both)
        for event in wanted:
            frame, _, object_id, _ = event
            match = next((t for t in left if t[1:] == event[1:] and abs(t[0] - frame) <= LATE_FRAMES), None)
            if match is not None:
                left.remove(match)
            seen = share[max(0, frame - OPEN_FRAMES) : frame + OPEN_FRAMES + 1, object_id - 1]
            for key in ("all", "in the open") if seen.min() > OPEN_SHARE else ("all",):
                counts[key][0] += 1
                counts[key][1] += match is not None
        more += len(left)
    print(f"{inside}: {counts}, {more} more")
    for key, (wanted_count, agreeing) in counts.items():
        assert wanted_count > 100
        assert agreeing >= LEAST_AGREEING[key] * wanted_count, key
