"""The shell of capture: what its commands do, and what it sends and reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from capture.clips import shade
from capture.scripted_feeds import ScriptedSource, Step, Wakes, blocker

import nodes.capture.node as capture_node
from nodes.capture.node import REPEAT_S, REPEATS, CaptureStage, make_stage
from stream.commands import Pause, RepeatPicture, Resume, StartCapture
from stream.errors import SourceError
from stream.in_memory import InMemoryNode
from stream.messages import Frame
from stream.reports import Opened
from stream.settings.config import Capture, Config


class WaitingNode(InMemoryNode):
    """A node without sockets whose rounds begin when the feed's thread wakes it."""

    def __init__(self) -> None:
        super().__init__()
        self._wakes = Wakes()

    def wake(self) -> None:
        super().wake()
        self._wakes()

    def serve(self, stage: CaptureStage, until: Callable[[], bool]) -> None:
        """Rounds until something is true."""

        def round_of() -> bool:
            stage.on_idle()
            return until()

        self._wakes.wait_for(round_of)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch):
    """A stage whose source follows a script; closed at the end."""
    stages = []

    def make(script: Sequence[Step], *, source: str = "clip.mp4", **config: object) -> tuple[CaptureStage, WaitingNode]:
        live = source.startswith("rtsp:")
        monkeypatch.setattr(capture_node, "make_source", lambda *_: ScriptedSource(list(script), live=live, fps=25))
        node = WaitingNode()
        stages.append(make_stage(Config(capture=Capture(source=source, camera="yard", **config)), node))
        return stages[-1], node

    yield make
    for stage in stages:
        stage.close()


def test_every_frame_is_sent_and_then_the_feed_ends(play):
    stage, node = play([shade(i) for i in range(5)])
    node.start(stage, StartCapture())
    node.serve(stage, lambda: node.ended)
    assert [f.stamp.frame_id for f in node.take(Frame)] == [0, 1, 2, 3, 4]
    assert node.steps == 5
    progress = stage.progress()
    assert (progress.phase, progress.frame_id) == ("ended", 4)
    assert progress.counters == {**dict.fromkeys(progress.counters, 0), "captured": 5}
    assert set(progress.gauges) == {"session", "fps", "frame_age_s", "frozen_s", "black_s"}


def test_nothing_is_opened_before_the_start_command(play):
    stage, node = play([shade(0)])
    stage.on_idle()
    assert not node.sent
    assert not node.reports
    assert stage.progress().counters == {}


def test_a_second_start_command_changes_nothing(play):
    stage, node = play([shade(0), shade(1)])
    node.start(stage, StartCapture(), StartCapture(frame_id=100))
    node.serve(stage, lambda: node.ended)
    assert [f.stamp.frame_id for f in node.take(Frame)] == [0, 1]


def test_the_size_is_reported_before_the_first_frame_of_that_size(play):
    stage, node = play([shade(0), shade(1, (32, 48)), shade(2, (32, 48))])
    order: list[object] = []
    node.send = lambda message: order.append(message.size)
    node.report = order.append
    node.start(stage, StartCapture())
    node.serve(stage, lambda: node.ended)
    reports = [o for o in order if isinstance(o, Opened)]
    assert [(r.size, r.epoch) for r in reports] == [((64, 96), 0), ((32, 48), 1)]
    assert order == [reports[0], (64, 96), reports[1], (32, 48), (32, 48)]
    assert reports[0].fps == 25


def test_the_demo_suggests_prompts_with_its_first_report_alone():
    node = WaitingNode()
    stage = make_stage(Config(capture=Capture(demo_frames=1, demo_size="160x90")), node)
    node.start(stage, StartCapture())
    node.serve(stage, lambda: node.ended)
    stage.close()
    (opened,) = node.take(Opened)
    assert [p.object_id for p in opened.prompts] == [1, 2, 3]


def test_a_restarted_capture_goes_on_where_its_last_life_ended(play):
    stage, node = play([shade(i) for i in range(5)])
    node.start(stage, StartCapture(frame_id=3, session=2, epoch=4))
    node.serve(stage, lambda: node.ended)
    stamps = [f.stamp for f in node.take(Frame)]
    assert [(s.frame_id, s.session, s.epoch) for s in stamps] == [(3, 2, 4), (4, 2, 4)]
    assert stage.progress().gauges["session"] == 2


def test_frames_wait_while_a_reader_is_behind_and_so_does_the_end(play):
    stage, node = play([shade(0), shade(1)])
    node.has_room = False
    node.start(stage, StartCapture())
    node.serve(stage, lambda: stage.progress().counters.get("captured") == 2)
    assert not node.sent
    assert not node.ended
    node.has_room = True
    node.serve(stage, lambda: node.ended)
    assert len(node.take(Frame)) == 2


def test_a_held_feed_sends_nothing_until_it_is_resumed(play):
    block, go_on = blocker()
    stage, node = play([block, shade(0), shade(1)])
    node.start(stage, StartCapture(), Pause())
    go_on.set()
    node.serve(stage, lambda: stage.progress().phase == "paused")
    assert not node.sent
    node.start(stage, Resume())
    node.serve(stage, lambda: node.ended)
    assert len(node.take(Frame)) == 2


def test_a_paused_live_feed_gives_its_picture_again_while_something_is_to_be_seen(play):
    block, end = blocker()
    stage, node = play([shade(0), block], source="rtsp://yard")
    node.start(stage, StartCapture())
    node.serve(stage, lambda: stage.progress().frame_id == 0)
    node.start(stage, Pause(), RepeatPicture())
    for _ in range(3 * REPEATS):
        node.time_s += REPEAT_S
        stage.on_idle()
    assert [f.stamp.frame_id for f in node.take(Frame)] == list(range(1 + REPEATS))
    end.set()


def test_a_source_that_cannot_be_opened_ends_the_node_with_its_error(play):
    stage, node = play([SourceError("no such file")])
    node.start(stage, StartCapture())
    with pytest.raises(SourceError, match="no such file"):
        node.serve(stage, lambda: False)
    assert stage.progress().phase == "failed"


def test_a_camera_that_was_open_in_an_earlier_life_is_waited_for(play):
    stage, node = play([SourceError("away")], source="rtsp://camera/1", backoff_s=30.0)
    node.start(stage, StartCapture(opened_before=True))
    node.serve(stage, lambda: stage.progress().phase == "backing off")


def test_closing_stops_the_thread_that_reads(play):
    stage, node = play([shade(i) for i in range(100)])
    node.start(stage, StartCapture())
    node.serve(stage, lambda: len(node.sent) > 1)
    stage.close()
    captured = stage.progress().counters["captured"]
    assert captured < 100
    stage.on_idle()
    assert stage.progress().counters["captured"] == captured


def test_a_stage_that_never_started_can_be_closed():
    make_stage(Config(), InMemoryNode()).close()


def test_a_file_called_demo_gets_no_prompts_of_the_drawn_scene(play, tmp_path, monkeypatch):
    (tmp_path / "demo").write_bytes(b"a film")
    monkeypatch.chdir(tmp_path)
    stage, node = play([shade(0)], source="demo")
    node.start(stage, StartCapture())
    node.serve(stage, lambda: node.ended)
    assert [r.prompts for r in node.reports if isinstance(r, Opened)] == [()]
