"""Is a file what was published? A file and its row of the table in; the verdict, with the sums it is based on, out."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

from stream.weights.published import Checkpoint

TORCH_STARTS = (b"PK\x03\x04", b"\x80\x02")  # what torch.save writes: a zip archive; a pickle, before torch 1.6


@dataclass(frozen=True)
class Verdict:
    """What the check of a file says."""

    right: bool
    words: str


def verify(path: Path, checkpoint: Checkpoint) -> Verdict:
    """Compare a file with the published sums; they come from different places (docs/weights.md): one is enough."""
    with path.open("rb") as file:
        start, size, sums = file.read(8), path.stat().st_size, {}
        for kind in ("sha256", "md5"):
            file.seek(0)
            digest = functools.partial(hashlib.new, kind, usedforsecurity=False)
            sums[kind] = hashlib.file_digest(file, digest).hexdigest()
    published = {kind: value for kind, value in (("sha256", checkpoint.sha256), ("md5", checkpoint.md5)) if value}
    agree = [f"{kind} {value}" for kind, value in published.items() if sums[kind].startswith(value)]
    differ = [
        f"its {kind} is {sums[kind]}, not {value}"
        for kind, value in published.items()
        if not sums[kind].startswith(value)
    ]
    if agree:
        return Verdict(True, "; but ".join([f"right, {' and '.join(agree)}", *differ]))
    if differ:
        return Verdict(False, f"not the published file ({size:,} bytes): {' and '.join(differ)}")
    if not start.startswith(TORCH_STARTS):
        return Verdict(False, f"no file of weights: it begins with {start.hex(' ')}")
    if checkpoint.size and size != checkpoint.size:
        return Verdict(False, f"not the published file: {size:,} bytes, not {checkpoint.size:,}")
    looks = "size and form are" if checkpoint.size else "the form is"
    words = f"{looks} right, but no sum is published; to hold later files against: sha256 {sums['sha256']}"
    return Verdict(True, words)
