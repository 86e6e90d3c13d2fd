"""The masks that one click may mean in; the number of the one that is most likely an object out.

Two things speak for a mask: others that were looked for at another size agree with it, and the colours change where it
ends. A band of a planet is as plain as the planet, but its ends lie in the middle of others' masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stream.arrays import Array
from stream.geometry import resize_mask

MOST_PX = 60_000  # of the part that is compared
RING_PX = 3  # on each side of the outline: what is compared
NEIGHBOURHOOD = 9  # px, round each place of the outline
VISIBLE = 8.0  # Lab levels: a difference of colours that makes an edge
# Of the share of the outline with an edge, against the mean IoU with the others. Chosen among some sixty rules while
# looking at the demo scene, drawn objects and DAVIS frames at once: none of their figures is held out.
EDGE_WEIGHT = 2.0
ALIKE, SEVERAL = 0.85, 3  # IoU of masks that count as one; so many sizes that give it settle the choice
LEAST_PX = 20
MARGIN = 8  # px round all masks


def choose_mask(rgb: Array, masks: Sequence[Array]) -> int:
    """The number of the mask, each (H, W) uint8 0/1, that is most likely an object of the picture (H, W, 3)."""
    union = np.max(masks, axis=0)
    if not union.any():
        return 0
    x, y, width, height = cv2.boundingRect(union)
    part = (
        slice(max(y - MARGIN, 0), y + height + MARGIN),
        slice(max(x - MARGIN, 0), x + width + MARGIN),
    )
    picture = rgb[part]
    shrink = min(1.0, float(np.sqrt(MOST_PX / (picture.shape[0] * picture.shape[1]))))
    size = (max(2, round(picture.shape[0] * shrink)), max(2, round(picture.shape[1] * shrink)))
    lab = cv2.cvtColor(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    blurred = cv2.GaussianBlur(lab, (0, 0), 1.2).astype(np.float32)
    small = [resize_mask(np.ascontiguousarray(mask[part]), size) for mask in masks]
    scores = [
        EDGE_WEIGHT * edge_share(blurred, mask) + agreement(mask, small) if mask.sum() >= LEAST_PX else -np.inf
        for mask in small
    ]
    stable = stable_masks(small)
    return max(stable, key=lambda i: scores[i]) if stable else int(np.argmax(scores))


def stable_masks(masks: Sequence[Array]) -> list[int]:
    """The numbers of the most masks that are alike, if they are several: what is found at many sizes is a thing."""
    groups = [[i for i, other in enumerate(masks) if _iou(mask, other) >= ALIKE] for mask in masks]
    largest = max(groups, key=len)
    return largest if len(largest) >= SEVERAL else []


def edge_share(lab: Array, mask: Array) -> float:
    """The share of a mask's outline where the colours on both sides of it differ; lab (h, w, 3) float32."""
    ring = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RING_PX + 1, 2 * RING_PX + 1))
    inner = mask - cv2.erode(mask, ring)
    outer = cv2.dilate(mask, ring) - mask
    outline = (mask - cv2.erode(mask, np.ones((3, 3), np.uint8))) > 0
    difference = np.linalg.norm(_means_near(lab, inner) - _means_near(lab, outer), axis=2)[outline]
    return float((difference > VISIBLE).mean()) if difference.size else 0.0


def agreement(mask: Array, others: Sequence[Array]) -> float:
    """The mean IoU of a mask with several."""
    return float(np.mean([_iou(mask, other) for other in others]))


def _iou(mask: Array, other: Array) -> float:
    return float((mask & other).sum() / max(1, (mask | other).sum()))


def _means_near(lab: Array, ring: Array) -> Array:
    """(h, w, 3): the mean colour of a ring's pixels near each pixel."""
    weight = ring.astype(np.float32)
    side = (NEIGHBOURHOOD, NEIGHBOURHOOD)
    return np.asarray(cv2.blur(lab * weight[..., None], side) / (cv2.blur(weight, side) + 1e-4)[..., None])
