"""The last steps to a first mask: logits of a crop in, a mask out whose looks agree, with the outline of the frame."""

from __future__ import annotations

import cv2
import numpy as np

from nodes.decoder.lite.cues import sigmoid
from nodes.decoder.lite.prompts.prompt_crop import PromptCrop
from nodes.decoder.lite.sharpening import NEAR_LOGIT, enlarge_logits
from nodes.decoder.lite.target_model import TargetModel
from stream.arrays import Array
from stream.crops import uncrop_mask

CLEANED_LOGIT = 2 * NEAR_LOGIT  # of a pixel that cleaning a mask took in, and minus that of one that it left out
NEIGHBOURS = np.ones((3, 3), np.uint8)


def add_target_model(crop: PromptCrop, logits: Array) -> Array:
    """(h, w) logits of a crop, with what a model of the looks that they mean answers for each pixel."""
    return np.asarray(logits + TargetModel(crop.view, sigmoid(logits))(crop.view))


def enlarge_mask(crop: PromptCrop, rgb: Array, mask: Array, logits: Array) -> Array:
    """(H, W) uint8 of a frame: a mask (h, w) of a crop, its outline moved by logits (h, w) to the frame's detail."""
    inside = mask > 0
    cleaned = np.where(inside == (logits > 0), logits, np.where(inside, CLEANED_LOGIT, -CLEANED_LOGIT))
    large = enlarge_logits(cleaned.astype(np.float32), crop.view, rgb) > 0
    near = cv2.resize(cv2.dilate(mask, NEIGHBOURS), (crop.width, crop.height), interpolation=cv2.INTER_NEAREST)
    return uncrop_mask(crop.window, near * large, crop.size)
