"""Small messages for tests."""

from __future__ import annotations

import numpy as np

from stream.messages import Frame, Masks, ObjectMask, ObjectTrack, Prompt, Stamp, Tracks


def stamp(frame_id: int = 0, **values: object) -> Stamp:
    return Stamp(
        **{"camera": "camera", "session": 0, "frame_id": frame_id, "captured_ns": 1, "captured_unix_ns": 2, **values}
    )


def frame(frame_id: int = 0, size: tuple[int, int] = (4, 6)) -> Frame:
    return Frame(stamp=stamp(frame_id), rgb=np.full((*size, 3), frame_id % 256, np.uint8))


def object_mask(object_id: int = 1, bbox: tuple[int, int, int, int] = (1, 1, 2, 2), **values: object) -> ObjectMask:
    fields = {
        "object_id": object_id,
        "state": "tracked",
        "origin": "decoded",
        "score": 0.9,
        "bbox": bbox,
        "area": bbox[2] * bbox[3],
        "mask": np.ones((bbox[3], bbox[2]), np.uint8),
        "xy": np.zeros((1, 2), np.float32),
        "visibility": np.ones(1, np.float32),
        "labels": np.ones(1, np.uint8),
    }
    return ObjectMask(**{**fields, **values})


def masks(frame_id: int = 0, *objects: ObjectMask, size: tuple[int, int] = (4, 6)) -> Masks:
    return Masks(stamp=stamp(frame_id), size=size, objects=objects)


def tracks(frame_id: int = 0) -> Tracks:
    track = ObjectTrack(
        object_id=1, xy=np.ones((2, 2), np.float32), visibility=np.ones(2, np.float32), labels=np.ones(2, np.uint8)
    )
    prompt = Prompt(object_id=1, xy=np.ones((1, 2), np.float32), labels=np.ones(1, np.uint8), box=(0, 0, 2, 2))
    return Tracks(
        frame=frame(frame_id), objects=(track,), prompts=(prompt,), boundary=True, seeds_for=(track.object_id,)
    )
