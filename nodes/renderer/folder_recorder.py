"""Pictures in, segments of a recording out: where the source has no packets to copy, or masks are drawn in."""

from __future__ import annotations

import io
import logging
from fractions import Fraction
from typing import Any

import av
from av.video.frame import PictureType

from nodes.renderer.encoding import KEY_S, TICKS, PictureConverter, add_h264_stream, even_size, with_even_edges
from stream.arrays import Array
from stream.messages import Masks, Stamp
from stream.recordings.packets import EncodedPacket
from stream.recordings.recorder import Recorder, make_recorder
from stream.recordings.segment_file import StreamTemplate
from stream.reports import SinkState
from stream.settings.config import Config

log = logging.getLogger(__name__)

NOMINAL_FPS = 25.0
# Pictures that wait in the encoder are lost when the power goes: 2 instead of 9, which are two seconds of a slow feed.
SOON = {"rc-lookahead": "1"}


class FolderRecorder:
    """Encodes pictures, and has their packets recorded as a camera's own are."""

    used = True  # it is always there, so its state is always told

    def __init__(self, config: Config) -> None:
        self.drawn = config.recording.overlay  # masks are in the picture
        self._config = config
        self._recorder: Recorder | None = None  # from the start command on
        self._encoder: PictureEncoder | None = None
        self._failed = ""

    @property
    def on(self) -> bool:
        """Whether pictures are recorded."""
        return self._recorder is not None and self._recorder.on

    @property
    def written(self) -> int:
        """Pictures recorded."""
        return self._recorder.written if self._recorder else 0

    def state(self) -> SinkState:
        """What became of it; the path is that of the newest segment."""
        state = self._recorder.state() if self._recorder else SinkState()
        return SinkState(path=state.path, files=state.files, error=self._failed or state.error)

    def gauges(self) -> dict[str, float]:
        """Whether it records, and whether it is paused by the disk."""
        return self._recorder.gauges() if self._recorder else {"recording": 0.0}

    def begin(self, _restarts: int) -> None:
        """The renderer begins."""
        self._recorder = self._recorder or make_recorder(self._config)

    def switch(self, on: bool) -> str:
        """Record from now on, or no longer; the path of the newest segment, or of the folder."""
        if self._recorder is None:
            self.begin(0)
        assert self._recorder is not None, "it has begun"
        self._recorder.switch(on)
        return self.state().path or str(self._recorder.folder)

    def write(self, rgb: Array, masks: Masks, play_ns: int, pixel_aspect: tuple[int, int]) -> None:
        """Add a (H, W, 3) uint8 picture and what is seen in it."""
        if self._recorder is None:
            return
        if masks.in_sight:
            self._recorder.see_objects(masks.stamp.captured_ns if self._config.live else play_ns)
        size, aspect = even_size(rgb), Fraction(*pixel_aspect)
        try:
            if self._encoder is None or (self._encoder.size, self._encoder.pixel_aspect) != (size, aspect):
                self._encoder = PictureEncoder(size, aspect)
                self._recorder.begin_stream(self._encoder.template)
            for packet in self._encoder.encode(rgb, masks.stamp, play_ns, timed=self._config.live):
                self._recorder.take(packet)
        except (av.FFmpegError, ValueError) as error:
            if not self._failed:
                log.warning("pictures can't be encoded for the recording: %s", error)
            self._failed, self._encoder = str(error), None

    def close(self) -> None:
        """Finish the segment; may be called again."""
        if self._recorder is None:
            return
        if self._encoder is not None:
            for packet in self._encoder.flush():
                self._recorder.take(packet)
            self._encoder = None
        self._recorder.close()


class PictureEncoder:
    """Pictures of one size into H.264 packets, a key frame every 2 s."""

    def __init__(self, size: tuple[int, int], pixel_aspect: Fraction) -> None:
        self.size, self.pixel_aspect = size, pixel_aspect
        self._converter = PictureConverter()
        self._holder = av.open(io.BytesIO(), "w", format="mp4")
        self._stream = add_h264_stream(self._holder, size, pixel_aspect, round(TICKS / NOMINAL_FPS))
        self._stream.options |= SOON
        self._holder.start_encoding()  # else the stream holds no parameter sets that could be copied
        self.template = StreamTemplate(self._stream, NOMINAL_FPS)
        self._came: dict[int, tuple[int, int]] = {}  # tick -> when it was captured, of what is in the encoder
        self._last_tick = self._key_tick = -1

    def encode(self, rgb: Array, stamp: Stamp, play_ns: int, *, timed: bool) -> list[EncodedPacket]:
        """The packets that a picture completes. `timed`: it came as it is to be played; else its play time counts."""
        tick = max(self._last_tick + 1, play_ns * TICKS // 1_000_000_000)
        frame = self._converter.to_frame(with_even_edges(rgb), tick)
        if self._key_tick < 0 or tick - self._key_tick >= KEY_S * TICKS:
            frame.pict_type, self._key_tick = PictureType.I, tick
        self._last_tick = tick
        self._came[tick] = (stamp.captured_ns if timed else play_ns, stamp.captured_unix_ns)
        return self._packets(self._stream.encode(frame))

    def flush(self) -> list[EncodedPacket]:
        """What is still in the encoder."""
        return self._packets(self._stream.encode())

    def _packets(self, encoded: list[Any]) -> list[EncodedPacket]:
        packets = []
        for packet in encoded:
            arrived_ns, arrived_unix_ns = self._came.pop(packet.pts, (0, 0))
            at_s = packet.pts / TICKS
            packets.append(EncodedPacket(bytes(packet), packet.is_keyframe, at_s, at_s, arrived_ns, arrived_unix_ns))
        return packets
