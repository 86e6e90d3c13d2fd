"""Clips in files, small and drawn by code; and what a source makes of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from nodes.capture.source import Picture, Source, SourceInfo
from nodes.capture.sources import make_source
from stream.arrays import Array
from stream.errors import SourceError
from stream.settings.config import Capture


def shade(index: int, size: tuple[int, int] = (64, 96)) -> Array:
    """(H, W, 3): a flat picture whose grey level names its index."""
    return np.full((*size, 3), 8 * index % 256, np.uint8)


def write_clip(
    path: Path, frames: int = 12, fps: int = 25, title: str = "", pixel_aspect: Fraction = Fraction(1), **options: str
) -> Path:
    """An H.264 video of noisy `shade` pictures; noisy, so that no frame is so small that cutting misses it."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update({"title": title} if title else {})
        stream = container.add_stream("libx264", rate=fps, options={"g": "4", "bf": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = pixel_aspect
        for index in range(frames):
            noisy = shade(index).astype(int) + rng.integers(0, 60, (64, 96, 1))
            frame = av.VideoFrame.from_ndarray(np.clip(noisy, 0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_times(path: Path, times_ms: list[int]) -> Path:
    """A video (mkv) of `shade` pictures, each complete in itself, with these presentation times."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        frames = [av.VideoFrame.from_ndarray(shade(i), format="rgb24") for i in range(len(times_ms))]
        packets = [packet for frame in [*frames, None] for packet in stream.encode(frame)]
        for i, (packet, at_ms) in enumerate(zip(packets, times_ms, strict=True)):
            packet.time_base, packet.pts, packet.dts = Fraction(1, 1000), at_ms, i - 1000
            container.mux(packet)
    return path


def write_sound(path: Path) -> Path:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 8000, Fraction(1, 8000), 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_all(source: Source) -> tuple[SourceInfo, list[Picture]]:
    opened = source.open()
    pictures = list(iter(source.read, None))
    source.close()
    source.close()
    return opened, pictures


def complaint(source: object, **config: object) -> str:
    """The error when this source is opened."""
    with pytest.raises(SourceError) as caught:
        read_all(make_source(Capture(source=str(source), **config)))  # type: ignore[arg-type]
    assert caught.value.exit_code == 3
    assert caught.value.__cause__ is None
    return str(caught.value)


def levels(pictures: list[Picture]) -> list[int]:
    """The index that each `shade` picture was drawn with, as far as compression shows it."""
    return [round((float(p.rgb.mean()) - 29.5) / 8) for p in pictures]
