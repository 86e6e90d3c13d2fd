"""The live graph on a finished clip against SAM-PT over that clip (`tools/offline`): the same masks, frame after frame.

Both have the same weights, made by a rule, whose masks mean nothing: they leak, vanish and take each other's place, so
that whatever the two paths do differently shows.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from running import Run

from nodes.decoder import backends as decoders
from nodes.decoder.sam.prompting import PassRules
from nodes.tracker import backends as trackers
from nodes.tracker.sampling import query_points
from stream.settings.presets import load
from tools.goldens.sam_weights import sam_weights
from tools.goldens.weights import pips_weights
from tools.offline.outcome import QueriedObject
from tools.offline.sam_pt import Parameters, run

SIZE = (96, 128)
FRAMES = 16  # two windows and the first frame of the third
SAME_IOU = 0.99


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A folder of frames over which two blobs of a cloudy picture drift, the label image of the first, and weights."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "frames").mkdir()
    rng = np.random.default_rng(3)
    cloud = cv2.GaussianBlur(rng.integers(0, 256, (SIZE[0] + 60, SIZE[1] + 60, 3), np.uint8), (0, 0), 3)
    cloud = cv2.normalize(cloud, None, 0, 255, cv2.NORM_MINMAX)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    for t in range(FRAMES):
        picture = np.ascontiguousarray(cloud[10 : 10 + SIZE[0], 10 + t : 10 + t + SIZE[1]])
        cv2.circle(picture, (40 + 2 * t, 40), 18, (220, 60, 40), -1)
        cv2.rectangle(picture, (70 - t, 55), (100 - t, 85), (30, 90, 200), -1)
        Image.fromarray(picture).save(folder / "frames" / f"{t:05d}.png")
    ids = np.zeros(SIZE, np.uint8)
    ids[np.hypot(columns - 40, rows - 40) <= 18] = 1
    ids[55:86, 70:101] = 2
    Image.fromarray(ids).save(folder / "ids.png")
    torch.save({"model_state_dict": pips_weights(0)}, folder / "pips.pth")
    torch.save(sam_weights(0, "mobile_sam", "vit_tiny"), folder / "sam.pt")
    return folder


def settings(clip, **more):
    return {
        "tracker.checkpoint": str(clip / "pips.pth"),
        "tracker.size": "96x128",
        "tracker.positive_points": 4,
        "tracker.negative_points": 3,
        "decoder.backend": "mobile_sam",
        "decoder.model": "vit_tiny",
        "decoder.checkpoint": str(clip / "sam.pt"),
        "decoder.side": 256,
        "decoder.iou_threshold": 0,
        "decoder.refinement_passes": 2,
    } | more


def frames_of(clip):
    return [np.array(Image.open(path)) for path in sorted((clip / "frames").iterdir())]


def offline(clip, preset, n, keys):
    """(n, H, W) uint8: label images of SAM-PT over the first n frames of the clip."""
    config = load(preset, keys)
    ids = np.array(Image.open(clip / "ids.png"))

    def draw(mask, rgb, m, frame):
        chance = query_points.SeededSource(config.tracker.seed, m + 1, frame)  # as the live tracker's
        positives = query_points.draw_positives(mask, config.tracker.positive_points, chance)
        negatives = query_points.draw_negatives(mask, rgb, config.tracker.negative_points, chance)
        labels = np.repeat(np.array([1, 0], np.uint8), [len(positives), len(negatives)])
        return np.concatenate([positives, negatives]), labels

    rules = PassRules(refinement_passes=config.decoder.refinement_passes, iou_threshold=-np.inf)
    outcome = run(
        frames_of(clip)[:n],
        [QueriedObject(0, (ids == i).astype(np.uint8)) for i in (1, 2)],
        trackers.make_model(config.tracker),
        decoders.make_model(config.decoder).network,
        draw,
        Parameters(rules=rules, reinit="A" if config.tracker.reinit else None),
    )
    return np.stack([outcome.label_image(t) for t in range(n)])


def online(clip, preset, n, keys, folder):
    """The same by the whole graph."""
    sets = [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]
    graph = Run(
        *("--config", preset, "--source", clip / "frames", "--mask", clip / "ids.png", "--frames", n),
        *(*sets, "--save-masks", "masks"),
        cwd=folder,
    )
    try:
        assert graph.wait(240) == 0, graph.output
    finally:
        graph.close()
    return np.stack([np.array(Image.open(path)) for path in sorted((folder / "masks").glob("*.png"))])


def iou(a, b):
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


@pytest.mark.parametrize(
    ("preset", "n"),
    [
        pytest.param("sam_pt", FRAMES, marks=pytest.mark.slow),
        pytest.param("sam_pt_reinit", FRAMES, marks=pytest.mark.slow),
        ("sam_pt_reinit", 15),  # it ends with its second window: no points are drawn on the last frame
    ],
)
def test_the_graph_on_a_finished_clip_gives_the_masks_of_sam_pt(clip, tmp_path, preset, n):
    keys = settings(clip)
    expected, got = offline(clip, preset, n, keys), online(clip, preset, n, keys, tmp_path)
    assert got.shape == expected.shape
    worst = {(t, i): iou(got[t] == i, expected[t] == i) for t in range(n) for i in (1, 2)}
    assert min(worst.values()) >= SAME_IOU, sorted(worst.items(), key=lambda item: item[1])[:5]
    areas = np.array([[np.count_nonzero(expected[t] == i) for t in range(n)] for i in (1, 2)])
    assert (areas > 0).any(axis=0).sum() > n // 2  # there was something to compare
    assert len(np.unique(areas)) > n // 2
