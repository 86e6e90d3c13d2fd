"""The shell of the publisher: what it sends to the world, how it numbers that, and what it reports."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from public_wire.ellipse_masks import STAMP, two_balls

from nodes.publisher.node import PublisherStage, make_stage
from stream.commands import PublishStatus, SetLabels, Start
from stream.in_memory import InMemoryNode
from stream.messages import Frame, Masks, Scene
from stream.public_wire.messages import Received, unpack_frame, unpack_masks, unpack_scene, unpack_status
from stream.settings.config import Capture, Config, Publisher

NOW_S = STAMP.captured_ns / 1e9 + 0.08  # 80 ms after the frame was captured


@pytest.fixture
def node() -> InMemoryNode:
    return InMemoryNode(now_s=NOW_S)


def stage_at(node: InMemoryNode, **publisher: object) -> PublisherStage:
    stage = make_stage(Config(capture=Capture(camera="door"), publisher=Publisher(**publisher)), node)
    node.start(stage, Start())
    return stage


def masks_at(frame_id: int, passed_over: int = 3) -> Masks:
    return replace(two_balls(), stamp=replace(STAMP, frame_id=frame_id), passed_over=passed_over)


def published(node: InMemoryNode) -> list[Received]:
    return [unpack_masks(parts) for parts in node.broadcast.sent]


def test_masks_are_published_and_counted_as_steps_of_the_feed(node):
    stage = stage_at(node)
    assert node.give(stage, masks_at(42))
    (received,) = published(node)
    assert received.masks.stamp == STAMP
    assert [o.object_id for o in received.masks.objects] == [1, 300, 7]
    assert received.published_ns == pytest.approx(NOW_S * 1e9)
    assert node.steps == 1


def test_the_sequence_counts_the_masks_messages_of_this_publisher(node):
    stage = stage_at(node)
    for frame_id in (42, 43, 50):
        node.give(stage, masks_at(frame_id))
    assert [r.sequence for r in published(node)] == [0, 1, 2]
    assert len({r.publisher for r in published(node)}) == 1


def test_a_restarted_publisher_bears_another_name_and_counts_from_0_again(node):
    node.give(stage_at(node), masks_at(42))
    node.give(stage_at(node), masks_at(43))
    first, second = published(node)
    assert first.publisher != second.publisher
    assert (first.sequence, second.sequence) == (0, 0)


def test_frames_passed_over_are_the_gap_between_published_frames(node):
    stage = stage_at(node)
    for frame_id in (42, 43, 50, 50, 7):
        node.give(stage, masks_at(frame_id))
    # the first cannot know and takes what the decoder says; a count that steps back is no gap
    assert [r.masks.passed_over for r in published(node)] == [3, 0, 6, 0, 0]


def test_the_codec_is_as_configured(node):
    node.give(stage_at(node, codec="png"), masks_at(42))
    assert node.broadcast.sent[0][2].startswith(b"\x89PNG")
    assert np.array_equal(published(node)[0].label_image(), two_balls().label_image())


def test_a_picture_is_published_as_jpeg_and_is_no_step_of_the_feed(node):
    stage = stage_at(node, frames=True)
    rgb = np.full((48, 64, 3), 90, np.uint8)
    assert not node.give(stage, Frame(stamp=STAMP, rgb=rgb))
    frame = unpack_frame(node.broadcast.sent[0])
    assert frame.stamp == STAMP
    assert np.abs(frame.rgb.astype(int) - 90).max() <= 2
    assert stage.progress().counters == {"published": 0, "scenes": 0}


def test_scenes_are_wanted_while_somebody_subscribes_to_them(node):
    stage = stage_at(node, scenes=True)
    assert stage.wants("masks")
    wanted = {}
    for prefix in ("masks/", "scenes/garden", "scenes/door2", "scenes/", "scenes/door", ""):
        node.broadcast.subscriptions = {prefix}
        wanted[prefix] = stage.wants("scenes")
    assert [prefix for prefix, want in wanted.items() if want] == ["scenes/", "scenes/door", ""]


def test_a_scene_is_published_with_its_picture_and_is_no_step_of_the_feed(node):
    stage = stage_at(node, scenes=True)
    node.start(stage, SetLabels(labels={7: "cat"}))
    for frame_id in (42, 45):
        stamp = replace(STAMP, frame_id=frame_id)
        frame = Frame(stamp=stamp, rgb=np.full((48, 64, 3), 90, np.uint8))
        assert not node.give(stage, Scene(frame=frame, masks=masks_at(frame_id)))
    first, second = [unpack_scene(parts) for parts in node.broadcast.sent]
    assert [(r.sequence, r.masks.stamp.frame_id, r.masks.passed_over) for r in (first, second)] == [
        (0, 42, 0),
        (1, 45, 2),
    ]
    assert np.abs(first.picture().astype(int) - 90).max() <= 2
    assert [o.label for o in first.masks.objects] == ["", "", "cat"]
    assert stage.progress().counters == {"published": 0, "scenes": 2}


def test_masks_bear_the_labels_that_were_set_last(node):
    stage = stage_at(node)
    for labels in ({}, {1: "cat"}, {300: "dog"}):
        node.start(stage, SetLabels(labels=labels))
        node.give(stage, masks_at(42))
    assert [[o.label for o in r.masks.objects] for r in published(node)] == [
        ["", "", ""],
        ["cat", "", ""],
        ["", "dog", ""],
    ]


def test_a_picture_that_jpeg_can_not_hold_is_left_out_and_ends_nothing(node, caplog):
    stage = stage_at(node, frames=True)
    assert not node.give(stage, Frame(stamp=STAMP, rgb=np.zeros((1, 65_501, 3), np.uint8)))
    assert node.broadcast.sent == []
    assert "a picture is not published: JPEG can't hold 65501x1" in caplog.text


def test_the_status_is_published_as_it_comes(node):
    node.start(stage_at(node), PublishStatus(status='{"phase": "running"}'))
    header = unpack_status(node.broadcast.sent[0])
    assert (header.camera, header.status) == ("door", {"phase": "running"})


def test_progress_says_how_many_were_published_and_how_old_they_were(node):
    stage = stage_at(node)
    before = stage.progress()
    assert (before.frame_id, before.counters) == (-1, {"published": 0, "scenes": 0})
    node.give(stage, masks_at(42))
    node.give(stage, masks_at(44))
    progress = stage.progress()
    assert (progress.frame_id, progress.counters) == (44, {"published": 2, "scenes": 0})
    names = ("latency_p50", "latency_p95", "latency_p99", "recent_latency_p50", "recent_latency_p95")
    assert {name: pytest.approx(80, rel=0.02) for name in names} == progress.gauges


def test_closing_closes_the_socket(node):
    stage = stage_at(node)
    stage.close()
    assert node.broadcast.closed
