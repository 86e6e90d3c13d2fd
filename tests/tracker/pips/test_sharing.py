"""Windows of several cameras in one run of PIPS, and cameras that share it."""

from __future__ import annotations

import numpy as np
import torch
from tracker.small_pips import clip, network, query

from nodes.tracker.pips.backend import PipsModel
from nodes.tracker.pips.network import Window
from nodes.tracker.pips.shared_model import SharedPips
from stream.scheduling.camera_client import CameraClient
from stream.scheduling.shared_models import SharedModels

POINTS = ([[20, 30], [50.5, 11.25]], [[10, 10], [70, 40], [90, 60]])


def questions(model):
    """Windows of two feeds: a full one, and a short one of other frames."""
    frames = clip(8)
    feeds = [frames, [f[:, ::-1].copy() for f in frames[:5]]]
    encoded = [[model.encode(rgb) for rgb in feed] for feed in feeds]
    return [(window, query(model, window[0], xy), None) for window, xy in zip(encoded, POINTS, strict=True)]


def looks(model, features):
    """What the frame looks like at some points."""
    return model.describe(features, np.random.default_rng(0).uniform(0, 60, (50, 2)))


def test_points_of_several_windows_go_where_they_go_alone():
    model = PipsModel(network())
    windows = [model._window(window, points) for window, points, _ in questions(model)]
    together = model.network.follow_together(windows)
    starts = np.cumsum([0, *(len(w.xy) for w in windows)])
    for window, start, end in zip(windows, starts, starts[1:], strict=False):
        alone = model.network.follow_together([Window(window.pyramids, window.xy, window.features)])
        torch.testing.assert_close(together.iterates[:, :, start:end], alone.iterates, atol=2e-3, rtol=0)
        torch.testing.assert_close(together.visibility_logits[:, start:end], alone.visibility_logits, atol=2e-3, rtol=0)


def test_cameras_that_share_pips_get_bit_for_bit_what_each_would_get_of_its_own():
    models, model = SharedModels(), PipsModel(network())
    try:
        shared = [
            SharedPips(model, "pips", CameraClient(models.device("cpu"), f"c{i}", "tracker", must_serve=True))
            for i in range(2)
        ]
        for own, (window, points, _) in zip(shared, questions(model), strict=True):
            rgb = clip(1)[0]
            np.testing.assert_array_equal(looks(model, own.encode(rgb)), looks(model, model.encode(rgb)))
            np.testing.assert_array_equal(own.describe(window[0], points.xy), points.descriptors)
            found, expected = own.track(window, points, None), model.track(window, points, None)
            np.testing.assert_array_equal(found.xy, expected.xy)
            np.testing.assert_array_equal(found.visibility, expected.visibility)
            assert len(own.track(window[:1], points, None)) == 1
    finally:
        models.close()


def test_frames_of_different_sizes_are_encoded_together():
    model = PipsModel(network())
    frames = [clip(1)[0], clip(1, (80, 64))[0], clip(2)[1]]
    for rgb, features in zip(frames, model.encode_together(frames), strict=True):
        assert features.frame_size == rgb.shape[:2]
        np.testing.assert_array_equal(looks(model, features), looks(model, model.encode(rgb)))
