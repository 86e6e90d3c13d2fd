"""How often the host waits for a GPU that follows points by PIPS: once a frame, however many objects there are."""

from __future__ import annotations

import numpy as np
import pytest
from builders import box_mask, mask_prompt, stamp
from builders import seeds as seeds_of
from tracker.small_pips import SIZE, clip
from weights.repeated_recordings import Repeated
from weights.simulated_gpu import simulated_gpu, waits

from nodes.tracker.background_seeds import BackgroundSeeds
from nodes.tracker.pips.backend import PipsModel
from nodes.tracker.pips.network import Pips
from nodes.tracker.tracking import PointTracker
from stream.messages import Frame
from stream.settings.options import TrackerOptions
from tools.goldens.weights import pips_weights

MASK = box_mask((20, 16, 40, 32), SIZE)


class AtOnce:
    """A worker that has done its job when it is asked for it."""

    busy = False

    def start(self, job):
        self.outcome = (job(), None)

    def take(self, wait_s=0.0):
        return self.outcome


@pytest.fixture
def model(monkeypatch):
    """PIPS on a GPU whose recordings are computed anew."""
    monkeypatch.setattr("stream.weights.cuda_graphs.Recording", Repeated)
    monkeypatch.setattr("torch.cuda.graph_pool_handle", lambda: None)
    with simulated_gpu(monkeypatch) as device:
        network = Pips()
        network.load_state_dict(pips_weights(0))
        yield PipsModel(network.eval().to(device), SIZE)


@pytest.mark.parametrize("count", [1, 20])
def test_the_host_waits_once_for_the_window_of_all_objects_and_once_for_all_new_points(count, model):
    tracker = PointTracker(model, TrackerOptions(horizon=3, positive_points=1, negative_points=0))
    background = BackgroundSeeds(tracker, AtOnce())
    for i in range(1, count + 1):
        tracker.add(mask_prompt(i, MASK))
    waited, tracked = [], []
    for i, rgb in enumerate(clip(6)):
        if i == 3:
            waits.clear()  # tables of the pyramid's sizes have been made
        before = waits.total()
        [answer] = tracker.step(Frame(stamp=stamp(i), rgb=rgb))
        if answer.seeds_for:
            background.add(seeds_of(i, *answer.seeds_for, size=SIZE))
            background.collect()
        waited.append(waits.total() - before)
        tracked.append(answer)
    assert all(len(o.xy) for o in tracked[-1].objects)
    assert len(tracked[-1].objects) == count
    boundaries = [bool(answer.seeds_for) for answer in tracked]
    assert sum(boundaries[3:]) == 1
    assert waited[3:] == [2 if is_boundary else 1 for is_boundary in boundaries[3:]], waits


def test_points_that_are_described_together_look_as_they_do_alone(model):
    features = model.encode(clip(1)[0])
    xy = np.array([[20, 30], [40.5, 41.25], [70, 12]], np.float32)
    together = model.describe(features, xy)
    assert np.array_equal(together, np.concatenate([model.describe(features, at[None]) for at in xy]))
