"""A folder with a recording in it, as a run leaves it."""

from __future__ import annotations

from pathlib import Path

from stream.recordings.index_file import write_index
from stream.recordings.segments import Index, OpenSegment, Segment

START = "20270115T080000.000Z"
NEXT = "20270115T080100.000Z"
BEGAN_NS = 1_800_000_000 * 10**9
VIDEO = bytes(range(256)) * 40


def record_one(folder: Path) -> None:
    """A finished segment, one under way, and a file that no index names."""
    folder.mkdir(parents=True)
    (folder / f"door-{START}.mp4").write_bytes(VIDEO)
    (folder / f"door-{START}.masks.jsonl").write_text("{}\n")
    (folder / f"door-{NEXT}.mp4").write_bytes(b"begun")
    (folder / "door-20270115T090000.000Z.mp4").write_bytes(b"of nobody")
    finished = Segment(
        name=f"door-{START}",
        start_unix_ns=BEGAN_NS,
        end_unix_ns=BEGAN_NS + 60 * 10**9,
        video_bytes=len(VIDEO),
        masks_bytes=3,
    )
    writing = OpenSegment(name=f"door-{NEXT}", start_unix_ns=BEGAN_NS + 60 * 10**9)
    write_index(folder / "index.json", Index(camera="door", segments=[finished], writing=writing))
