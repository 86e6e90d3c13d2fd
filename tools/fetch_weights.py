#!/usr/bin/env python3
"""Fetch published weights: names in; checked files in the cache of torch hub, where the presets look for them, out.

python tools/fetch_weights.py list                    what there is, how large, what is here
python tools/fetch_weights.py pips sam_vit_b          fetch; what broke off goes on where it was
python tools/fetch_weights.py verify                  check what is here against the published sums
python tools/fetch_weights.py --offline pips          open no connection: check, or say what to put where
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder

from stream.errors import CheckpointError, ConfigError, StreamError
from stream.weights.published import PART, PUBLISHED, Checkpoint, folder, published, readable

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
    rows += [(c.name, readable(c.size), c.licence, state(c, where), c.file) for c in PUBLISHED.values()]
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
    from tools.fetch.fetching import check_there

    code = 0
    there = rows or [c for c in PUBLISHED.values() if (where / c.file).is_file()]
    if not there:
        print(f"nothing to verify in {where}")
    for c in there:
        try:
            if not (where / c.file).is_file():
                raise CheckpointError(f"{where / c.file}: not there; `python tools/fetch_weights.py {c.name}` gets it")
            print(f"{c.name}: {check_there(where / c.file, c)}: {where / c.file}", flush=True)
        except StreamError as error:
            code = code or _tell(error)
    return code


def get(rows: list[Checkpoint], where: Path, url: str, offline: bool) -> int:
    """Fetch `rows` one after the other; the exit code is that of the first that failed."""
    code = 0
    for c in rows:
        try:
            words = _at_hand(c, where) if offline else _fetched(c, where, url)
            print(f"{c.name}: {words}: {where / c.file}", flush=True)
        except StreamError as error:
            code = code or error.exit_code
            _tell(error)
    return code


def _fetched(checkpoint: Checkpoint, where: Path, url: str) -> str:
    from tools.fetch.fetching import fetch
    from tools.fetch.progress import progress_of

    with contextlib.closing(progress_of(checkpoint.name)) as progress:
        return fetch(checkpoint, where, progress, url)


def _at_hand(checkpoint: Checkpoint, where: Path) -> str:
    from tools.fetch.fetching import check_there, how_to_place

    if not (where / checkpoint.file).is_file():
        raise CheckpointError(how_to_place(checkpoint, where))
    return f"there already, {check_there(where / checkpoint.file, checkpoint)}"


if __name__ == "__main__":
    sys.exit(main())
