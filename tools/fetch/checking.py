"""Is a file what was published? A file in; its sums, and whether they are the known ones, out."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from stream.errors import StreamError
from stream.weights.published import Checkpoint

BLOCK = 1 << 20
TORCH_STARTS = (b"PK\x03\x04", b"\x80\x02")  # what torch.save writes: a zip archive; a pickle, before torch 1.6
GZIP_START = b"\x1f\x8b"
_TEXT = re.compile(rb"\s*(<|\{|version https://git-lfs)")  # a page, an error in JSON, the pointer of a large file


class FetchError(StreamError):
    """A fetch broke off, or brought something else than the published file."""


@dataclass(frozen=True)
class Finding:
    """What the check of a file says."""

    right: bool
    words: str  # the verdict, with the sums that it is based on


def check(path: Path, checkpoint: Checkpoint) -> Finding:
    """Compare a file with what is known of the published one.

    The two sums come from different places (docs/weights.md), so one that agrees is enough.
    """
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    size, start = 0, b""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            start = start or block[:64]
            md5.update(block)
            sha256.update(block)
            size += len(block)
    found = {"sha256": sha256.hexdigest(), "md5": md5.hexdigest()}
    known = {kind: value for kind, value in (("sha256", checkpoint.sha256), ("md5", checkpoint.md5)) if value}
    agree = [f"{kind} {value}" for kind, value in known.items() if value == found[kind]]
    differ = [f"its {kind} is {found[kind]}, not {value}" for kind, value in known.items() if value != found[kind]]
    if agree:
        words = f"right, {' and '.join(agree)}" + "".join(f"; but {text}" for text in differ)
        return Finding(True, words)
    if known:
        words = f"not the published file ({size:,} bytes): {' and '.join(differ)}"
        return Finding(False, words)
    return _check_form(size, start, checkpoint, found)


def _check_form(size: int, start: bytes, checkpoint: Checkpoint, found: dict[str, str]) -> Finding:
    """The check of a file whose sums are not known."""
    if not start.startswith(TORCH_STARTS):
        words = f"no file of weights: it begins with {start[:8].hex(' ')}"
        return Finding(False, words)
    if checkpoint.size and size != checkpoint.size:
        words = f"not the published file: {size:,} bytes, not {checkpoint.size:,}"
        return Finding(False, words)
    looks = "size and form are" if checkpoint.size else "the form is"
    words = f"{looks} right, but no sum is published; to hold later files against: sha256 {found['sha256']}"
    return Finding(True, words)


def is_text(start: bytes) -> bool:
    """Whether a file begins as pages and error messages do."""
    return bool(_TEXT.match(start))
