"""Capture: a source in, stamped frames out. The thread that reads is in `feed.py`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nodes.capture.decoding.hardware import HardwareDecoding
from nodes.capture.feed import Feed
from nodes.capture.page_camera import UploadBox
from nodes.capture.sources import demo_scene, make_source
from stream.backoff import Backoff
from stream.commands import Command, Pause, Record, RepeatPicture, Resume, StartCapture
from stream.messages import Frame, Masks, Message, Prompt, Upload
from stream.node import NodeContext, Stage
from stream.reports import Answer, Opened, Progress
from stream.settings.addresses import source_kind
from stream.settings.config import Config
from stream.settings.recordings import recording_node

if TYPE_CHECKING:
    from stream.recordings.recorder import Recorder

PAGE_RETRY_S = 0.05  # a page that sends again is waiting for its masks, and there is no server to spare
REPEAT_S, REPEATS = 0.25, 12  # how often a paused picture is given again, each time that something is asked for
LOOK_S = 0.2  # how often it is looked whether an object is in sight, for a recording
STOP_S = 1.0  # a library call that is stuck for longer is left behind; the process ends anyway


def make_stage(config: Config, node: NodeContext) -> Stage:
    """The stage that this node runs."""
    return CaptureStage(config, node)


class CaptureStage(Stage):
    """Carries frames from the feed's thread to the readers."""

    def __init__(self, config: Config, node: NodeContext) -> None:
        self._config = config
        self._node = node
        self._feed: Feed | None = None  # from the start command on
        self._uploads = UploadBox()  # the pictures that a page sends, with --source browser
        self._recorder = _make_recorder(config)
        self._look_at_s = 0.0
        self._reported: tuple[int, int] | None = None  # session and epoch of the newest Opened
        self._frame_id = -1  # the newest that was sent
        self._repeats = 0  # of a paused picture, still to be sent
        self._repeat_at_s = 0.0

    def handle_command(self, command: Command) -> None:
        """Open the source; hold the feed, or let it go on."""
        match command:
            case StartCapture() if self._feed is None:
                self._feed = self._make_feed(command)
                self._feed.start()
            case Pause() if self._feed is not None:
                self._feed.pause()
            case Resume() if self._feed is not None:
                self._repeats = 0
                self._feed.resume()
            case RepeatPicture():
                self._repeats = REPEATS
            case Record() if self._recorder is not None:
                self._recorder.switch(command.on)
                path = self._recorder.state().path or str(self._recorder.folder)
                self._node.report(Answer(request=command.request, result={"recording": command.on, "path": path}))

    def wants(self, topic: str) -> bool:
        """Masks only now and then: a recording asks whether an object is in sight."""
        return topic != "masks" or self._node.now_s() >= self._look_at_s

    def _make_feed(self, start: StartCapture) -> Feed:
        capture = self._config.capture
        from_page = source_kind(capture.source) == "browser"
        tap = None
        if self._recorder is not None:
            from stream.recordings.packet_tap import PacketTap

            tap = PacketTap(self._recorder)
        hardware = HardwareDecoding(capture.hwaccel)  # one for all connections: what has failed is not tried again
        return Feed(
            lambda: make_source(capture, self._uploads, tap, hardware),
            capture,
            start,
            live=self._config.live,
            wake=self._node.wake,
            backoff=Backoff(PAGE_RETRY_S, PAGE_RETRY_S, 0.0, capture.healthy_after_s) if from_page else None,
        )

    def step(self, message: Message) -> bool:
        """Pass on what a page has sent, or that an object is in sight."""
        match message:
            case Upload():
                self._uploads.put(message)
            case Masks() if self._recorder is not None:
                self._look_at_s = self._node.now_s() + LOOK_S
                if message.in_sight:
                    self._recorder.see_objects(time.monotonic_ns())
        return False

    def on_idle(self) -> None:
        """Send the frames that the feed has, as long as the readers have room. Raises what made the feed fail."""
        feed, node = self._feed, self._node
        if feed is None:
            return
        while node.ready and (frame := feed.take() or self._repeated(feed)) is not None:
            if self._reported != (frame.stamp.session, frame.stamp.epoch):
                self._report_opened(feed, frame)
            self._frame_id = frame.stamp.frame_id
            with node.measured_step():
                node.send(frame)
        phase = feed.phase
        if phase == "failed" and feed.error is not None:
            raise feed.error
        if phase == "ended" and node.ready:
            node.end_feed()

    def _repeated(self, feed: Feed) -> Frame | None:
        """The paused picture once more, if it is time."""
        if not self._repeats or (now_s := self._node.now_s()) < self._repeat_at_s:
            return None
        self._repeats -= 1
        self._repeat_at_s = now_s + REPEAT_S
        return feed.repeat()

    def close(self) -> None:
        """Stop the feed's thread."""
        self._uploads.close()
        if self._feed is not None:
            self._feed.stop(STOP_S)
        if self._recorder is not None:
            self._recorder.close()

    def progress(self) -> Progress:
        """What was captured, and in which phase the feed is."""
        feed, recorder = self._feed, self._recorder
        if feed is None:
            return Progress()
        recorded = {} if recorder is None else {"record_written": recorder.written, "record_dropped": recorder.dropped}
        return Progress(
            phase=feed.phase,
            frame_id=self._frame_id,
            counters={
                "captured": feed.captured,
                "reconnects": feed.reconnects,
                "too_large": feed.too_large,
                "damaged_packets": feed.damaged_packets,
                "corrupt_pictures": feed.corrupt,
                **recorded,
            },
            gauges=feed.gauges() | ({} if recorder is None else recorder.gauges()),
            sinks={} if recorder is None else {"record": recorder.state()},
        )

    def _report_opened(self, feed: Feed, frame: Frame) -> None:
        """Report the picture's size, before the first frame of that size or session is sent."""
        info, stamp = feed.source_info, frame.stamp
        prompts: tuple[Prompt, ...] = ()
        if (
            self._reported is None
            and source_kind(self._config.capture.source) == "demo"
            and self._config.capture.demo_objects
        ):
            prompts = demo_scene(self._config.capture).prompts()
        self._reported = (stamp.session, stamp.epoch)
        self._node.report(
            Opened(
                size=frame.size,
                fps=info.fps if info else None,
                frames=info.frames if info else None,
                session=stamp.session,
                epoch=stamp.epoch,
                prompts=prompts,
            )
        )


def _make_recorder(config: Config) -> Recorder | None:
    """The recorder of the source's own packets, where the config asks for one."""
    if recording_node(config) != "capture":
        return None
    from stream.recordings.recorder import make_recorder  # what is off is not loaded

    return make_recorder(config)
