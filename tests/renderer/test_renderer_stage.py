"""The shell of the renderer: which scenes it wants, what it draws where, and what is done in its window."""

from __future__ import annotations

import errno
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from msgspec.structs import replace
from renderer.box_masks import box_object, gray, masks_of

import nodes.renderer.node as renderer_node
from nodes.renderer.node import RendererStage, make_stage
from stream.commands import Record, SetLabels, Start, TakeSnapshot
from stream.errors import ConfigError
from stream.in_memory import InMemoryNode
from stream.messages import Frame, Scene
from stream.reports import Answer
from stream.settings.config import Capture, Config, Renderer

SIZE = (90, 160)


def scene_at(frame_id: int, time_s: float | None = None, *, pts_s: float | None = None, passed_over: int = 0) -> Scene:
    masks = masks_of(box_object(3, (40, 20, 30, 20)), frame_id=frame_id, size=SIZE)
    captured_ns = round((frame_id / 25 if time_s is None else time_s) * 1e9)
    stamp = replace(masks.stamp, captured_ns=captured_ns, pts_s=pts_s)
    return Scene(frame=Frame(stamp=stamp, rgb=gray(SIZE)), masks=replace(masks, stamp=stamp, passed_over=passed_over))


def stage_with(
    node: InMemoryNode, *, source: str = "rtsp://camera/1", restarts: int = 0, **sinks: Any
) -> RendererStage:
    config = Config(capture=Capture(source=source, camera="door"), renderer=Renderer(**sinks))
    stage = make_stage(config, node)
    node.start(stage, Start(restarts=restarts))
    return stage


def frames_in(path: Path) -> list[float]:
    """When each picture of a video is shown, s."""
    with av.open(str(path)) as video:
        return [round(frame.time, 2) for frame in video.decode(video=0)]


@pytest.fixture
def node() -> InMemoryNode:
    return InMemoryNode()


def test_without_sinks_scenes_are_wanted_for_snapshots_alone(node, tmp_path):
    stage = stage_with(node, snapshots=str(tmp_path))
    assert not stage.wants("scenes")
    node.start(stage, TakeSnapshot(request=7))
    assert stage.wants("scenes")
    node.give(stage, scene_at(0))
    assert not stage.wants("scenes")


@pytest.mark.parametrize("sink", ["record", "save_masks", "picture"])
def test_a_sink_wants_every_scene(node, tmp_path, sink):
    path = {"record": "live.mp4", "save_masks": "masks", "picture": "picture.png"}[sink]
    assert stage_with(node, **{sink: str(tmp_path / path)}).wants("scenes")


def test_a_sink_that_cannot_be_written_is_refused_at_the_start(node, tmp_path):
    with pytest.raises(ConfigError, match="--record"):
        stage_with(node, record=str(tmp_path / "live.avi"))


