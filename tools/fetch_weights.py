#!/usr/bin/env python3
"""Fetch published weights: names in; checked files in the cache of torch hub, where the presets look for them, out.

python tools/fetch_weights.py list                    what there is, how large, what is here
python tools/fetch_weights.py pips sam_vit_b          fetch; what broke off goes on where it was
python tools/fetch_weights.py verify                  check what is here against the published sums
python tools/fetch_weights.py --offline pips          open no connection: check, or say what to put where
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TimeRemainingColumn, TransferSpeedColumn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder

from stream.errors import CheckpointError, ConfigError, StreamError
from stream.settings.secrets import redact
from stream.weights import verifying
from stream.weights.published import PART, PUBLISHED, Checkpoint, folder, published, readable
from tools.fetch.disk import GZIP_START, FetchError, explained, locked, unpack

COMMANDS = ("list", "get", "verify")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ConfigError(f"{message}; `python tools/fetch_weights.py --help` shows what is known")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the answer is its exit code.

    0: done; 1: a fetch broke off, or a file is wrong; 2: bad arguments; 3: a file is not there and can't be had.
    """
    try:
        args = parse(argv)
        where = args.folder or folder()
        if args.command == "list":
            print("\n".join(table(where)))
            return 0
        rows = [published(name) for name in dict.fromkeys(args.names)]
        return verify(rows, where) if args.command == "verify" else get(rows, where, args.url, args.offline)
    except StreamError as error:
        return _tell(error)
    except KeyboardInterrupt:
        print("fetch_weights: stopped; what came is kept, the same command goes on from there", file=sys.stderr)
        return 1


def _tell(error: StreamError) -> int:
    print(f"fetch_weights: error: {error}", file=sys.stderr)
    return error.exit_code


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments as `command`, `names` and options; ConfigError says what is wrong with them."""
    p = _Parser(
        prog="fetch_weights.py",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
        epilog="names: " + ", ".join(PUBLISHED),
    )
    p.add_argument("words", nargs="*", metavar="list | verify [NAME ...] | [get] NAME ...", help="default: list")
    p.add_argument("--offline", action="store_true", help="open no connection; say what is missing and where to put it")
    p.add_argument("--url", default="", help="fetch the one NAME from here; the file is checked all the same")
    p.add_argument("--folder", type=Path, metavar="DIR", help=f"where the files are (default: {folder()})")
    args = p.parse_intermixed_args(argv)  # options may stand among the names
    words: list[str] = args.words or ["list"]
    args.command = words[0] if words[0] in COMMANDS else "get"
    args.names = words[1:] if words[0] in COMMANDS else words
    if args.folder:
        args.folder = args.folder.expanduser()
    if args.command == "list" and args.names:
        raise ConfigError(f"list takes no names, and got {' '.join(args.names)}")
    if args.command == "get" and not args.names:
        raise ConfigError(f"get: which one? known: {', '.join(PUBLISHED)}")
    if args.url:
        _check_url(args)
    return args


def _check_url(args: argparse.Namespace) -> None:
    if args.command != "get" or len(args.names) != 1:
        raise ConfigError("--url goes with one NAME to get")
    if args.offline:
        raise ConfigError("--url and --offline contradict each other; give one of them")
    try:
        parts = urlsplit(args.url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:  # a port that is no number, half an IPv6 address
        good = False
    if not good or not args.url.isascii() or " " in args.url or not args.url.isprintable():
        raise ConfigError(
            f"--url {args.url}: needs http://HOST/FILE or https://HOST/FILE; "
            "a file of one's own is given to a run by --set SECTION.checkpoint=FILE instead"
        )


def table(where: Path) -> list[str]:
    """The lines of `list`."""
    rows = [("name", "size", "licence", "state", "file")]
    rows += [
        (c.name, readable(c.size), f"{c.licence} ({c.terms})" if c.terms else c.licence, state(c, where), c.file)
        for c in PUBLISHED.values()
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, f"folder: {where}"]


def state(checkpoint: Checkpoint, where: Path) -> str:
    """Whether a file is there, without reading it."""
    path = where / checkpoint.file
    part = path.with_name(path.name + PART)
    if path.is_file():
        size = path.stat().st_size
        return "there" if size == checkpoint.size or not checkpoint.size else f"there, but {readable(size)}: verify it"
    return f"partial: {readable(part.stat().st_size)}" if part.is_file() else "not there"


def verify(rows: list[Checkpoint], where: Path) -> int:
    """Check the files of `rows`, or all that are there; the exit code is that of the first that is wrong or missing."""
    there = rows or [c for c in PUBLISHED.values() if (where / c.file).is_file()]
    if not there:
        print(f"nothing to verify in {where}")
    return _each(there, where, _verified)


def get(rows: list[Checkpoint], where: Path, url: str, offline: bool) -> int:
    """Fetch `rows` one after the other; the exit code is that of the first that failed."""
    return _each(rows, where, _at_hand if offline else lambda checkpoint, where: _fetched(checkpoint, where, url))


def _each(rows: list[Checkpoint], where: Path, act: Callable[[Checkpoint, Path], str]) -> int:
    """Print what `act` says of each; one failure does not keep it from the others."""
    code = 0
    for c in rows:
        try:
            print(f"{c.name}: {act(c, where)}: {where / c.file}", flush=True)
        except StreamError as error:
            code = code or error.exit_code
            _tell(error)
    return code


def _verified(checkpoint: Checkpoint, where: Path) -> str:
    file = where / checkpoint.file
    if not file.is_file():
        raise CheckpointError(f"{file}: not there; `python tools/fetch_weights.py {checkpoint.name}` gets it")
    return check_there(file, checkpoint)


def _at_hand(checkpoint: Checkpoint, where: Path) -> str:
    """What --offline says of it: the check of what is there, or what to do by hand."""
    file = where / checkpoint.file
    if not file.is_file():
        raise CheckpointError(
            f"{checkpoint.name}: {file}: not there, and --offline opens no connection; bring {checkpoint.urls[0]} from "
            f"elsewhere, save it under that name, then `python tools/fetch_weights.py verify {checkpoint.name}`"
        )
    return f"there already, {check_there(file, checkpoint)}"


def _fetched(checkpoint: Checkpoint, where: Path, url: str) -> str:
    if checkpoint.terms:
        print(f"{checkpoint.name}: {checkpoint.licence}: {checkpoint.terms}", file=sys.stderr)
    with FetchProgress(checkpoint.name) as progress:
        return fetch(checkpoint, where, progress, url)


class FetchProgress(Progress):
    """rich's bar on a terminal; elsewhere, where rich is silent until the end, a line for each tenth of the file."""

    def __init__(self, name: str, out: TextIO | None = None) -> None:
        console = Console(file=out or sys.stderr, markup=False, highlight=False, soft_wrap=True)
        size = DownloadColumn(binary_units=True)
        columns = ("{task.description}", BarColumn(), size, TransferSpeedColumn(), TimeRemainingColumn())
        super().__init__(*columns, console=console, disable=not console.is_terminal)
        self.add_task(name, total=None)
        self._next_line = 0.0  # bytes

    def update(self, task_id: TaskID, *, total: float | None = None, completed: float | None = None, **_: Any) -> None:
        """So many bytes are there, of so many (None: unknown)."""
        super().update(task_id, total=total, completed=completed)
        done, whole = int(completed or 0), int(total or 0)
        if self.disable and (done >= self._next_line or done == whole):
            self._next_line = done + (whole / 10 or 64 << 20)
            share = f" of {readable(whole)} ({100 * done // whole} %)" if whole else ""
            self.console.print(f"{self.tasks[0].description}: {readable(done)}{share}")


