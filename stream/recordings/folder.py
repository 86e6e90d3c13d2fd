"""The folder of one camera's recordings: segments begun, finished and deleted; an index beside them that survives."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from stream.errors import ConfigError
from stream.mp4.boxes import cut_torn_fragment
from stream.recordings.index_file import check_index, read_index, write_index
from stream.recordings.retention import Disk, Limits, has_room, to_delete
from stream.recordings.segments import INDEX, MASKS, VIDEO, Index, OpenSegment, Segment, segment_name, start_of

log = logging.getLogger(__name__)

INDEX_ROOM = 4096  # beside what the index takes now: it is written beside the old one before that goes
MASKS_ROOM = 256 << 10  # what the masks of the segment under way may grow by between two looks

# at the disk: others may write to it while segments give way. No more, since some disks show late that they are gone,
# and then every look would have further ones deleted.
LOOKS = 2


class NoRoomError(OSError):
    """The limits leave no room, and nothing is left that could be deleted."""


class RecordingFolder:
    """Owns the files of one camera. One thread uses it."""

    def __init__(
        self,
        path: Path,
        camera: str,
        limits: Limits,
        *,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        unix_ns: Callable[[], int] = time.time_ns,
        live: bool = True,
        index: Path | None = None,
    ) -> None:
        """`index`: the file that the index is in, where it is not beside the segments."""
        self.path = path
        self._index = index or path / INDEX
        self._camera = camera
        self._limits = limits
        self._free_bytes = free_bytes
        self._unix_ns = unix_ns
        self._live = live
        self._segments: list[Segment] = []  # finished, the oldest first
        self._writing: OpenSegment | None = None
        self._lock = -1
        self._stuck: set[str] = set()  # names of segments that could not be deleted
        self.is_open = False

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Those that are finished, the oldest first."""
        return tuple(self._segments)

    def open(self) -> None:
        """Make the folder, keep other runs out, and bring the index in line with the files that are there.

        ConfigError where another run writes there, or a newer version has; OSError where nothing can be written.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        if self._lock < 0:
            self._lock = os.open(self.path / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                raise ConfigError(
                    f"renderer.record {self.path}: another run records there; stop that one, or give another folder"
                ) from None
            except OSError as error:  # a file system without locks
                log.warning("recordings %s: the folder can't be locked (%s)", self.path, error.strerror)
        there = next((file for file in (self._index, self.path / INDEX) if file.exists()), self._index)
        check_index(there)
        self._segments = reconciled(self.path, self._camera, there)
        self._writing = None
        if self._save() and self._index != self.path / INDEX:
            (self.path / INDEX).unlink(missing_ok=True)  # it is in the state folder now
        self.is_open = True

    def close(self) -> None:
        """Let other runs have the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def begin(self, start_unix_ns: int, origin_pts_s: float | None) -> Path:
        """The file of a new segment that begins then; the index names it from now on."""
        name = segment_name(self._camera, start_unix_ns)
        while (self.path / (name + VIDEO)).exists() or (self._segments and name <= self._segments[-1].name):
            start_unix_ns = max(start_unix_ns, self._segments[-1].start_unix_ns if self._segments else 0) + 1_000_000
            name = segment_name(self._camera, start_unix_ns)  # the clock was set back: names still tell the order
        self._writing = OpenSegment(name=name, start_unix_ns=start_unix_ns, origin_pts_s=origin_pts_s, live=self._live)
        self._save()
        return self.path / (name + VIDEO)

    def move_origin(self, origin_pts_s: float | None) -> None:
        """The source's clock has jumped within the segment under way."""
        if self._writing is not None and self._writing.origin_pts_s != origin_pts_s:
            self._writing = msgspec.structs.replace(self._writing, origin_pts_s=origin_pts_s)
            self._save()

    def finish(self, end_unix_ns: int) -> None:
        """The segment under way is whole, as far as it goes; a file without a picture is removed."""
        if (writing := self._writing) is None:
            return
        self._writing = None
        video = self.path / (writing.name + VIDEO)
        size = _size(video)
        if size:
            self._segments.append(
                Segment(
                    name=writing.name,
                    start_unix_ns=writing.start_unix_ns,
                    end_unix_ns=max(end_unix_ns, writing.start_unix_ns),
                    video_bytes=size,
                    masks_bytes=_size(self.path / (writing.name + MASKS)),
                    origin_pts_s=writing.origin_pts_s,
                    live=writing.live,
                )
            )
        else:
            _remove(self.path, writing.name)
        self._save()

    def make_room(self, needed_bytes: int) -> None:
        """Delete what the limits ask for, so that `needed_bytes` can be written; NoRoomError where that won't do."""
        needed_bytes += INDEX_ROOM + MASKS_ROOM if self._limits.max_bytes or self._limits.keep_free_bytes else 0
        self._look_at_newest_masks()
        for _ in range(LOOKS):
            segments = [s for s in self._segments if s.name not in self._stuck]
            for segment in to_delete(segments, self._limits, self.disk(), needed_bytes, self._unix_ns()):
                self._delete(segment)
            disk = self.disk()
            if has_room(self._limits, disk, needed_bytes):
                return
        raise NoRoomError(
            f"no room: the recordings take {disk.used_bytes >> 20} MB, {disk.free_bytes >> 20} MB are free, and no "
            "older segment is left to delete"
        )

    def disk(self) -> Disk:
        """What the folder takes, and what its disk has."""
        used = sum(s.bytes for s in self._segments) + 2 * _size(self._index)
        if self._writing is not None:
            used += sum(_size(self.path / (self._writing.name + ending)) for ending in (VIDEO, MASKS))
        return Disk(used, self._free_bytes(self.path))

    def _look_at_newest_masks(self) -> None:
        """The newest segment's masks may have grown after it was finished: they come later than its pictures."""
        if self._segments:
            newest = self._segments[-1]
            size = _size(self.path / (newest.name + MASKS))
            if size != newest.masks_bytes:
                self._segments[-1] = msgspec.structs.replace(newest, masks_bytes=size)

    def _delete(self, segment: Segment) -> None:
        try:
            _remove(self.path, segment.name)
        except OSError as error:
            self._stuck.add(segment.name)
            log.warning("recordings %s: %s can't be deleted: %s", self.path, segment.name, error.strerror)
            return
        self._segments.remove(segment)
        log.debug("recordings %s: %s is deleted to make room", self.path, segment.name)
        self._save()

    def _save(self) -> bool:
        """Write the index. Where that fails the recording goes on: at the next start the files themselves count."""
        index = Index(camera=self._camera, segments=self._segments, writing=self._writing)
        try:
            write_index(self._index, index)
        except OSError as error:
            text = "recordings %s: the index %s can't be written: %s"
            log.warning(text, self.path, self._index, error.strerror, extra={"once_key": f"index {self.path}"})
            return False
        return True


