"""Renderer: scenes in; the drawn picture out to a video file, a window, a snapshot; label images to a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nodes.renderer.control_client import ControlRequests
from nodes.renderer.recorder import Recorder
from nodes.renderer.sinks import LabelImages, StillPicture, check_sinks, label_png, replace_file, save_png
from nodes.renderer.window import Window
from stream.arrays import Array
from stream.commands import Command, Record, SetLabels, Start, TakeSnapshot
from stream.drawing.captions import Hud
from stream.drawing.painter import Painter
from stream.errors import ConfigError
from stream.messages import Message, Scene, Stamp
from stream.node import NodeContext, Stage
from stream.reports import Answer, Progress, SinkState
from stream.settings.config import Config
from stream.settings.recordings import recording_node
from stream.topology import has_sinks

if TYPE_CHECKING:
    from nodes.renderer.folder_recorder import FolderRecorder
    from nodes.renderer.rtsp_push.pusher import Pusher

GIVES_WAY = 5  # by which a thread that draws for a push alone is nicer than the models: what it misses is passed over
FPS_MEMORY = 0.9  # of the shown rate: a mean over about ten frames


def make_stage(config: Config, node: NodeContext) -> Stage:
    """The stage that this node runs."""
    return RendererStage(config, node)


class RendererStage(Stage):
    """Owns the sinks, and the numbers of the line at the top of the picture."""

    def __init__(self, config: Config, node: NodeContext) -> None:
        own = config.renderer
        check_sinks(own)
        self._own = own
        self._live = config.live
        self._node = node
        self._wants_every_scene = has_sinks(config)  # else only those that a snapshot or a recording needs
        self._painter = Painter(own.trail)
        self._folder_recorder = _make_folder_recorder(config)
        self._recorder = Recorder(replace(own, record="") if recording_node(config) else own, config.capture.camera)
        self._label_images = LabelImages(own.save_masks) if own.save_masks else None
        self._picture = StillPicture(own.picture, own.picture_frame) if own.picture else None
        self._pusher = _make_pusher(config, node)
        self._requests = ControlRequests(node.open_control()) if own.window else None
        self._window: Window | None = None
        if self._requests:
            self._window = Window(f"SAM-PT Live: {config.capture.camera}", self._requests.send)
        self._snapshot_requests: list[int] = []  # that wait for a scene
        self._labels: dict[int, str] = {}  # what the user calls the objects
        self._frame_id = -1  # of the newest scene
        self._passed_over = 0
        self._fps = 0.0
        self._last_ns = 0  # play time of the newest scene

    def handle_command(self, command: Command) -> None:
        """Begin or end a recording; note that a snapshot is to be taken; take the objects' labels."""
        match command:
            case Start():
                self._recorder.begin(command.restarts)
                if self._folder_recorder:
                    self._folder_recorder.begin(command.restarts)
            case Record():
                self._record(command)
            case TakeSnapshot():
                self._snapshot_requests.append(command.request)
            case SetLabels():
                self._labels = command.labels

    def wants(self, topic: str) -> bool:
        """Scenes are drawn for the sinks, to be pushed, for snapshots, and while a recording is on."""
        recorder = self._folder_recorder or self._recorder
        return self._wants_every_scene or self._pusher is not None or recorder.on or bool(self._snapshot_requests)

    def step(self, message: Message) -> bool:
        """Draw a scene into every sink that is on."""
        assert isinstance(message, Scene), f"a {type(message).__name__} came; needs a Scene"
        scene, stamp = message, message.frame.stamp
        self._count(scene)
        if self._label_images:
            self._label_images.write(scene.masks.label_image(), stamp.frame_id, scene.frame.name)
        recorder = self._folder_recorder
        if recorder and not recorder.drawn:
            recorder.write(scene.frame.rgb, scene.masks, self._play_ns(stamp), scene.frame.pixel_aspect)
        if self._pusher and not self._own.push_overlay:
            self._push(scene, scene.frame.rgb)
        draws = self._recorder.on or self._window or self._snapshot_requests or self._picture
        if draws or (recorder and recorder.drawn) or (self._pusher and self._own.push_overlay):
            self._draw(scene)
        self._frame_id = stamp.frame_id
        return True

    def on_idle(self) -> None:
        """Keep the window alive between frames, and see that what pushes does not hang."""
        if self._pusher:
            self._pusher.check()
        if self._window and self._requests:
            self._window.poll()
            for request, reply in self._requests.replies():
                self._window.take_reply(request, reply)

    def finish(self) -> None:
        """Finish what was written, so that it is there when the run ends."""
        self.close()

    def close(self) -> None:
        """Close what is open; may be called again."""
        self._recorder.close()
        if self._folder_recorder:
            self._folder_recorder.close()
        if self._pusher:
            self._pusher.close()
        if self._picture:
            self._picture.close()
        if self._window:
            self._window.close()
        if self._requests:
            self._requests.close()
        self._window = self._requests = None

    def progress(self) -> Progress:
        """How far the scenes have come, and what became of each sink."""
        recorder = self._folder_recorder or (self._recorder if self._recorder.used else None)
        gauges = {"recording": float(self._recorder.on)}
        if self._folder_recorder:
            gauges = self._folder_recorder.gauges()
        sinks = {"record": recorder, "picture": self._picture, "save_masks": self._label_images}
        counters: dict[str, float] = {f"{key}_written": sink.written for key, sink in sinks.items() if sink}
        states = {key: sink.state() for key, sink in sinks.items() if sink}
        if self._pusher:
            counters |= self._pusher.counters()
            gauges["push_connected"] = float(self._pusher.connected)
            states["rtsp_push"] = SinkState(error=self._pusher.error)
        return Progress(frame_id=self._frame_id, counters=counters, gauges=gauges, sinks=states)

    def _draw(self, scene: Scene) -> None:
        stamp = scene.frame.stamp
        masks = scene.masks.with_labels(self._labels)
        drawn = self._painter.draw(scene.frame.rgb, masks, self._hud(stamp))
        self._recorder.write(drawn, self._play_ns(stamp), scene.frame.pixel_aspect)
        if (recorder := self._folder_recorder) and recorder.drawn:
            recorder.write(drawn, scene.masks, self._play_ns(stamp), scene.frame.pixel_aspect)
        if self._pusher and self._own.push_overlay:
            self._push(scene, drawn)
        if self._window:
            self._window.show(drawn, masks, scene.frame.pixel_aspect)
        if self._picture:
            self._picture.offer(drawn, stamp.frame_id)
        for request in self._snapshot_requests:
            self._write_snapshot(request, scene, drawn)
        self._snapshot_requests.clear()

    def _push(self, scene: Scene, rgb: Array) -> None:
        from nodes.renderer.rtsp_push.pictures import Picture

        assert self._pusher is not None
        self._pusher.offer(Picture(rgb, scene.frame.stamp.captured_ns, scene.frame.pixel_aspect))

    def _record(self, command: Record) -> None:
        """Switch the recording, and answer with its path."""
        try:
            path = (self._folder_recorder or self._recorder).switch(command.on)
        except ConfigError as error:
            self._node.report(Answer(request=command.request, error=str(error)))
            return
        self._node.report(Answer(request=command.request, result={"recording": command.on, "path": path}))

    def _play_ns(self, stamp: Stamp) -> int:
        """When a frame is to be played: as it was captured; a file that is read faster or slower, as it says itself."""
        if self._live or stamp.pts_s is None:
            return stamp.captured_ns
        return round(stamp.pts_s * 1e9)

    def _count(self, scene: Scene) -> None:
        play_ns = self._play_ns(scene.frame.stamp)
        self._passed_over += scene.masks.passed_over
        if 0 < self._last_ns < play_ns:
            rate = 1e9 / (play_ns - self._last_ns)
            self._fps = FPS_MEMORY * self._fps + (1 - FPS_MEMORY) * rate if self._fps else rate
        self._last_ns = play_ns

    def _hud(self, stamp: Stamp) -> Hud:
        return Hud(
            fps=self._fps,
            age_ms=self._node.now_s() * 1e3 - stamp.captured_ns / 1e6,
            passed_over=self._passed_over,
            session=stamp.session,
            frame_id=stamp.frame_id,
            camera=stamp.camera,
        )

    def _write_snapshot(self, request: int, scene: Scene, drawn: Array) -> None:
        """Write the picture and its label image; the supervisor passes the paths on to the client."""
        stamp = scene.frame.stamp
        base = Path(self._own.snapshots) / f"{stamp.camera}-{stamp.session}-{stamp.frame_id:06d}"
        picture, labels = base.with_suffix(".png"), base.with_name(base.name + "-labels.png")
        try:
            picture.parent.mkdir(parents=True, exist_ok=True)
            save_png(picture, drawn)
            replace_file(labels, label_png(scene.masks.label_image()))
        except OSError as error:
            self._node.report(Answer(request=request, error=f"{picture} can't be written: {error.strerror}"))
            return
        paths = {"picture": str(picture.resolve()), "labels": str(labels.resolve())}
        self._node.report(Answer(request=request, result={**paths}))


def _make_folder_recorder(config: Config) -> FolderRecorder | None:
    """What records pictures into a folder, where the config asks this node for it."""
    if recording_node(config) != "renderer":
        return None
    from nodes.renderer.folder_recorder import FolderRecorder  # what is off is not loaded

    return FolderRecorder(config)


def _make_pusher(config: Config, node: NodeContext) -> Pusher | None:
    """What pushes pictures to an RTSP server, where the config names one."""
    if not config.renderer.rtsp_push:
        return None
    from nodes.renderer.rtsp_push.pusher import Pusher  # what is off is not loaded

    own = config.renderer
    if not (own.window or own.record or own.save_masks or own.picture):
        os.nice(GIVES_WAY)  # of this thread and those that it starts
    return Pusher(config.renderer.rtsp_push, node.now_s)
