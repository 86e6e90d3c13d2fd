"""Files on their way: one process at a time writes them; full disks and damaged archives become one sentence each."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from stream.errors import StreamError
from stream.weights.published import PART, readable

GZIP_START = b"\x1f\x8b"
SPARE = 64 << 20  # bytes that stay free on the disk
ELSEWHERE = "--folder DIR or $TORCH_HOME gives another folder"


class FetchError(StreamError):
    """A fetch broke off, or brought something else than the published file."""


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Make the folder, and let nobody else fetch the same file meanwhile. The lock ends with the process."""
    path = target.with_name(target.name + ".lock")
    with explained(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(file.fileno()).st_nlink:  # unlinked since it was opened: it excludes nobody
                raise BlockingIOError
        except BlockingIOError:
            pid = (path.exists() and path.read_text()) or "another"
            raise FetchError(f"{target.name}: it is being fetched already (process {pid}); wait for that") from None
        try:
            with explained(path):
                path.write_text(str(os.getpid()))
            yield
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the disk complains of into a FetchError, which says what becomes of the bytes that came."""
    try:
        yield
    except OSError as error:
        what = ": the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else " can't be written"
        rest = f"; the {readable(path.stat().st_size)} that came are kept" if path.name.endswith(PART) else ""
        raise FetchError(f"{path}{what} ({error.strerror}){rest}; {ELSEWHERE}") from None


def check_room(folder: Path, size: int) -> None:
    """FetchError where the disk has no room for so many bytes more."""
    if (free := shutil.disk_usage(folder).free) < size + SPARE:
        needs = f"{readable(size)} are still to come and {readable(SPARE)} stay in reserve"
        raise FetchError(f"{folder}: no room on the disk: {needs}, but {readable(free)} are free; {ELSEWHERE}")


def write(path: Path, blocks: Iterable[bytes], *, append: bool = False) -> Iterator[int]:
    """Write blocks to a file; yields its size after each. Unbuffered: what is counted is written."""
    with explained(path), path.open("ab" if append else "wb", buffering=0) as file:
        for block in blocks:
            view = memoryview(block)
            while view:  # an unbuffered file may take less at a time
                view = view[os.write(file.fileno(), view) :]
            yield file.tell()


def unpack(archive: Path, name: str, target: Path) -> str:
    """Write the file of that name, in whatever folder of a .tar.gz, to `target`; the answer: what is wrong, or ""."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            member = next((m for m in tar if m.isfile() and Path(m.name).name == name), None)
            if member is None or (source := tar.extractfile(member)) is None:
                return f"an archive without {name}"
            check_room(target.parent, member.size)
            for _ in write(target, iter(lambda: source.read(1 << 20), b"")):
                pass
    except (tarfile.TarError, zlib.error, EOFError) as error:
        return f"an archive that can't be read ({error})"
    return ""
