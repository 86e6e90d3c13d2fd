"""The last steps to a first mask: what looks like it is taken in, and its outline is the frame's, not the crop's."""

from __future__ import annotations

import cv2
import numpy as np

from nodes.decoder.lite.prompts.finishing import add_target_model, enlarge_mask
from nodes.decoder.lite.prompts.prompt_crop import PromptCrop

SIZE = (360, 480)
TRUTH = np.zeros(SIZE, np.uint8)
cv2.ellipse(TRUTH, (240, 180), (130, 90), 0, 0, 360, 1, -1)
for spoke in range(130, 350, 20):
    cv2.line(TRUTH, (spoke, 60), (spoke, 300), 1, 3)  # thinner than a px of the crop
NOISE = np.random.default_rng(0).integers(0, 12, (*SIZE, 3))
RGB = (np.where(TRUTH[..., None] > 0, (200, 170, 60), (40, 60, 90)) + NOISE).astype(np.uint8)
CROP = PromptCrop(RGB, 40, 20, 440, 340)
LOGITS = np.asarray(6 * CROP.shrink(TRUTH.astype(np.float32)) - 3)


def iou(mask: np.ndarray) -> float:
    return np.count_nonzero(mask & TRUTH) / np.count_nonzero(mask | TRUTH)


def test_what_looks_like_the_mask_gets_more_and_what_does_not_less():
    doubtful, unlike = (np.zeros((CROP.h, CROP.w), np.uint8) for _ in range(2))
    cv2.circle(doubtful, (CROP.w // 2, CROP.h // 2), 8, 1, -1)
    cv2.circle(unlike, (8, 8), 6, 1, -1)
    logits = np.where(doubtful | unlike, np.float32(-0.2), LOGITS)
    after = add_target_model(CROP, logits)
    assert (after[doubtful > 0] > 0).mean() > 0.95
    assert after[unlike > 0].max() < -0.5


def test_nothing_sure_changes_nothing_for_the_worse():
    faint = np.full((CROP.h, CROP.w), -4, np.float32)
    after = add_target_model(CROP, faint)
    assert np.isfinite(after).all()
    assert after.max() < 0


def test_an_outline_follows_the_frame_and_not_the_crop():
    mask = (LOGITS > 0).astype(np.uint8)
    assert CROP.factor > 1.5
    assert iou(enlarge_mask(CROP, RGB, mask, LOGITS)) > max(0.95, iou(CROP.mask_to_frame(mask)))


def test_what_was_cleaned_away_stays_away():
    mask = (LOGITS > 0).astype(np.uint8)
    mask[:, : CROP.w // 2] = 0
    full = enlarge_mask(CROP, RGB, mask, LOGITS)
    assert not full[:, : CROP.x + CROP.width // 2 - 8].any()
    assert full.any()