def fetch(
    checkpoint: Checkpoint, where: Path, bar: Progress, url: str = "", sleep: Callable[[float], object] = time.sleep
) -> str:
    """Have the checkpoint in `where`, from `url` if given; the answer says what its check found.

    CheckpointError: no address gives it. FetchError: broke off, or what came is wrong.
    """
    target = where / checkpoint.file
    if not target.is_file():
        with locked(target):
            if not target.is_file():  # another process may have fetched it a moment ago
                return _bring(checkpoint, target, bar, (url,) if url else checkpoint.urls, sleep)
    return f"there already, {check_there(target, checkpoint)}"


def check_there(file: Path, checkpoint: Checkpoint) -> str:
    """What the check of a file in its place says; FetchError if it is wrong. It stays: it may be the user's own."""
    try:
        verdict = verifying.verify(file, checkpoint)
    except OSError as error:
        raise FetchError(f"{file} can't be read ({error.strerror})") from None
    if not verdict.right:
        raise FetchError(f"{file}: {verdict.words}; move it away and fetch it again")
    return verdict.words


def _bring(
    checkpoint: Checkpoint, target: Path, bar: Progress, urls: tuple[str, ...], sleep: Callable[[float], object]
) -> str:
    """Fetch the file from the first address that gives it, and put it in its place once it has been checked."""
    try:
        from tools.fetch.transfer import Transfer
    except ModuleNotFoundError as error:
        raise ConfigError(f"the package {error.name} is missing; `pip install -r requirements.txt` gets it") from None
    part = target.with_name(target.name + PART)
    transfer = Transfer(checkpoint, part, part.with_name(part.name + ".json"), bar, sleep)
    failures: list[str] = []
    for url in urls:
        try:
            transfer.run(url)
        except CheckpointError as error:
            failures.append(str(error))
            if url != urls[-1]:
                bar.console.print(f"{error}; trying the next address")
            continue
        bar.console.print(f"{checkpoint.name}: checking it")
        verdict, place = _place(checkpoint, part, target)
        transfer.discard()
        if not verdict.right:
            wrong = f"what came from {redact(url)} is {verdict.words}"
            raise FetchError(f"{wrong}; it is kept as {place.name}, which nothing loads")
        return verdict.words
    raise CheckpointError("; ".join(dict.fromkeys(failures)))


def _place(checkpoint: Checkpoint, part: Path, target: Path) -> tuple[verifying.Verdict, Path]:
    """Unpack `part` if it is an archive, check it, and put it at `target`, at once and whole; aside if it is wrong."""
    unpacked, fault = target.with_name(target.name + ".unpacked"), ""
    try:
        with part.open("rb") as file:
            packed = file.read(len(GZIP_START)) == GZIP_START
        if packed:
            fault = unpack(part, checkpoint.published_as or checkpoint.file, unpacked)
        came = unpacked if packed and not fault else part
        verdict = verifying.Verdict(False, fault) if fault else verifying.verify(came, checkpoint)
        place = target if verdict.right else target.with_name(target.name + ".bad")
        with explained(came), came.open("rb+") as file:
            os.fsync(file.fileno())
            came.replace(place)
        return verdict, place
    finally:
        unpacked.unlink(missing_ok=True)  # an archive that there was no room to unpack stays for another time


if __name__ == "__main__":
    sys.exit(main())
