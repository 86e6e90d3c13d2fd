"""The lines of masks beside a recording in, label images as `evaluate.py score` reads them out."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from stream.arrays import Array
from stream.errors import ConfigError, MessageError
from stream.messages import Stamp
from stream.recordings.mask_lines import MaskLine, frame_indices, read_lines
from stream.recordings.segments import MASKS


def find_lines(results: Path, sequence: str) -> Path | None:
    """The file of lines that holds a sequence: `results` itself, or the one of that name in it; None without one."""
    if results.is_file():
        return results
    file = results / (sequence + MASKS)
    return file if file.is_file() else None


def unpack_lines(path: Path, stems: Sequence[str]) -> list[Path]:
    """A label image for each frame, in a folder that goes with the process; a frame without a line has no mask."""
    lines = frame_indices(read_lines(path))
    if not lines:
        raise ConfigError(f"{path}: holds no line of masks")
    folder = Path(tempfile.mkdtemp(prefix="mask-lines-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    first = next(iter(lines.values()))
    files = []
    for index, stem in enumerate(stems):
        files.append(folder / f"{stem}.png")
        labels = _labels(path, lines.get(index), (first.height, first.width))
        cv2.imwrite(str(files[-1]), labels)
    return files


def _labels(path: Path, line: MaskLine | None, size: tuple[int, int]) -> Array:
    """(H, W) label image of a line."""
    if line is None:
        return np.zeros(size, np.uint8)
    stamp = Stamp(camera="", session=0, frame_id=line.frame_id, captured_ns=0, captured_unix_ns=0)
    try:
        return line.masks(stamp).label_image()
    except MessageError as error:
        raise ConfigError(f"{path}: frame {line.frame_id}: {error}") from None
