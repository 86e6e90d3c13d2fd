"""Everything small that tests are fed with: stamps, frames, prompts, tracks, masks, seeds, pictures, data sets on disk.

Each builder makes a valid whole of few arguments; keywords set what a test is about. Sizes are (height, width) in px.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nodes.capture.scene import DemoScene
from nodes.renderer.sinks import label_png
from stream.arrays import Array
from stream.crops import crop_mask
from stream.messages import Frame, Masks, ObjectMask, ObjectTrack, Prompt, Seed, Seeds, Stamp, Tracks

SIZE = (60, 80)  # of a frame where its size is of no matter
PERIOD_NS = 40_000_000  # between two frames of a camera


# --- what is captured ---


def stamp(frame_id: int = 0, **fields: Any) -> Stamp:
    """The stamp of a frame of a camera with 25 frames a second."""
    at_ns = frame_id * PERIOD_NS
    given = {"camera": "camera", "session": 0, "frame_id": frame_id, "captured_ns": at_ns, "captured_unix_ns": at_ns}
    return Stamp(**{**given, **fields})


def frame(frame_id: int = 0, size: tuple[int, int] = SIZE, *, rgb: Array | None = None, **fields: Any) -> Frame:
    """A frame of one gray, which tells its number, or with a picture of its own; `fields` of its stamp."""
    return Frame(stamp=stamp(frame_id, **fields), rgb=gray(size, frame_id % 256) if rgb is None else rgb)


# --- what somebody asks for ---


def point_prompt(
    object_id: int = 1,
    xy: Sequence[Sequence[float]] = ((20, 20), (24, 30)),
    labels: int | Sequence[int] = 1,
    **fields: Any,
) -> Prompt:
    """Clicks at (x, y), all positive unless `labels` says otherwise."""
    points = np.array(xy, np.float32).reshape(-1, 2)
    return Prompt(object_id=object_id, xy=points, labels=per_point(labels, points, np.uint8), **fields)


def box_prompt(object_id: int = 1, box: tuple[float, float, float, float] = (10, 10, 30, 30), **fields: Any) -> Prompt:
    """A box, x1, y1, x2, y2."""
    return Prompt(object_id=object_id, box=box, **fields)


def mask_prompt(object_id: int, mask: Array, **fields: Any) -> Prompt:
    """A mask of the whole frame."""
    return Prompt(object_id=object_id, mask=(mask != 0).astype(np.uint8), **fields)


# --- what is tracked ---


def track(
    object_id: int = 1,
    xy: Sequence[Sequence[float]] | Array = ((20, 20),) * 4,
    visibility: float | Sequence[float] = 1.0,
    labels: int | Sequence[int] = 1,
    **fields: Any,
) -> ObjectTrack:
    """An object's points in one frame; one visibility or label for all of them, or one each."""
    points = np.array(xy, np.float32).reshape(-1, 2)
    return ObjectTrack(
        object_id=object_id,
        xy=points,
        visibility=per_point(visibility, points, np.float32),
        labels=per_point(labels, points, np.uint8),
        **fields,
    )


def tracks(
    frame_id: int = 0, *objects: ObjectTrack, size: tuple[int, int] = SIZE, rgb: Array | None = None, **fields: Any
) -> Tracks:
    """The tracks of one frame."""
    return Tracks(frame=frame(frame_id, size, rgb=rgb), objects=objects, **fields)


def prompted_tracks(frame_id: int = 0) -> Tracks:
    """Tracks with every field filled: an object, the prompt that it begins with, and the wish for its Seeds."""
    prompt = point_prompt(1, [(1, 1)], box=(0, 0, 2, 2))
    return tracks(frame_id, track(1, [(1, 1), (1, 1)]), size=(4, 6), prompts=(prompt,), boundary=True, seeds_for=(1,))


def per_point(value: float | Sequence[float], points: Array, kind: type) -> Array:
    """(N,): a value for each of the (N, 2) points."""
    return np.broadcast_to(np.asarray(value, kind), points.shape[:1]).copy()


# --- what is found ---


