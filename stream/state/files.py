"""Plain files that outlive a run: written whole or not at all, and refused where a newer version has written them."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from stream.errors import ConfigError


def write_whole(path: Path, contents: bytes, *, keep_last: bool = False) -> None:
    """Write a file to the disk itself: after a power cut the old one or the new one is there. OSError.

    `keep_last`: the old one stays as `NAME.last`, for when a power cut spoils the newest all the same.
    """
    part = beside(path, ".part")
    try:
        with part.open("wb") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        if keep_last:
            with contextlib.suppress(FileNotFoundError):
                path.replace(beside(path, ".last"))
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def beside(path: Path, suffix: str) -> Path:
    """The file of that name and this suffix."""
    return path.with_name(path.name + suffix)


def check_version(path: Path, contents: bytes, kind: str, ours: int) -> None:
    """Refuse JSON whose key `kind` holds a newer version than `ours`; ConfigError. Others judge broken files."""
    try:
        plain = json.loads(contents)
    except (ValueError, RecursionError):
        return
    version = plain.get(kind) if isinstance(plain, dict) else None
    if isinstance(version, int) and version > ours:
        raise ConfigError(
            f"{path}: {kind} of version {version}, which a newer version of this program has written; this one reads "
            f"up to version {ours}. Run the newer one, or give this one another place (--state, supervisor.journal)"
        )


def check_file_version(path: Path, kind: str, ours: int) -> None:
    """The same for a file, which need not be there; ConfigError also where it can't be read."""
    try:
        contents = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{path}: can't be read ({error.strerror}); give this user the right to") from None
    check_version(path, contents, kind, ours)
