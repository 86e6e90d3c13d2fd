"""The index of a folder of recordings: a plain file of JSON, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from stream.recordings.segments import INDEX, Index


def read_index(path: Path) -> Index | None:
    """The index in a folder; None where there is none, or none that can be read."""
    try:
        return msgspec.json.decode((path / INDEX).read_bytes(), type=Index)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def write_index(path: Path, index: Index) -> None:
    """Put the index there whole or not at all, on the disk itself."""
    part = path / f".{INDEX}.part"
    try:
        with part.open("wb") as file:
            file.write(msgspec.json.encode(index))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path / INDEX)
    except OSError:
        part.unlink(missing_ok=True)
        raise
