"""Capture: a source in, stamped frames out. The thread that reads is in `feed.py`."""

from __future__ import annotations

from nodes.capture.feed import Feed
from nodes.capture.sources import make_source
from stream.messages import Command, Prompt
from stream.reports import Opened
from stream.runtime import Runtime

STOP_S = 1.0  # a library call that is stuck for longer is left behind; the process ends anyway


def main(node: Runtime) -> None:
    """Run capture until its stop signal."""
    shell = Shell(node)
    try:
        node.serve({"commands": shell.obey}, turn=shell.turn)
    finally:
        if shell.feed is not None:
            shell.feed.stop(STOP_S)


class Shell:
    """Carries frames from the feed's thread to the socket."""

    def __init__(self, node: Runtime) -> None:
        self.node = node
        self.feed: Feed | None = None  # from the start command on
        self.told: tuple[int, int] | None = None  # session and epoch that the supervisor knows of
        node.heartbeat.numbers = self.numbers

    def obey(self, command: Command) -> None:
        """Carry out a command."""
        capture = self.node.config.capture
        if command.kind == "start" and self.feed is None:
            self.feed = Feed(
                lambda: make_source(capture),
                capture,
                live=self.node.config.live,
                first_frame_id=command.frame_id,
                session=command.session,
                epoch=command.epoch,
                elapsed_s=command.elapsed_s,
                opened_before=command.again,
                wake=self.node.wake,
            )
            self.feed.start()
        elif command.kind == "pause" and self.feed is not None:
            self.feed.pause()
        elif command.kind == "resume" and self.feed is not None:
            self.feed.resume()

    def turn(self) -> None:
        """Pass on what the feed has."""
        feed, node = self.feed, self.node
        if feed is None:
            return
        frames = node.publishers["frames"]
        while frames.ready and (frame := feed.take()) is not None:
            if self.told != (frame.stamp.session, frame.stamp.epoch):
                self._tell(feed, frame.size, frame.stamp.session, frame.stamp.epoch)
            node.heartbeat.frame_id = frame.stamp.frame_id
            node.heartbeat.count(frames.send, frame)
        phase = feed.phase
        node.heartbeat.phase = phase
        if phase == "failed" and feed.error is not None:
            raise feed.error
        if phase == "ended" and frames.ready:
            node.end()

    def _tell(self, feed: Feed, size: tuple[int, int], session: int, epoch: int) -> None:
        """Tell the supervisor of the picture's size, before the first frame of that size goes out."""
        opened = feed.opened
        prompts: tuple[Prompt, ...] = ()
        if self.told is None and self.node.config.capture.source == "demo":
            prompts = self._demo_prompts()
        self.told = (session, epoch)
        self.node.report(
            Opened,
            size=size,
            fps=opened.fps if opened else None,
            frames=opened.frames if opened else None,
            session=session,
            epoch=epoch,
            prompts=prompts,
        )

    def _demo_prompts(self) -> tuple[Prompt, ...]:
        from nodes.capture.sources import demo_scene

        return demo_scene(self.node.config.capture).prompts()

    def numbers(self) -> dict[str, float]:
        """What capture has to tell."""
        feed = self.feed
        if feed is None:
            return {}
        return {
            "captured": feed.captured,
            "reconnects": feed.reconnects,
            "session": feed.session,
            "fps": feed.fps or 0.0,
        }