def reconciled(path: Path, camera: str, index_file: Path | None = None) -> list[Segment]:
    """The segments that are there, the oldest first, whatever the index says of them: what it knows of each is used.

    What a writer left that was killed ends with its last whole fragment.
    """
    index = read_index(index_file or path / INDEX)
    noted = {s.name: s for s in index.segments} if index else {}
    writing = index.writing if index else None
    names = sorted(
        p.name.removesuffix(VIDEO)
        for p in path.iterdir()
        if p.name.endswith(VIDEO) and p.name.startswith(f"{camera}-") and start_of(p.name.removesuffix(VIDEO))
    )
    segments: list[Segment] = []
    for name in names:
        video, start = path / (name + VIDEO), start_of(name)
        assert start is not None, "others were left out"
        segment = noted.get(name)
        if segment is None or segment.video_bytes != _size(video):
            with contextlib.suppress(OSError):
                written_ns = video.stat().st_mtime_ns
                if not cut_torn_fragment(video):
                    _remove(path, name)
                    continue
                os.utime(video, ns=(written_ns, written_ns))  # the cut is no writing
            begun = writing if writing and writing.name == name else None
            end = max(start, video.stat().st_mtime_ns)
            segment = Segment(
                name=name,
                start_unix_ns=start,
                end_unix_ns=end,
                video_bytes=_size(video),
                origin_pts_s=begun.origin_pts_s if begun else None,
                live=begun.live if begun else True,
            )
        if segments and segments[-1].end_unix_ns > segment.start_unix_ns:
            segments[-1] = msgspec.structs.replace(segments[-1], end_unix_ns=segment.start_unix_ns)
        segments.append(msgspec.structs.replace(segment, masks_bytes=_size(path / (name + MASKS))))
    for masks in path.glob(f"*{MASKS}"):
        if masks.name.removesuffix(MASKS) not in {s.name for s in segments} and start_of(
            masks.name.removesuffix(MASKS)
        ):
            masks.unlink(missing_ok=True)  # of a segment that is gone
    return segments


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _remove(path: Path, name: str) -> None:
    """Remove a segment: its masks first, so that no masks are ever left without their video."""
    for ending in (MASKS, VIDEO):
        (path / (name + ending)).unlink(missing_ok=True)
