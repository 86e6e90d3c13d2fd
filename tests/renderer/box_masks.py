"""Masks that fill their boxes, gray frames, and the line at the top: what the renderer's tests draw."""

from __future__ import annotations

import numpy as np

from stream.arrays import Array
from stream.drawing.captions import Hud
from stream.messages import Masks, ObjectMask, Stamp, State

SIZE = (180, 320)


def hud(**values: object) -> Hud:
    numbers = {"fps": 25.0, "age_ms": 40.0, "passed_over": 0, "session": 1, "frame_id": 0, "camera": "door", **values}
    return Hud(**numbers)  # type: ignore[arg-type]


def gray(size: tuple[int, int] = SIZE, value: int = 100) -> Array:
    return np.full((*size, 3), value, np.uint8)


def box_object(
    object_id: int = 1,
    bbox: tuple[int, int, int, int] = (100, 80, 60, 40),
    state: State = "tracked",
    points: list[list[float]] | None = None,
) -> ObjectMask:
    """An object whose mask fills its bbox, with [x, y, label, visibility] points."""
    rows = np.array(points or [], np.float32).reshape(-1, 4)
    return ObjectMask(
        object_id=object_id,
        state=state,
        origin="decoded",
        score=0.9,
        bbox=bbox,
        area=bbox[2] * bbox[3],
        mask=np.ones((bbox[3], bbox[2]), np.uint8),
        xy=rows[:, :2],
        labels=rows[:, 2].astype(np.uint8),
        visibility=rows[:, 3],
    )


def masks_of(*objects: ObjectMask, frame_id: int = 0, size: tuple[int, int] = SIZE, session: int = 1) -> Masks:
    stamp = Stamp(camera="door", session=session, frame_id=frame_id, captured_ns=frame_id, captured_unix_ns=0)
    return Masks(stamp=stamp, size=size, objects=objects)
