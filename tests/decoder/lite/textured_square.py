"""A textured square on a textured background, whose true mask is known; and runs of the decoder's core over clips."""

from __future__ import annotations

import cv2
import numpy as np

from nodes.decoder.lite.backend import Lite
from nodes.decoder.segmentation import Segmenter
from stream.crops import uncrop_mask
from stream.messages import Frame, ObjectTrack, Prompt, Stamp, Tracks

SIZE = (150, 220)
SIDE = 50


def texture(seed: int, height: int, width: int, tint=(0, 0, 0)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (height // 6 + 2, width // 6 + 2, 3)).astype(np.float32)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + np.array(tint, np.float32), 0, 255).astype(np.uint8)


SPRITE = texture(1, SIDE, SIDE, (60, -30, -30))
BACKGROUND = texture(2, *SIZE, (-60, 20, 30))


def draw(x: float, y: float = 50.0, turn: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The textured square with its middle at x + 25, y + 25, and its true mask."""
    c, s, half = np.cos(turn), np.sin(turn), (SIDE - 1) / 2
    pose = np.array([[c, -s, x + half - (c - s) * half], [s, c, y + half - (s + c) * half]])
    sprite = cv2.warpAffine(SPRITE, pose, SIZE[::-1], flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(np.ones((SIDE, SIDE), np.uint8), pose, SIZE[::-1], flags=cv2.INTER_NEAREST)
    rgb = np.where(mask[..., None] == 1, sprite, BACKGROUND)
    return rgb, mask


def tracks(i: int, rgb: np.ndarray, *prompts: Prompt, ids=(1,)) -> Tracks:
    stamp = Stamp(camera="c", session=0, frame_id=i, captured_ns=i, captured_unix_ns=i)
    none = np.zeros(0, np.float32)
    objects = tuple(
        ObjectTrack(object_id=o, xy=np.zeros((0, 2), np.float32), visibility=none, labels=none.astype(np.uint8))
        for o in ids
    )
    return Tracks(frame=Frame(stamp=stamp, rgb=rgb), objects=objects, prompts=prompts)


def run(clip, mask: np.ndarray, segmenter: Segmenter | None = None):
    """(state, IoU) of object 1 on each frame of a clip of (rgb, truth), begun with a mask."""
    segmenter = segmenter or Segmenter(Lite())
    out = []
    for i, (rgb, truth) in enumerate(clip):
        prompts = [Prompt(object_id=1, mask=mask)] if i == 0 else []
        (o,) = segmenter.step(tracks(i, rgb, *prompts))[0].objects
        out.append((o.state, iou(uncrop_mask(o.bbox, o.mask, truth.shape), truth)))
    return out


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def speckled(size: tuple[int, int]) -> np.ndarray:
    small = np.random.default_rng(4).integers(0, 255, (size[0] // 8 + 1, size[1] // 8 + 1, 3)).astype(np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR)
