"""A file on its way: what came so far beside the place it will have, who may add to it, and whether there is room."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from stream.weights.published import PART, readable
from tools.fetch.checking import FetchError

SPARE = 64 << 20  # bytes that stay free on the disk
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Origin:
    """What the bytes that came so far are part of."""

    url: str
    validator: str = ""  # strong ETag or date of the file: another one is another file
    total: int = 0  # bytes; 0: the server did not say


class Part:
    """`NAME.part`, which grows, and `NAME.part.json`, which says what of."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + PART)
        self._note = self.path.with_name(self.path.name + ".json")
        self._file: BinaryIO | None = None

    @property
    def size(self) -> int:
        """Bytes that came so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def origin(self) -> Origin | None:
        """What they are part of; None where there are none, or where that is not known."""
        if not self.size:
            return None
        try:
            return Origin(**json.loads(self._note.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def begin(self, origin: Origin, anew: bool) -> None:
        """Open it to be written on, from the start where `anew`."""
        self.close()
        with disk_errors(self.path):
            self._file = self.path.open("wb" if anew else "ab", buffering=0)  # unbuffered: what is counted is written
            self._note.write_text(json.dumps(asdict(origin)))

    def write(self, block: bytes) -> None:
        """Add to it; FetchError if the disk is full."""
        assert self._file is not None
        with disk_errors(self.path):
            write_all(self._file, block)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def finish(self, file: Path) -> None:
        """Put `file`, which has been checked, in the target's place, at once and whole; forget the rest."""
        with disk_errors(file):
            with file.open("rb+") as written:
                os.fsync(written.fileno())
            file.replace(self.target)
        self.discard()

    def set_aside(self, file: Path) -> Path:
        """Keep a wrong file under another name, so that it is neither loaded nor continued; the answer is the name."""
        bad = self.target.with_name(self.target.name + ".bad")
        file.replace(bad)
        self.discard()
        return bad

    def discard(self) -> None:
        """Forget what came."""
        self.close()
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def write_all(file: BinaryIO, block: bytes) -> None:
    """Write to an unbuffered file, which may take less at a time."""
    view = memoryview(block)
    while view:
        view = view[os.write(file.fileno(), view) :]


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Tell what the disk complains of, and what becomes of the bytes that came."""
    try:
        yield
    except OSError as error:
        kept = f"; the {readable(path.stat().st_size)} that came are kept" if path.name.endswith(PART) else ""
        if error.errno in _FULL:
            raise FetchError(
                f"{path}: the disk is full ({error.strerror}){kept}; "
                "make room and start it again, or give another folder by --folder DIR or $TORCH_HOME"
            ) from None
        raise FetchError(f"{path} can't be written ({error.strerror or error}){kept}") from None


def check_room(folder: Path, size: int) -> None:
    """FetchError where the disk has no room for so many bytes more."""
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise FetchError(
            f"{folder}: no room on the disk: {readable(size)} are still to come and {readable(SPARE)} stay in reserve, "
            f"but {readable(free)} are free; make room, or give another folder by --folder DIR or $TORCH_HOME"
        )


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Make the folder, and let nobody else fetch the same file meanwhile. The lock goes with the process."""
    path = target.with_name(target.name + ".lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise FetchError(
            f"{target.parent} can't be written ({error.strerror or error}); "
            "--folder DIR or $TORCH_HOME gives another folder"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = path.exists() and os.path.samestat(
                os.fstat(file.fileno()), path.stat()
            )  # not just let go by another
        except BlockingIOError:
            mine = False
        if not mine:
            file.seek(0)
            pid = file.read().strip() or "another"
            raise FetchError(f"{target.name}: it is being fetched already (process {pid}); wait for that")
        with contextlib.suppress(OSError):  # a full disk: the number is but a courtesy
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