def box_mask(bbox: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> Array:
    """(H, W) uint8 mask that fills x, y, width, height."""
    x, y, width, height = bbox
    mask = np.zeros(size, np.uint8)
    mask[y : y + height, x : x + width] = 1
    return mask


def object_mask(object_id: int = 1, bbox: tuple[int, int, int, int] = (1, 1, 2, 2), **fields: Any) -> ObjectMask:
    """An object whose mask fills its bbox."""
    given = {
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
    return ObjectMask(**{**given, **fields})


def masks(frame_id: int = 0, *objects: ObjectMask, size: tuple[int, int] = SIZE, **fields: Any) -> Masks:
    """The masks of one frame; `fields` of its stamp."""
    return Masks(stamp=stamp(frame_id, **fields), size=size, objects=objects)


def seed(object_id: int, mask: Array, frame_id: int = -1) -> Seed:
    """A mask of the whole frame to draw points from."""
    bbox, crop = crop_mask(mask)
    return Seed(object_id=object_id, bbox=bbox, mask=crop, frame_id=frame_id)


def seeds(
    frame_id: int, *object_ids: int, x: int = 40, size: tuple[int, int] = SIZE, epoch: int = 0, of: int = -1
) -> Seeds:
    """The answer to a frame: for each object a box at `x`, of frame `of` or the very one."""
    mask = box_mask((x, 20, 10, 12), size)
    return Seeds(frame_id=frame_id, epoch=epoch, size=size, objects=tuple(seed(i, mask, of) for i in object_ids))


# --- pictures ---


def gray(size: tuple[int, int] = SIZE, level: int = 100) -> Array:
    """(H, W, 3) uint8 of one gray."""
    return np.full((*size, 3), level, np.uint8)


def texture(number: int, size: tuple[int, int], tint: tuple[int, int, int] = (0, 0, 0)) -> Array:
    """(H, W, 3) uint8 of smooth spots, another for each number."""
    height, width = size
    coarse = np.random.default_rng(number).integers(40, 200, (height // 6 + 2, width // 6 + 2, 3)).astype(np.float32)
    spots = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(spots + np.array(tint, np.float32), 0, 255).astype(np.uint8)


def moving_square(
    frames: int,
    size: tuple[int, int] = (120, 180),
    side: int = 40,
    start_xy: tuple[int, int] = (20, 30),
    step_x: int = 3,
) -> list[tuple[Array, Array]]:
    """(rgb, true mask) of a textured square that moves to the right over a textured ground."""
    sprite, ground = texture(1, (side, side), (60, -30, -30)), texture(2, size, (-60, 20, 30))
    clip = []
    for i in range(frames):
        x, y = start_xy[0] + i * step_x, start_xy[1]
        rgb = ground.copy()
        rgb[y : y + side, x : x + side] = sprite
        clip.append((rgb, box_mask((x, y, side, side), size)))
    return clip


# --- data sets on disk ---

SET_SIZE = (108, 192)
SET_FRAMES = 12


def draw_sequence(
    frames: Path,
    annotations: Path,
    name: str,
    ids: Sequence[int] = (1, 3),
    annotated: Iterable[int] = range(SET_FRAMES),
) -> list[Array]:
    """Write a sequence of the demo scene; the label images of all frames, with only `ids` of its objects, come back."""
    scene = DemoScene(SET_SIZE, frames=SET_FRAMES)
    (frames / name).mkdir(parents=True)
    (annotations / name).mkdir(parents=True)
    labels = []
    for i in range(SET_FRAMES):
        rgb, truth = scene.draw(i)
        assert cv2.imwrite(str(frames / name / f"{i:05d}.jpg"), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        labels.append(np.where(np.isin(truth, ids), truth, 0).astype(np.uint8))
        if i in annotated:
            write_labels(annotations / name / f"{i:05d}.png", labels[-1])
    return labels


def davis_set(root: Path, *names: str, ids: Sequence[int] = (1, 3)) -> list[Array]:
    """Write a data set in the layout of DAVIS; the label images of its last sequence come back."""
    for name in names:
        labels = draw_sequence(root / "JPEGImages" / "480p", root / "Annotations" / "480p", name, ids)
    return labels


def write_labels(path: Path, labels: Array) -> None:
    """Write a label image, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(label_png(labels))


def write_results(folder: Path, name: str, labels: Sequence[Array]) -> Path:
    """Write a label image a frame, as a program that is to be scored does."""
    for i, image in enumerate(labels):
        write_labels(folder / name / f"{i:05d}.png", image)
    return folder
