"""Recordings that are switched on and off: drawn pictures in, one numbered file after the other out."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from nodes.renderer.recording import Recording
from nodes.renderer.sinks import as_text, check_file
from stream.arrays import Array
from stream.reports import SinkState
from stream.settings.config import Renderer


class Recorder:
    """Records from the start on (`--record`), and whenever it is switched on while the run goes on."""

    def __init__(self, own: Renderer, camera: str) -> None:
        self._from_start = bool(own.record)
        # not made absolute here: that fails where the current folder was removed
        self._path = own.record or str(Path(own.snapshots) / f"{camera}-recording.mp4")
        self._segment_s = own.segment_s
        self._restarts = 0  # of the renderer
        self._recording: Recording | None = None  # while it is on
        self._ended = SinkState()  # what became of the recordings that were switched off
        self._ended_written = 0  # pictures in them

    @property
    def on(self) -> bool:
        """Whether pictures are recorded."""
        return self._recording is not None

    @property
    def used(self) -> bool:
        """Whether there is, or was, a recording with a picture, or one that failed."""
        return self.on or self._ended.files > 0 or bool(self._ended.error)

    @property
    def written(self) -> int:
        """Pictures recorded."""
        return self._ended_written + (self._recording.written if self._recording else 0)

    def state(self) -> SinkState:
        """What became of all recordings; the path is that of the newest."""
        if self._recording is None:
            return self._ended
        now = self._recording.state()
        return replace(now, path=now.path or self._ended.path, files=self._ended.files + now.files)

    def begin(self, restarts: int) -> None:
        """The renderer begins, after so many restarts: record, where a recording was asked for from the start on."""
        self._restarts = restarts
        if self._from_start:
            self._recording = Recording(self._path, self._segment_s, restarts)

    def switch(self, on: bool) -> str:
        """Record from now on, or no longer; the path of the file. ConfigError where none can be written there."""
        if on and self._recording is None:
            check_file(self._path, "record", ".mp4")
            self._recording = Recording(self._path, self._segment_s, self._restarts, quiet=True)
        if on and self._recording is not None:
            return as_text(self._recording.next_file().absolute())
        self.close()
        return as_text(Path(self._ended.path).absolute()) if self._ended.path else ""

    def write(self, rgb: Array, time_ns: int, pixel_aspect: tuple[int, int]) -> None:
        """Add a (H, W, 3) uint8 picture that is to be played at `time_ns`, while it is on."""
        if self._recording is not None:
            self._recording.write(rgb, time_ns, pixel_aspect)

    def close(self) -> None:
        """Finish the file; may be called again."""
        if self._recording is None:
            return
        self._recording.close()
        self._ended, self._ended_written = self.state(), self.written
        self._recording = None
