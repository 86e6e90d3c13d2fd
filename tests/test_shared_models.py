"""Four cameras round one PIPS and one SAM, with deterministic weights: the masks of each alone."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
import torch
from online_graph import OnlineGraph

from stream.commands import GivePrompt
from stream.messages import Prompt
from stream.scheduling.shared_models import SharedModels
from stream.settings.presets import load
from tools.goldens.sam_weights import sam_weights
from tools.goldens.weights import pips_weights

SIZE = (96, 128)
FRAMES = 9  # a window, and the first frame of the next
CAMERAS = 4
CLIPS = 2  # cameras take turns with them, so that few have to be run alone


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    torch.save({"model_state_dict": pips_weights(0)}, folder / "pips.pth")
    torch.save(sam_weights(0, "mobile_sam", "vit_tiny"), folder / "sam.pt")
    return folder


def config(weights, camera: str):
    """A finished clip: no frame is left out, so that the masks do not depend on how fast the machine is."""
    return load(
        "mobile_sam_pt",
        {
            "capture.source": "clip.mp4",
            "capture.camera": camera,
            "tracker.checkpoint": str(weights / "pips.pth"),
            "tracker.size": "96x128",
            "tracker.positive_points": 4,
            "tracker.device": "cpu",
            "decoder.checkpoint": str(weights / "sam.pt"),
            "decoder.side": 256,
            "decoder.iou_threshold": 0,
            "decoder.refinement_passes": 1,
            "decoder.device": "cpu",
        },
    )


def clip(seed: int) -> list[np.ndarray]:
    """A disc drifts over a cloudy picture."""
    rng = np.random.default_rng(seed)
    cloud = cv2.GaussianBlur(rng.integers(0, 256, (SIZE[0], SIZE[1], 3), np.uint8), (0, 0), 3)
    cloud = cv2.normalize(cloud, None, 0, 255, cv2.NORM_MINMAX)
    return [cv2.circle(cloud.copy(), (40 + 2 * t + 5 * seed, 40), 18, (220, 60, 40), -1) for t in range(FRAMES)]


def masks_of(weights, camera: int, models: SharedModels | None) -> dict[int, np.ndarray]:
    """The label image of every frame."""
    graph = OnlineGraph(config(weights, f"c{camera}"), models=models)
    xy = np.array([[40 + 5 * (camera % CLIPS), 40], [48 + 5 * (camera % CLIPS), 44]], np.float32)
    prompt = Prompt(object_id=1, xy=xy, labels=np.ones(2, np.uint8))
    graph.tracker_node.start(graph.tracker, GivePrompt(prompt=prompt))
    graph.show(*clip(camera % CLIPS))
    graph.tracker.finish()
    graph.exchange()
    return {frame_id: masks.label_image() for frame_id, masks in graph.masks.items()}


def test_cameras_share_one_copy_of_each_model_and_have_the_masks_of_each_alone(weights):
    alone = [masks_of(weights, camera, None) for camera in range(CLIPS)]
    assert all(len(masks) == FRAMES and any(mask.any() for mask in masks.values()) for masks in alone)
    models, shared = SharedModels(), {}

    def run(camera: int) -> None:
        shared[camera] = masks_of(weights, camera, models)

    threads = [threading.Thread(target=run, args=(camera,), daemon=True) for camera in range(CAMERAS)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        figures = models.device("cpu").figures()
        counts = {c: models.device("cpu").camera_figures(f"c{c}")[0] for c in range(CAMERAS)}
    finally:
        models.close()
    assert sorted(models.loads.values()) == [1, 1]  # PIPS and SAM
    for camera in range(CAMERAS):
        expected = alone[camera % CLIPS]
        assert shared[camera].keys() == expected.keys()
        for frame_id, mask in expected.items():
            np.testing.assert_array_equal(shared[camera][frame_id], mask)
    assert figures.batches > 0
    assert all(c.dropped == c.failed == 0 and c.served == c.frames for c in counts.values())
