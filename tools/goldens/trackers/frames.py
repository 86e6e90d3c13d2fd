"""The frames that golden numbers of RAFT and TapNet were made from: `frames_NAME.npz` beside them."""

from __future__ import annotations

import re
from pathlib import Path

from stream.arrays import Array
from stream.errors import ConfigError
from tools.goldens.rows import Golden

STRIDE = 8  # px: `even` frames have sides of multiples of it, `odd` ones have not
NAMED = re.compile(r"f(\d+)x(\d+)")
SQUARE = "f256x256_sum_per_frame"


def frames_file(path: Path, folder: Path) -> Golden:
    """`frames_NAME.npz` of a golden file NETWORK_NAME.npz; ConfigError when it is not there."""
    file = folder / f"frames_{path.stem.partition('_')[2]}.npz"
    if not file.is_file():
        raise ConfigError(f"{path.name} needs the frames that it was made from, {file.name} in the same folder")
    return Golden(file)


def frames_of(path: Path, folder: Path, kind: str) -> Array:
    """(T, H, W, 3) uint8: the `even` or the `odd` frames."""
    golden = frames_file(path, folder)
    for name in golden:
        size = NAMED.fullmatch(name)
        if size and (all(int(n) % STRIDE == 0 for n in size.groups()) == (kind == "even")):
            return golden[name]
    raise ConfigError(f"{golden.path.name} has no {kind} frames (fHEIGHTxWIDTH)")


def square_frames_of(path: Path, folder: Path) -> Array:
    """(T, 256, 256, 3) uint8: the middle of the 256 px high clip, which lies in this folder or the one above."""
    sums = frames_file(path, folder)[SQUARE]
    name = path.stem.partition("_")[2]
    for file in (f for place in (folder, folder.parent) for f in sorted(place.glob(f"clip_{name}_*.npz"))):
        frames = Golden(file)["frames"]
        left = (frames.shape[2] - 256) // 2
        cut = frames[: len(sums), :, left : left + 256]
        if cut.shape[1:3] == (256, 256) and (cut.reshape(len(cut), -1).astype("int64").sum(axis=1) == sums).all():
            return cut
    raise ConfigError(f"{path.name} needs clip_{name}_*.npz of 256 rows, in {folder} or {folder.parent}, with its sums")