def test_objects_are_drawn_with_the_labels_that_were_set_last(node, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(renderer_node.Painter, "draw", lambda _, rgb, masks, hud: drawn.append(masks) or rgb)
    stage = stage_with(node, picture=str(tmp_path / "picture.png"))
    for labels in ({}, {3: "cat"}, {}):
        node.start(stage, SetLabels(labels=labels))
        node.give(stage, scene_at(5))
    assert [masks.objects[0].label for masks in drawn] == ["", "cat", ""]


def test_label_images_are_written_as_the_scenes_come(node, tmp_path):
    stage = stage_with(node, save_masks=str(tmp_path))
    assert node.give(stage, scene_at(5))
    labels = cv2.imread(str(tmp_path / "00005.png"), cv2.IMREAD_UNCHANGED)
    assert labels.shape[:2] == SIZE


def test_name_and_pixel_aspect_of_a_frame_reach_what_is_written(node, tmp_path):
    stage = stage_with(node, save_masks=str(tmp_path), record=str(tmp_path / "live.mp4"))
    scene = scene_at(5)
    node.give(stage, replace(scene, frame=replace(scene.frame, name=b"img_0042", pixel_aspect=(4, 3))))
    stage.finish()
    assert (tmp_path / "img_0042.png").is_file()
    with av.open(str(tmp_path / "live.mp4")) as video:
        assert video.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_a_live_recording_plays_as_the_frames_were_captured(node, tmp_path):
    stage = stage_with(node, record=str(tmp_path / "live.mp4"))
    for i, time_s in enumerate((10.0, 10.1, 10.5)):
        node.give(stage, scene_at(i, time_s, pts_s=i / 25))
    stage.finish()
    assert frames_in(tmp_path / "live.mp4") == [0.0, 0.1, 0.5]


def test_the_recording_of_a_file_plays_at_the_files_own_times(node, tmp_path):
    stage = stage_with(node, source="clip.mp4", record=str(tmp_path / "live.mp4"))
    for i in range(3):
        node.give(stage, scene_at(i, 10 + 2 * i, pts_s=i / 10))
    stage.finish()
    assert frames_in(tmp_path / "live.mp4") == [0.0, 0.1, 0.2]


def test_a_recording_is_switched_on_and_off_while_the_run_goes_on(node, tmp_path):
    stage = stage_with(node, snapshots=str(tmp_path / "snapshots"))
    told = []
    for i, on in enumerate((False, True, True, False, False, True)):
        node.start(stage, Record(on=on, request=i))
        (answer,) = node.take(Answer)
        told.append((answer.request, answer.result["recording"], Path(str(answer.result["path"])).name))
        assert stage.wants("scenes") == on
        assert stage.progress().gauges == {"recording": float(on)}
        for frame_id in (2 * i, 2 * i + 1):
            node.give(stage, scene_at(frame_id))
    stage.close()
    first, second = "door-recording.mp4", "door-recording-2.mp4"
    assert told == [
        (0, False, ""),
        (1, True, first),
        (2, True, first),
        (3, False, first),
        (4, False, first),
        (5, True, second),
    ]
    assert {p.name: len(frames_in(p)) for p in (tmp_path / "snapshots").iterdir()} == {first: 4, second: 2}
    progress = stage.progress()
    assert (progress.counters["record_written"], progress.sinks["record"].files) == (6, 2)


def test_a_recording_from_the_start_on_goes_on_in_another_file(node, tmp_path):
    stage = stage_with(node, record=str(tmp_path / "live.mp4"))
    for i, on in enumerate((True, False, True)):
        node.start(stage, Record(on=on, request=i))
        node.give(stage, scene_at(i))
    stage.close()
    paths = [answer.result["path"] for answer in node.take(Answer)]
    assert paths == [str(tmp_path / name) for name in ("live.mp4", "live.mp4", "live-2.mp4")]
    assert {p.name: len(frames_in(p)) for p in tmp_path.iterdir()} == {"live.mp4": 1, "live-2.mp4": 1}


def test_a_recording_without_a_picture_leaves_no_file_and_is_not_reported(node, tmp_path):
    stage = stage_with(node, snapshots=str(tmp_path))
    node.start(stage, Record(on=True, request=1))
    assert stage.progress().sinks["record"].path == str(tmp_path / "door-recording.mp4")
    node.start(stage, Record(on=False, request=2))
    assert list(tmp_path.iterdir()) == []
    assert stage.progress().sinks == {}


def test_a_recording_that_can_not_be_written_is_refused(node, tmp_path):
    (tmp_path / "file").write_text("")
    stage = stage_with(node, snapshots=str(tmp_path / "file" / "below"))
    node.start(stage, Record(on=True, request=3))
    (answer,) = node.take(Answer)
    assert (answer.request, answer.result) == (3, {})
    assert "can't be made" in answer.error
    assert not stage.wants("scenes")


def test_a_restarted_renderer_does_not_write_over_the_recording_of_its_last_life(node, tmp_path):
    stage = stage_with(node, record=str(tmp_path / "live.mp4"), restarts=2)
    node.give(stage, scene_at(0))
    stage.close()
    assert [p.name for p in tmp_path.iterdir()] == ["live-3.mp4"]


def test_a_recording_with_a_limit_goes_on_in_another_file(node, tmp_path, monkeypatch):
    moments = iter(["20260101-000000", "20260101-000002"])
    monkeypatch.setattr("nodes.renderer.recording.time.strftime", lambda _: next(moments))
    stage = stage_with(node, record=str(tmp_path / "live.mp4"), segment_s=2.0)
    for i, time_s in enumerate((0.0, 1.0, 2.0, 3.0)):
        node.give(stage, scene_at(i, time_s))
    stage.finish()
    assert {p.name: len(frames_in(p)) for p in sorted(tmp_path.iterdir())} == {
        "live-20260101-000000.mp4": 2,
        "live-20260101-000002.mp4": 2,
    }


def test_the_picture_is_the_frame_that_was_named_or_the_last_one_before_it(node, tmp_path, monkeypatch):
    monkeypatch.setattr(renderer_node.Painter, "draw", lambda _, rgb, masks, hud: gray(SIZE, hud.frame_id))
    stage = stage_with(node, picture=str(tmp_path / "picture.png"), picture_frame=1)
    for i in range(4):
        node.give(stage, scene_at(i))
    assert not (tmp_path / "picture.png").exists()
    stage.finish()
    assert np.array_equal(cv2.imread(str(tmp_path / "picture.png")), gray(SIZE, 1))


def test_a_snapshot_writes_picture_and_labels_and_answers_each_request(node, tmp_path):
    stage = stage_with(node, snapshots=str(tmp_path / "snapshots"))
    node.start(stage, TakeSnapshot(request=1), TakeSnapshot(request=2))
    node.give(stage, scene_at(12))
    first, second = node.take(Answer)
    assert (first.request, second.request) == (1, 2)
    assert [Path(p).name for p in first.result.values()] == ["door-1-000012.png", "door-1-000012-labels.png"]
    assert cv2.imread(first.result["picture"]).shape == (*SIZE, 3)
    assert cv2.imread(first.result["labels"], cv2.IMREAD_UNCHANGED).shape[:2] == SIZE


def test_a_snapshot_that_cannot_be_written_is_answered_with_the_reason(node, tmp_path):
    (tmp_path / "file").touch()
    stage = stage_with(node, snapshots=str(tmp_path / "file" / "below"))
    node.start(stage, TakeSnapshot(request=1))
    assert node.give(stage, scene_at(0))
    (answer,) = node.take(Answer)
    assert answer.result == {}
    assert "can't be written" in answer.error


def test_the_line_at_the_top_holds_rate_age_and_frames_passed_over(node, tmp_path, monkeypatch):
    huds = []
    monkeypatch.setattr(renderer_node.Painter, "draw", lambda _, rgb, masks, hud: huds.append(hud) or rgb)
    stage = stage_with(node, picture=str(tmp_path / "picture.png"))
    for i in range(3):
        node.time_s = i / 10 + 0.05
        node.give(stage, scene_at(i, i / 10 + 0.01, passed_over=i))
    assert huds[-1].fps == pytest.approx(10)
    assert huds[-1].age_ms == pytest.approx(40)
    assert (huds[-1].passed_over, huds[-1].frame_id, huds[-1].session, huds[-1].camera) == (3, 2, 1, "door")


def test_progress_holds_the_newest_frame_that_was_drawn(node, tmp_path):
    stage = stage_with(node, snapshots=str(tmp_path))
    assert stage.progress().frame_id == -1
    node.start(stage, TakeSnapshot(request=1))
    node.give(stage, scene_at(9))
    assert stage.progress().frame_id == 9


def test_progress_tells_what_became_of_each_sink(node, tmp_path):
    paths = {"record": tmp_path / "live.mp4", "save_masks": tmp_path / "masks", "picture": tmp_path / "a" / "p.png"}
    stage = stage_with(node, **{key: str(path) for key, path in paths.items()})
    for i in range(3):
        node.give(stage, scene_at(i))
    (tmp_path / "a").rmdir()
    stage.finish()
    stage.close()
    progress = stage.progress()
    assert progress.counters == {"record_written": 3, "save_masks_written": 3, "picture_written": 0}
    assert {key: state.path for key, state in progress.sinks.items()} == {k: str(p) for k, p in paths.items()}
    assert {key: state.error for key, state in progress.sinks.items()} == {
        "record": "",
        "save_masks": "",
        "picture": os.strerror(errno.ENOENT),
    }
    assert stage_with(node).progress().sinks == {}


class WindowWithoutDisplay:
    """Keeps what it is given; a test does in it what a person would."""

    def __init__(self, title: str, send: Any) -> None:
        self.title, self.send = title, send
        self.shown: list[Any] = []
        self.polls = 0
        self.replies: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.closed = False

    def show(self, rgb: Any, masks: Any, pixel_aspect: Any) -> None:
        self.shown.append(masks)
        self.pixel_aspect = pixel_aspect

    def poll(self) -> None:
        self.polls += 1

    def take_reply(self, request: dict[str, Any], reply: dict[str, Any]) -> None:
        self.replies.append((request, reply))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def window(node, monkeypatch) -> tuple[RendererStage, WindowWithoutDisplay]:
    made = []

    def make(title: str, send: Any) -> WindowWithoutDisplay:
        made.append(WindowWithoutDisplay(title, send))
        return made[-1]

    monkeypatch.setattr(renderer_node, "Window", make)
    return stage_with(node, window=True), made[0]


def test_the_window_shows_every_scene_and_lives_between_them(node, window):
    stage, shown_in = window
    assert stage.wants("scenes")
    node.give(stage, scene_at(0))
    stage.on_idle()
    assert [m.stamp.frame_id for m in shown_in.shown] == [0]
    assert shown_in.polls == 2
    assert shown_in.title == "SAM-PT Live: door"


def test_what_is_done_in_the_window_is_requested_and_each_reply_finds_its_request(node, window):
    stage, shown_in = window
    add, pause = {"method": "add_object", "params": {}}, {"method": "pause", "params": {}}
    shown_in.send(add)
    shown_in.send(pause)
    assert [json.loads(body) for body in node.control.sent] == [{"id": 1, **add}, {"id": 2, **pause}]
    unrelated = {"id": 77, "result": {}}
    replies = [{"id": 2, "result": {}}, unrelated, {"id": 1, "result": {"object_id": 4}}]
    node.control.replies = [json.dumps(reply).encode() for reply in replies]
    stage.on_idle()
    assert shown_in.replies == [(pause, replies[0]), (add, replies[2])]


def test_closing_closes_the_window_and_its_client_once(node, window):
    stage, shown_in = window
    stage.finish()
    assert shown_in.closed
    assert node.control.closed
    stage.close()
    stage.on_idle()
    assert shown_in.polls == 0
