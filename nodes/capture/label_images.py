"""A label image file (a DAVIS annotation, a mask of --mask) in, a mask per object id out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stream.arrays import Array
from stream.errors import PromptError

LOSSY = ("mjpeg", "webp")  # FFmpeg's names
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
    if name in ("gray", "monob", "monow"):
        return np.ascontiguousarray(frame.reformat(format="gray").to_ndarray())
    if name.startswith("gray16"):
        return np.ascontiguousarray(frame.reformat(format="gray16le").to_ndarray())
    raise PromptError(f"--mask {path}: a {name} picture; needs a label image: a palette or gray PNG, pixel = object id")


def read_label_image(path: str | Path) -> dict[int, Array]:
    """{object id: (H, W) uint8 mask of 0 and 1} of a label image; PromptError when it holds none.

    A picture that holds 0 and 255 alone is one object, as in DAVIS 2016; 255 beside other ids is void (DAVIS 2017).
    """
    if not Path(path).is_file():
        raise PromptError(f"--mask {path}: no such file")
    labels = read_labels(path)
    ids = [int(i) for i in np.unique(labels) if i]
    if ids == [255]:
        return {1: (labels == 255).astype(np.uint8)}
    ids = [i for i in ids if i != 255]
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
