"""From a name to a checked file in its place: addresses in turn, the transfer, the archive, the check."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from stream.errors import CheckpointError
from stream.settings.addresses import redact
from stream.weights.published import Checkpoint
from tools.fetch.archive import ArchiveError, unpack
from tools.fetch.checking import GZIP_START, FetchError, check
from tools.fetch.part import Part, locked
from tools.fetch.progress import Progress
from tools.fetch.transfer import Transfer


def fetch(
    checkpoint: Checkpoint,
    folder: Path,
    progress: Progress,
    url: str = "",
    sleep: Callable[[float], object] = time.sleep,
) -> str:
    """Have the checkpoint in `folder`, from `url` if given; the answer says what its check found.

    CheckpointError: no address gives it. FetchError: broke off, or what came is wrong.
    """
    target = folder / checkpoint.file
    if target.is_file():
        return f"there already, {check_there(target, checkpoint)}"
    with locked(target):
        if target.is_file():  # fetched by another process a moment ago
            return f"there already, {check_there(target, checkpoint)}"
        part = Part(target)
        address = _bring(checkpoint, part, progress, (url,) if url else checkpoint.urls, sleep)
        progress.note("checking it")
        return _place(checkpoint, part, address)


def check_there(file: Path, checkpoint: Checkpoint) -> str:
    """What the check of a file in its place says; FetchError if it is wrong. It stays: it may be the user's own."""
    try:
        finding = check(file, checkpoint)
    except OSError as error:
        raise FetchError(f"{file} can't be read ({error.strerror})") from None
    if not finding.right:
        raise FetchError(f"{file}: {finding.words}; move it away and fetch it anew")
    return finding.words


def how_to_place(checkpoint: Checkpoint, folder: Path) -> str:
    """What to do by hand where no connection may be opened."""
    target = folder / checkpoint.file
    return (
        f"{checkpoint.name}: {target}: not there, and --offline opens no connection; "
        f"bring {checkpoint.urls[0]} from elsewhere, save it under that name, "
        f"then `python tools/fetch_weights.py verify {checkpoint.name}`"
    )


def _bring(
    checkpoint: Checkpoint, part: Part, progress: Progress, urls: tuple[str, ...], sleep: Callable[[float], object]
) -> str:
    """Fill `part` from the first address that gives the file; the answer is that address."""
    failures: list[str] = []
    for url in urls:
        progress.note(f"fetching {redact(url)}")
        try:
            Transfer(url, part, checkpoint, progress, sleep).run()
            return url
        except CheckpointError as error:
            failures.append(str(error))
            if url != urls[-1]:
                progress.note(f"{error}; trying the next address")
    raise CheckpointError("; ".join(dict.fromkeys(failures)))


def _place(checkpoint: Checkpoint, part: Part, url: str) -> str:
    """Unpack what came if it is an archive, check it, and put it in its place; the answer says what was found."""
    came = part.path
    with came.open("rb") as file:
        packed = file.read(len(GZIP_START)) == GZIP_START
    if packed:
        unpacked = part.target.with_name(part.target.name + ".unpacked")
        try:
            unpack(came, checkpoint.published_as or checkpoint.file, unpacked)
        except ArchiveError as error:
            unpacked.unlink(missing_ok=True)
            raise _wrong(url, str(error), part, came) from None
        except BaseException:  # a full disk: the archive stays, to be unpacked when there is room
            unpacked.unlink(missing_ok=True)
            raise
        came = unpacked
    finding = check(came, checkpoint)
    if not finding.right:
        raise _wrong(url, finding.words, part, came)
    part.finish(came)
    return finding.words


def _wrong(url: str, what: str, part: Part, file: Path) -> FetchError:
    """Set the file aside; the error to raise."""
    return FetchError(
        f"what came from {redact(url)} is {what}; it is kept as {part.set_aside(file).name}, which nothing loads"
    )
