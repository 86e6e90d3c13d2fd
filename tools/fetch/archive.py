"""A .tar.gz in, the one file of weights in it out; nothing else of it is ever written."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path
from typing import IO

from tools.fetch.checking import BLOCK, FetchError
from tools.fetch.part import check_room, disk_errors, write_all

_DAMAGED = (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError)


class ArchiveError(FetchError):
    """The archive is damaged, or holds no such file."""


def unpack(archive: Path, name: str, target: Path) -> None:
    """Write the file of that name, in whatever folder of the archive it is, to `target`. Links are not followed."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.isfile() and member.name.rpartition("/")[2] == name:
                    source = tar.extractfile(member)
                    assert source is not None  # it is a file
                    check_room(target.parent, member.size)
                    _copy(source, target)
                    return
    except _DAMAGED as error:
        raise ArchiveError(f"an archive that can't be read ({error})") from None
    raise ArchiveError(f"an archive without {name}")


def _copy(source: IO[bytes], target: Path) -> None:
    with disk_errors(target):
        file = target.open("wb", buffering=0)
    with file:
        while block := source.read(BLOCK):
            with disk_errors(target):
                write_all(file, block)
