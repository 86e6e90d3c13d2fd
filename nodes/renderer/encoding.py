"""How pictures are encoded: an H.264 stream set up for a feed of any rate, and what fits a picture into it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace, VideoReformatter

from stream.arrays import Array

TICKS = 90_000  # a second in the file's own time
KEY_S = 2  # between two key frames
BT709 = 1  # the number of this colour space in H.264


def add_h264_stream(container: Any, size: tuple[int, int], pixel_aspect: Fraction, nominal_ticks: int) -> Any:
    """An H.264 stream of (height, width), both even, in `container`; key frames are for whoever encodes to choose."""
    stream = container.add_stream("libx264", rate=Fraction(TICKS, nominal_ticks))
    stream.height, stream.width = size
    stream.pix_fmt = "yuv420p"
    stream.time_base = Fraction(1, TICKS)
    encoder = stream.codec_context
    encoder.sample_aspect_ratio = pixel_aspect
    encoder.time_base = Fraction(1, TICKS)
    encoder.max_b_frames = 0  # a frame leaves the encoder in the order and soon after it came
    encoder.gop_size = 1 << 20  # key frames by time: a slow feed would wait long for a count
    encoder.thread_count = 2
    encoder.colorspace = encoder.color_primaries = encoder.color_trc = BT709
    stream.options = {"crf": "20", "preset": "veryfast", "rc-lookahead": "8", "forced-idr": "1"}
    return stream


def even_size(rgb: Array) -> tuple[int, int]:
    """(height, width) of a picture, made even: yuv420p has one colour for 2x2 px."""
    height, width = rgb.shape[:2]
    return height + height % 2, width + width % 2


def with_even_edges(rgb: Array) -> Array:
    """The picture with an odd edge doubled."""
    height, width = rgb.shape[:2]
    if height % 2 or width % 2:
        return np.asarray(cv2.copyMakeBorder(rgb, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE))
    return np.ascontiguousarray(rgb)


class PictureConverter:
    """Pictures into frames for one encoder."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()  # one for all frames: each would start threads of its own

    def to_frame(self, rgb: Array, tick: int) -> Any:
        """A frame of a picture of the stream's size, shown at `tick`."""
        frame: Any = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame = self._reformatter.reformat(frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, threads=1)
        frame.pts, frame.time_base = tick, Fraction(1, TICKS)
        return frame
