#!/usr/bin/env python3
"""Write drawn clips as a data set: frames and true masks, laid out as DAVIS, for `tools/evaluate.py vos --root DIR`.

python tools/draw_clips.py --out drawn                     ten clips of 60 frames that no weights were fitted to
python tools/evaluate.py vos --root drawn --json vos.json  J, F, and how far states can be trusted, on them
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder

import cv2
import numpy as np

from nodes.renderer.sinks import label_png
from stream.arrays import Array
from stream.settings.config import parse_size
from tools.clips.clip import draw_clip
from tools.fitting.roll_outs import FIRST_UNSEEN_SEED, MIN_START_PX
from tools.report_command import exit_code_of, require_least

QUALITY = 95  # of the JPEG files: the clips have been through a codec already


def write_clip(seed: int, folder: Path, size: tuple[int, int], frames: int) -> int:
    """A clip with the objects that its first frame shows; how many those are."""
    clip = draw_clip(seed, size, frames)
    ids = [int(i) for i in np.unique(clip.labels[0]) if i and np.count_nonzero(clip.labels[0] == i) >= MIN_START_PX]
    if not ids:
        return 0
    pictures, annotations = (folder / kind / "480p" / f"drawn-{seed}" for kind in ("JPEGImages", "Annotations"))
    for path in (pictures, annotations):
        path.mkdir(parents=True, exist_ok=True)
    for t, (rgb, labels) in enumerate(zip(clip.frames, clip.labels, strict=True)):
        cv2.imwrite(str(pictures / f"{t:05}.jpg"), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        shown: Array = np.where(np.isin(labels, ids), labels, 0).astype(np.uint8)
        (annotations / f"{t:05}.png").write_bytes(label_png(shown))
    return len(ids)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the data set's folder")
    parser.add_argument("--clips", type=int, default=10, metavar="N", help="how many (10)")
    parser.add_argument("--frames", type=int, default=60, metavar="N", help="of each (60)")
    parser.add_argument("--size", default="854x480", metavar="WxH", help="px (854x480)")
    parser.add_argument(
        "--seed", type=int, default=FIRST_UNSEEN_SEED, metavar="N", help=f"of the first ({FIRST_UNSEEN_SEED})"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes (2)")
    options = parser.parse_args(argv)

    def act() -> int:
        require_least(1, clips=options.clips, frames=options.frames, jobs=options.jobs)
        require_least(0, seed=options.seed)
        size, seeds = parse_size(options.size), range(options.seed, options.seed + options.clips)
        task = partial(write_clip, folder=options.out, size=size, frames=options.frames)
        with ProcessPoolExecutor(options.jobs) as pool:
            for seed, objects in zip(seeds, pool.map(task, seeds), strict=True):
                print(f"drawn-{seed}: {objects} objects" if objects else f"seed {seed}: nothing to follow, left out")
        return 0

    return exit_code_of("draw_clips", act)


if __name__ == "__main__":
    sys.exit(main())
