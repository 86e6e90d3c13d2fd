"""The thread that writes a recording, so that no disk ever holds the feed up: packets in, from any thread."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from stream.recordings.folder import RecordingFolder
from stream.recordings.index_file import index_file
from stream.recordings.packets import EncodedPacket
from stream.recordings.plan import PlanOptions
from stream.recordings.retention import Limits
from stream.recordings.segment_file import StreamTemplate
from stream.recordings.writer import SegmentWriter
from stream.reports import SinkState
from stream.settings.config import Config
from stream.settings.recordings import camera_folder, recording_node

log = logging.getLogger(__name__)

WAITING_BYTES = 64 << 20  # of packets that the disk has not taken yet; beyond it, all up to the next key frame go
CLOSE_S = 2.0

Task = Callable[[], None]


class Recorder:
    """Records one camera. Nothing here waits, but for `close`."""

    def __init__(self, writer: SegmentWriter, folder: Path) -> None:
        self.folder = folder
        self.dropped = 0  # packets that the disk was too slow for
        self._writer = writer
        self._changed = threading.Condition()  # guards all below
        self._waiting: deque[EncodedPacket | Task] = deque()
        self._waiting_bytes = 0
        self._needs_key = False  # packets are missing before the next key frame
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    @property
    def on(self) -> bool:
        """Whether recording is switched on."""
        return self._writer.on

    @property
    def written(self) -> int:
        """Pictures recorded."""
        return self._writer.written

    def state(self) -> SinkState:
        """What became of it; the path is that of the newest segment."""
        writer = self._writer
        return SinkState(path=str(writer.path or ""), files=writer.files, error=writer.error)

    def gauges(self) -> dict[str, float]:
        """Whether it records, and whether it is paused by the disk, for the status."""
        return {"recording": float(self._writer.on), "recording_paused": float(bool(self._writer.error))}

    def begin_stream(self, template: StreamTemplate) -> None:
        """The packets that follow are of another connection."""
        self._put(lambda: self._writer.begin_stream(template))

    def see_objects(self, now_ns: int) -> None:
        """Objects are in sight."""
        self._put(lambda: self._writer.see_objects(now_ns))

    def switch(self, on: bool) -> None:
        """Record from now on, or no longer."""
        self._put(lambda: self._writer.switch(on))

    def take(self, packet: EncodedPacket) -> None:
        """Record the next packet."""
        with self._changed:
            if self._waiting_bytes > WAITING_BYTES:
                self._drop_waiting()
            if self._needs_key and not packet.is_key:
                self.dropped += 1
                return
            self._needs_key = False
            self._waiting.append(packet)
            self._waiting_bytes += len(packet.data)
            self._changed.notify()

    def close(self) -> None:
        """Write what waits, and finish the segment; a disk that hangs is left behind."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(CLOSE_S)

    def _put(self, task: Task) -> None:
        with self._changed:
            self._waiting.append(task)
            self._changed.notify()

    def _drop_waiting(self) -> None:
        packets = [item for item in self._waiting if isinstance(item, EncodedPacket)]
        self._waiting = deque(item for item in self._waiting if not isinstance(item, EncodedPacket))
        self._waiting_bytes, self._needs_key = 0, True
        self.dropped += len(packets)
        text = "the recording's disk is too slow: %d pictures are missing"
        log.warning(text, len(packets), extra={"once_key": "recording too slow"})

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if not self._waiting:
                    break
                item = self._waiting.popleft()
                if isinstance(item, EncodedPacket):
                    self._waiting_bytes = max(0, self._waiting_bytes - len(item.data))
            if isinstance(item, EncodedPacket):
                self._writer.write(item)
            else:
                item()
        self._writer.close()


def make_recorder(config: Config) -> Recorder:
    """The recorder of a config whose `renderer.record` is a folder; ConfigError where another run records there."""
    own, camera = config.recording, config.capture.camera
    limits = Limits(own.max_days, round(own.max_mb * 1e6), round(own.keep_free_mb * 1e6))
    folder = RecordingFolder(camera_folder(config), camera, limits, live=config.live, index=index_file(config))
    with contextlib.suppress(OSError):  # the disk may come back: the writer tries again, and says so
        folder.open()
    # Pictures of a live feed that are encoded play as they were captured, whatever the source says of their times.
    by_source = recording_node(config) == "capture" or not config.live
    options = PlanOptions(own.when, own.segment_s, own.pre_s, own.post_s)
    writer = SegmentWriter(folder, options, timed_by_source=by_source)
    return Recorder(writer, folder.path)
