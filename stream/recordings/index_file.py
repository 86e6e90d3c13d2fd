"""The index of a camera's recordings: a plain file of JSON, written whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from stream.recordings.segments import INDEX, Index
from stream.settings.config import Config
from stream.settings.recordings import camera_folder
from stream.state.files import check_file_version, write_whole
from stream.state.folder import VERSIONS, camera_state, recordings_file


@dataclass(frozen=True)
class IndexedFolder:
    """The recordings of a camera, and the index of them."""

    folder: Path
    index: Path


class _Version(msgspec.Struct):
    recordings: int = 1


def index_file(config: Config) -> Path:
    """Where the index of a camera's recordings is: in the state folder where there is one, else beside them."""
    folder = camera_state(config)
    return camera_folder(config) / INDEX if folder is None else recordings_file(folder)


def indexed_folder(config: Config) -> IndexedFolder:
    """Where the recordings of a camera are."""
    return IndexedFolder(camera_folder(config), index_file(config))


def check_index(file: Path) -> None:
    """Refuse an index that a newer version has written; ConfigError."""
    check_file_version(file, "recordings", VERSIONS["recordings"])


def read_index(file: Path) -> Index | None:
    """The index in a file; None where there is none, or none that can be read, as one of a newer version."""
    try:
        contents = file.read_bytes()
        if msgspec.json.decode(contents, type=_Version).recordings > VERSIONS["recordings"]:
            return None
        return msgspec.json.decode(contents, type=Index)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def write_index(file: Path, index: Index) -> None:
    """Put the index there whole or not at all, on the disk itself."""
    write_whole(file, msgspec.json.encode(index))
