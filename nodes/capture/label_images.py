"""A label image file (a DAVIS annotation, a mask of --mask) in, a mask per object id out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stream.arrays import Array
from stream.errors import PromptError

VOID = 255  # of 8 bits, beside other ids: a pixel that counts for nothing
LOSSY = ("mjpeg", "webp")  # FFmpeg's names
SPREAD = {2: 85, 4: 17}  # by how much FFmpeg multiplies gray values of so many bits, so that white is 255
SOFT_EDGES = 3  # values that fill no 3x3 px anywhere; more of them than of others are the smooth edge of a painted mask


def read_labels(path: str | Path) -> Array:
    """(H, W) uint8 or uint16 pixel values of a palette or gray picture: the indices, not the colours they stand for."""
    import av  # only where there is a picture to read: it costs a third of a second

    try:
        # "file:" keeps FFmpeg from reading a colon in a file's name as a protocol
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            codec = container.streams.video[0].codec_context.name
            frame = next(container.decode(video=0))
    except (OSError, ValueError, IndexError, StopIteration, av.FFmpegError) as error:
        raise PromptError(f"--mask {path}: no picture that can be read ({error.__class__.__name__})") from None
    if codec in LOSSY:
        raise PromptError(
            f"--mask {path}: a {codec} picture, whose compression changes ids; needs a label image saved as PNG"
        )
    name = frame.format.name
    if name == "pal8":
        indices, _palette = frame.to_ndarray()
        return np.ascontiguousarray(indices)
    if name in ("monob", "monow"):
        return np.ascontiguousarray(frame.reformat(format="gray").to_ndarray())
    if name in ("gray", "ya8"):
        return _gray_plane(frame, "u1") // SPREAD.get(_gray_bits(path), 1)
    if name in ("gray16be", "gray16le", "ya16be", "ya16le"):
        return _gray_plane(frame, ">u2" if name.endswith("be") else "<u2")
    raise PromptError(f"--mask {path}: a {name} picture; needs a label image: a palette or gray PNG, pixel = object id")


def _gray_plane(frame: Any, kind: str) -> Array:
    """(H, W) gray values of a frame, unconverted: FFmpeg's conversion of gray with alpha leaves lines out at times."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, kind).reshape(plane.height, -1)
    step = 2 if frame.format.name.startswith("ya") else 1  # alpha in between
    values = rows[:, : step * frame.width : step]
    return np.ascontiguousarray(values, np.uint8 if kind == "u1" else np.uint16)


def _gray_bits(path: str | Path) -> int:
    """Bits of a pixel of a gray PNG; 0 where it is another kind of file."""
    with Path(path).open("rb") as file:
        head = file.read(26)
    return head[24] if head[:8] == b"\x89PNG\r\n\x1a\n" and len(head) == 26 and head[25] == 0 else 0


def read_label_image(path: str | Path) -> dict[int, Array]:
    """{object id: (H, W) uint8 mask of 0 and 1} of a label image; PromptError when it holds none.

    A picture of black and white alone is one object, as in DAVIS 2016; in one of 8 bits, 255 beside other ids is void
    (DAVIS 2017).
    """
    if not Path(path).is_file():
        what = "a folder; needs one label image" if Path(path).is_dir() else "no such file"
        raise PromptError(f"--mask {path}: {what}")
    labels = read_labels(path)
    ids = [int(i) for i in np.unique(labels) if i]
    white = np.iinfo(labels.dtype).max
    if ids == [white]:
        return {1: (labels == white).astype(np.uint8)}
    if white == VOID:
        ids = [i for i in ids if i != VOID]
    if not ids:
        raise PromptError(f"--mask {path}: holds no object; needs a label image whose pixels are object ids")
    if len(ids) > 100:
        raise PromptError(f"--mask {path}: holds {len(ids)} ids; needs a label image (palette or gray PNG), no photo")
    if (edges := _edge_values(labels, ids)) >= SOFT_EDGES and 2 * edges > len(ids):
        raise PromptError(
            f"--mask {path}: holds {len(ids)} values, {edges} of them only in thin edges: a mask with smooth edges; "
            "needs a label image, each pixel an object id or 0, so cut it at a threshold first"
        )
    return {i: (labels == i).astype(np.uint8) for i in ids}


def _edge_values(labels: Array, ids: list[int]) -> int:
    """How many of the ids fill no 3x3 px anywhere."""
    import cv2  # only where there is a picture to judge

    block = np.ones((3, 3), np.uint8)
    inside = labels[cv2.erode(labels, block) == cv2.dilate(labels, block)]
    return len(set(ids) - set(np.unique(inside).tolist()))
