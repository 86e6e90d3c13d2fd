#!/usr/bin/env python3
"""A run of the demo scene in, the pictures of the README out: docs/demo.png and docs/demo.gif."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # tools run from any folder

if TYPE_CHECKING:  # loaded where they are needed, so that --help answers at once
    from stream.arrays import Array

FPS, SIZE = 10, (480, 270)  # of the animation, (width, height): a page that is read fetches it each time
BEGIN_S, LENGTH_S = 1.4, 6.0  # the star passes behind the planet, the rock leaves the frame, and both come back
COLOURS = 128  # of at most 256; each one more makes the file larger
LEVELS = 32  # of each channel, in which colours are counted and looked up
STILL_FRAME = 215  # all three objects are in sight, two of them after having been out of it


def record(video: Path, still: Path) -> None:
    """Play the demo scene as a live feed; its recording, and one frame of it as a PNG."""
    command = [sys.executable, str(ROOT / "run_stream.py"), "--config", "demo", "--realtime", "--no-dashboard"]
    outputs = ["--record", str(video), "--set", f"renderer.picture={still}"]
    subprocess.run([*command, *outputs, "--set", f"renderer.picture_frame={STILL_FRAME}"], check=True)


def animate(video: Path, gif: Path) -> int:
    """Turn a part of a recording into an animated GIF; the number of its frames."""
    frames = _sampled(video)
    write_gif(frames, gif)
    return len(frames)


def write_gif(frames: list[Array], gif: Path) -> None:
    """Write (H, W, 3) uint8 pictures, FPS of them a second, as an animated GIF with a palette of its own."""
    import av

    palette = _palette(frames)
    lookup = _nearest(palette)
    with av.open(str(gif), "w", format="gif") as container:
        stream = container.add_stream("gif", rate=FPS)
        (stream.height, stream.width), stream.pix_fmt = frames[0].shape[:2], "pal8"
        for i, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray((lookup[tuple((rgb // (256 // LEVELS)).T)].T, palette), format="pal8")
            frame.pts, frame.time_base = i, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _sampled(video: Path) -> list[Array]:
    """(H, W, 3) uint8 pictures of SIZE, FPS of them a second, from the part of the recording that is shown."""
    import av
    import cv2

    frames: list[Array] = []
    with av.open(str(video)) as recording:
        for frame in recording.decode(video=0):
            if frame.time >= BEGIN_S + len(frames) / FPS and len(frames) < LENGTH_S * FPS:
                frames.append(cv2.resize(frame.to_ndarray(format="rgb24"), SIZE, interpolation=cv2.INTER_AREA))
    if not frames:
        raise SystemExit(f"{video} is shorter than {BEGIN_S:g} s; needs {BEGIN_S + LENGTH_S:g} s")
    return frames


def _palette(frames: list[Array]) -> Array:
    """(256, 4) uint8, alpha first: the colours that fit all frames best, by k-means over the colours that occur.

    A colour counts by the fourth root of its pixels: nearly all of them are the dark sky, and what one looks at are
    the small bright outlines and labels.
    """
    import cv2
    import numpy as np

    step = 256 // LEVELS
    binned = np.concatenate([(rgb // step).reshape(-1, 3) for rgb in frames]).astype(np.int64)
    counts = np.bincount(binned @ (LEVELS * LEVELS, LEVELS, 1), minlength=LEVELS**3)
    occurring = np.flatnonzero(counts)
    colours = np.stack(np.unravel_index(occurring, (LEVELS,) * 3), axis=1) * step + step / 2
    weighted = np.repeat(colours, np.ceil(counts[occurring] ** 0.25).astype(int), axis=0).astype(np.float32)
    cv2.setRNGSeed(0)  # the same pictures give the same palette
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 50, 0.5)
    _, _, centres = cv2.kmeans(weighted, COLOURS, None, until, 1, cv2.KMEANS_PP_CENTERS)
    palette = np.full((256, 4), 255, np.uint8)
    palette[:COLOURS, 1:] = np.clip(np.rint(centres), 0, 255)
    return palette


def _nearest(palette: Array) -> Array:
    """(LEVELS, LEVELS, LEVELS) uint8: the place in the palette that is nearest to each colour."""
    import numpy as np

    step = 256 // LEVELS
    colours = np.stack(np.meshgrid(*[np.arange(LEVELS) * step + step / 2] * 3, indexing="ij"), axis=-1)
    apart = np.linalg.norm(colours[..., None, :] - palette[:COLOURS, 1:].astype(float), axis=-1)
    return np.asarray(apart.argmin(axis=-1), np.uint8)


def main(argv: list[str] | None = None) -> int:
    """Make the pictures; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs", help="where the pictures go (default: docs/)")
    parser.add_argument("--video", type=Path, help="a recording to take the animation from, instead of a run")
    args = parser.parse_args(argv)
    gif = args.folder / "demo.gif"
    with tempfile.TemporaryDirectory() as scratch:
        video = args.video or Path(scratch) / "demo.mp4"
        if args.video is None:
            record(video, args.folder / "demo.png")
        frames = animate(video, gif)
    print(f"{gif}: {frames} frames, {gif.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
