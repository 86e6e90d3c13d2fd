"""What every source gives: a `SourceInfo` once, then one `Picture` after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from stream.arrays import Array
from stream.errors import SourceError


@dataclass(frozen=True)
class SourceInfo:
    """What a source says of itself as soon as its first picture is there."""

    size: tuple[int, int]  # (H, W) of the first picture, px; later ones may differ
    fps: float | None = None  # as the source says; None where it does not
    frames: int | None = None  # expected in total; None where it is endless or unknown
    bursts: bool = False  # pictures come a segment at a time, and are to be shown at their presentation times
    codec: str = ""  # of its packets, as FFmpeg calls it; empty where pictures come otherwise


@dataclass(frozen=True)
class Picture:
    """One decoded picture."""

    rgb: Array  # (H, W, 3) uint8
    pts_s: float | None = None  # the source's own presentation time; None where it has none
    truth: Array | None = None  # (H, W) uint8 label image; the demo alone knows it
    name: str = ""  # of its file, without the ending; empty where pictures have none
    pixel_aspect: tuple[int, int] = (1, 1)  # width to height of a pixel, as it is to be shown
    corrupt: bool = False  # the decoder knows that parts of it are missing or wrong
    arrived_ns: tuple[int, int] | None = None  # monotonic and unix time at which it came; None: just now


class NothingToOpenError(SourceError):
    """There is nothing yet that could be opened, and nothing that trying less often would spare: ask again at once."""


class Source(Protocol):
    """Where pictures come from. One thread opens, reads and closes it; SourceError says what went wrong."""

    @property
    def live(self) -> bool:
        """True for what has no end and no past: a camera, a network stream."""

    def open(self) -> SourceInfo:
        """Open it and wait for its first picture."""

    def skip(self, count: int) -> None:
        """Pass over the next `count` pictures, or as many as there are."""

    def read(self) -> Picture | None:
        """The next picture; None after the last one of a source that ends. A live one that ends is a SourceError."""

    def close(self) -> None:
        """Let go of everything; more than once is fine."""
