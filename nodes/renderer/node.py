"""Renderer: scenes in; the drawn picture out to a video file, a window, a snapshot; label images to a folder."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from nodes.renderer.control_client import Steering
from nodes.renderer.drawing import Painter
from nodes.renderer.labels import Hud
from nodes.renderer.sinks import LabelImages, VideoFile, check_sinks, label_png, replace_file, save_png
from nodes.renderer.window import Window
from stream.arrays import Array
from stream.messages import Command, Scene, Stamp
from stream.reports import Answer
from stream.runtime import Runtime, renders

log = logging.getLogger(__name__)

FPS_MEMORY = 0.9  # of the shown rate: a mean over about ten frames


def main(node: Runtime) -> None:
    """Run the renderer until its stop signal."""
    shell = Shell(node)
    try:
        node.serve(
            {"commands": shell.obey, "scenes": shell.step},
            feed="scenes",
            takes=lambda topic: shell.always or bool(shell.snapshots),
            turn=shell.turn,
            finish=shell.close,
        )
    finally:
        shell.close()


class Shell:
    """Owns the sinks, and the numbers of the line at the top."""

    def __init__(self, node: Runtime) -> None:
        own = node.config.renderer
        check_sinks(own)
        self.node = node
        self.always = renders(node.config)  # else scenes are asked for when a snapshot is
        self.painter = Painter(own.trail)
        self.video: VideoFile | None = None  # from the start command on
        self.labels = LabelImages(own.save_masks) if own.save_masks else None
        self.steering = Steering(node) if own.window else None
        self.window = (
            Window(f"SAM-PT Live: {node.config.capture.camera}", self.steering.send) if self.steering else None
        )
        self.lives = 0  # of this node before this one
        self.video_began_ns: int | None = None
        self.snapshots: list[int] = []  # requests that wait for a scene
        self.picture: Array | None = None  # (H, W, 3) uint8: the newest one drawn with objects in it
        self.passed_over = 0
        self.fps = 0.0
        self.last_ns = 0  # capture time of the last scene

    def obey(self, command: Command) -> None:
        """Carry out a command."""
        own = self.node.config.renderer
        if command.kind == "start" and own.record:
            # A renderer that was restarted does not write over what the one before it has recorded.
            self.lives = command.session
            self.video = VideoFile(self._video_path(), fps=25)
        elif command.kind == "snapshot":
            self.snapshots.append(command.request)

    def step(self, scene: Scene) -> None:
        """Draw one scene into every sink that is on."""
        stamp = scene.frame.stamp
        self._count(scene)
        if self.labels:
            self.labels.write(scene.masks.label_image(), stamp.frame_id)
        own = self.node.config.renderer
        if self.video or self.window or self.snapshots or own.picture:
            drawn = self.painter.draw(scene.frame.rgb, scene.masks, self._hud(scene))
            if self.video:
                self._record(drawn, self._clock_ns(stamp))
            if self.window:
                self.window.show(drawn, scene.masks)
            if own.picture and (self.picture is None or stamp.frame_id <= own.picture_frame):
                self.picture = drawn
            for request in self.snapshots:
                self._snapshot(request, scene, drawn)
            self.snapshots.clear()
        self.node.heartbeat.frame_id = stamp.frame_id

    def turn(self) -> None:
        """Keep the window alive between frames."""
        if self.window and self.steering:
            self.window.poll()
            for request, reply in self.steering.replies():
                self.window.replied(request, reply)

    def close(self) -> None:
        """Close what is open; may be called again."""
        own = self.node.config.renderer
        if self.video:
            self.video.close()
        if own.picture and self.picture is not None:
            save_png(own.picture, self.picture)
            self.picture = None
        if self.window:
            self.window.close()
        if self.steering:
            self.steering.close()
        self.video = self.window = self.steering = None

    def _clock_ns(self, stamp: Stamp) -> int:
        """When a frame is to be played: as it was captured; a file that is read faster or slower, as it says itself."""
        if self.node.config.live or stamp.pts_s is None:
            return stamp.captured_ns
        return round(stamp.pts_s * 1e9)

    def _record(self, drawn: Array, clock_ns: int) -> None:
        """Write a picture to the recording; a new file begins once the last is long enough."""
        assert self.video
        limit_s = self.node.config.renderer.segment_s
        if self.video_began_ns is None:
            self.video_began_ns = clock_ns
        elif limit_s and clock_ns - self.video_began_ns >= limit_s * 1e9:
            self.video.close()
            self.video, self.video_began_ns = VideoFile(self._video_path(), fps=25), clock_ns
        self.video.write(drawn, clock_ns)

    def _video_path(self) -> Path:
        """--record's file, or beside it one that names the time or the life, where there are several."""
        path, own = Path(self.node.config.renderer.record), self.node.config.renderer
        if own.segment_s:
            return path.with_stem(f"{path.stem}-{time.strftime('%Y%m%d-%H%M%S')}")
        return path.with_stem(f"{path.stem}-{self.lives + 1}") if self.lives else path

    def _count(self, scene: Scene) -> None:
        captured_ns = self._clock_ns(scene.frame.stamp)
        self.passed_over += scene.masks.passed_over
        if 0 < self.last_ns < captured_ns:
            rate = 1e9 / (captured_ns - self.last_ns)
            self.fps = FPS_MEMORY * self.fps + (1 - FPS_MEMORY) * rate if self.fps else rate
        self.last_ns = captured_ns

    def _hud(self, scene: Scene) -> Hud:
        stamp = scene.frame.stamp
        return Hud(
            fps=self.fps,
            age_ms=(time.monotonic_ns() - stamp.captured_ns) / 1e6,
            passed_over=self.passed_over,
            session=stamp.session,
            frame_id=stamp.frame_id,
            camera=stamp.camera,
        )

    def _snapshot(self, request: int, scene: Scene, drawn: Array) -> None:
        """Write the picture and its label image; the supervisor passes the paths on."""
        stamp = scene.frame.stamp
        base = Path(self.node.config.renderer.snapshots) / f"{stamp.camera}-{stamp.session}-{stamp.frame_id:06d}"
        picture, labels = base.with_suffix(".png"), base.with_name(base.name + "-labels.png")
        try:
            picture.parent.mkdir(parents=True, exist_ok=True)
            save_png(picture, drawn)
            replace_file(labels, label_png(scene.masks.label_image()))
        except OSError as error:
            self.node.report(Answer, request=request, error=f"{picture} can't be written: {error.strerror}")
            return
        result = {"picture": str(picture.resolve()), "labels": str(labels.resolve())}
        self.node.report(Answer, request=request, result=result)
