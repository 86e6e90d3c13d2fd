"""What it costs to copy a camera's packets into a recording: CPU time with it and without it, at the camera's rate."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from nodes.renderer.encoding import TICKS, PictureConverter, add_h264_stream
from stream.errors import StreamError
from stream.recordings.packet_tap import PacketTap
from stream.recordings.recorder import make_recorder
from stream.settings.config import parse_size
from stream.settings.presets import load
from tools.bench.rows import Row, row

TARGET = 5.0  # % of a core
KEY_S = 2  # between two key frames, as cameras are set
CLIP_S = 4  # that are drawn, and come again and again
GRAIN = 8  # px of the noise, whose encoding takes its time
SEGMENT_S = 5.0  # so that rotation is in it
MOST_MB = 20.0  # so that deletion is, too
BYTES_PER_MBIT = 1e6 / 8


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py record`."""
    with tempfile.TemporaryDirectory(prefix="spl-bench-") as folder:
        clip = Path(folder) / "clip.mp4"
        frames = round(options.seconds * options.fps)
        draw_clip(clip, options.size, options.fps, round(CLIP_S * options.fps), options.mbit)
        rate = clip.stat().st_size / BYTES_PER_MBIT / CLIP_S
        alone, recorded, files = [], [], []
        for i in range(options.repeat):
            alone.append(_cpu_share(clip, options.fps, frames))
            record = f"{folder}/{i}/"
            config = load("rtsp", {"renderer.record": record, "recording.segment_s": SEGMENT_S,
                                   "recording.max_mb": MOST_MB, "recording.keep_free_mb": 0})  # fmt: skip
            recorder = make_recorder(config)
            recorded.append(_cpu_share(clip, options.fps, frames, PacketTap(recorder), recorder.close))
            if recorder.written < frames or recorder.dropped:
                raise StreamError(f"{recorder.written} of {frames} pictures were recorded; the disk is too slow")
            files.append(recorder.state().files)
    part = f"{options.size} {options.fps:g} frames/s"
    cost = [b - a for a, b in zip(alone, recorded, strict=True)]
    return [
        row(part, "rate of the camera", "Mbit/s", [rate]),
        row(part, "reading alone", "% of a core", alone),
        row(part, "reading and recording", "% of a core", recorded),
        row(part, "recording", "% of a core", cost, at_most=TARGET),
        row(part, "segments", "files", files),
    ]


def _cpu_share(clip: Path, fps: float, frames: int, tap: PacketTap | None = None, close: Any = None) -> float:
    """CPU time of reading a clip at its own rate and giving its packets to `tap`, % of a core."""
    began_s, cpu_s = time.monotonic(), time.process_time()
    for i, packet in enumerate(islice(_packets(clip, fps), frames)):
        if tap is not None:
            if i == 0:
                tap.open(packet.stream, fps)
            tap.take(packet)
        time.sleep(max(0.0, began_s + (i + 1) / fps - time.monotonic()))
    if close is not None:
        close()
    return 100 * (time.process_time() - cpu_s) / (time.monotonic() - began_s)


def _packets(clip: Path, fps: float) -> Iterator[Any]:
    """The packets of a clip, again and again, with times that go on."""
    begin = 0
    while True:
        with av.open(str(clip)) as container:
            length = 0
            for packet in container.demux(video=0):
                if packet.size:
                    tick = round(1 / fps / packet.time_base)
                    packet.pts, packet.dts = begin + packet.pts, begin + packet.dts
                    length += tick
                    yield packet
            begin += length


def draw_clip(path: Path, size: str, fps: float, frames: int, mbit: float) -> None:
    """A clip that moves all over, encoded at about so many Mbit/s."""
    height, width = parse_size(size)
    grains = np.random.default_rng(1).integers(0, 255, (-(-height // GRAIN), -(-width // GRAIN), 3), np.uint8)
    noise = grains.repeat(GRAIN, axis=0).repeat(GRAIN, axis=1)[:height, :width]
    converter = PictureConverter()
    with av.open(str(path), "w") as container:
        stream = add_h264_stream(container, (height, width), Fraction(1), round(TICKS / fps))
        kbit = round(1000 * mbit)
        stream.options = {"preset": "ultrafast", "x264-params": f"bitrate={kbit}:vbv-maxrate={kbit}:vbv-bufsize={kbit}"}
        stream.codec_context.gop_size = round(KEY_S * fps)
        for i in range(frames):
            rgb = np.roll(noise, (i, 2 * i), (0, 1))
            for packet in stream.encode(converter.to_frame(rgb, round(i * TICKS / fps))):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
