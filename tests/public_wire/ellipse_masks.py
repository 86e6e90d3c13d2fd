"""Masks of drawn ellipses, and a masks message of them."""

from __future__ import annotations

import numpy as np

from stream.arrays import Array
from stream.crops import crop_mask
from stream.messages import Frame, Masks, ObjectMask, Scene, Stamp, State

STAMP = Stamp(
    camera="door",
    session=1,
    frame_id=42,
    captured_ns=5_000_000_000,
    captured_unix_ns=1_700_000_000_000_000_000,
    pts_s=1.68,
)


def ellipse(size: tuple[int, int], centre_xy: tuple[float, float], radii_xy: tuple[float, float]) -> Array:
    """(H, W) uint8 0/1 mask of a drawn ellipse."""
    y, x = np.mgrid[: size[0], : size[1]]
    return (((x - centre_xy[0]) / radii_xy[0]) ** 2 + ((y - centre_xy[1]) / radii_xy[1]) ** 2 < 1).astype(np.uint8)


def one_object(
    object_id: int, mask: Array, points: list[list[float]], state: State = "tracked", score: float = 0.93
) -> ObjectMask:
    """An object of a (H, W) mask and [x, y, label, visibility] points."""
    bbox, crop = crop_mask(mask)
    rows = np.array(points, np.float32).reshape(-1, 4)
    return ObjectMask(
        object_id=object_id,
        state=state,
        origin="decoded" if state == "tracked" else "propagated",
        score=score,
        bbox=bbox,
        area=int(mask.sum()),
        mask=crop,
        xy=rows[:, :2],
        labels=rows[:, 2].astype(np.uint8),
        visibility=rows[:, 3],
    )


def two_balls(size: tuple[int, int] = (48, 64)) -> Masks:
    """A frame with two ellipses and an object that is lost."""
    height, width = size
    left = ellipse(size, (width * 0.3, height * 0.5), (width * 0.17, height * 0.3))
    right = ellipse(size, (width * 0.8, height * 0.4), (width * 0.2, height * 0.3))  # touches the frame's edge
    return Masks(
        stamp=STAMP,
        size=size,
        passed_over=3,
        objects=(
            one_object(1, left, [[19.25, 24.5, 1, 0.98], [3.0, 4.0, 0, 0.5]]),
            one_object(300, right, [[51.0, 19.0, 1, 0.75]], "uncertain", 0.4),
            one_object(7, np.zeros(size, np.uint8), [], "lost", 0.0),
        ),
    )


def two_balls_on_gray(size: tuple[int, int] = (48, 64)) -> Scene:
    """The same, with a picture."""
    rgb = np.full((*size, 3), 120, np.uint8)
    return Scene(frame=Frame(stamp=STAMP, rgb=rgb), masks=two_balls(size))
