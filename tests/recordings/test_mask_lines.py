"""Masks beside a recording: written as lines, found by time, replayed, and scored."""

from __future__ import annotations

import json

import numpy as np
import pytest
from msgspec.structs import replace
from recordings.packet_feed import FPS
from renderer.box_masks import box_object, masks_of

from nodes.decoder.node import make_stage
from nodes.publisher.mask_recorder import MaskLines, MaskRecorder
from stream.errors import ConfigError
from stream.in_memory import InMemoryNode
from stream.messages import Frame, Masks, Scene, Tracks
from stream.public_wire import coco_rle
from stream.recordings.index_file import write_index
from stream.recordings.mask_lines import LineOfTime, frame_indices, read_lines, to_line
from stream.recordings.segments import Index, OpenSegment, Segment
from stream.settings.config import Config, Recording
from tools import evaluate

SIZE = (60, 80)
BEGAN_NS = 1_800_000_000 * 10**9


def masks_at(index: int, *boxes: tuple[int, int, int, int], pts_s: float | None = None) -> Masks:
    masks = masks_of(*(box_object(i, box) for i, box in enumerate(boxes, 1)), frame_id=index, size=SIZE)
    captured = BEGAN_NS + index * 10**9 // FPS
    return replace(masks, stamp=replace(masks.stamp, captured_unix_ns=captured, pts_s=pts_s))


def test_a_line_holds_what_pycocotools_takes_and_comes_back_as_the_same_masks(tmp_path):
    masks = masks_at(7, (10, 20, 30, 12), (50, 3, 9, 9))
    line = to_line(masks, 0.28)
    plain = json.loads(line)
    assert plain["version"] == 1
    first = plain["objects"][0]
    assert first["segmentation"]["size"] == [60, 80]
    decoded = coco_rle.decode(first["segmentation"]["counts"].encode(), tuple(first["bbox"]), SIZE)
    assert decoded.sum() == first["area"]
    (tmp_path / "a.masks.jsonl").write_bytes(line + to_line(masks_at(8), 0.32) + line[:50])
    seven, eight = read_lines(tmp_path / "a.masks.jsonl")
    assert np.array_equal(seven.masks(masks.stamp).label_image(), masks.label_image())
    assert eight.objects == []


def test_a_file_that_holds_no_lines_of_masks_is_refused_with_the_line(tmp_path):
    path = tmp_path / "a.masks.jsonl"
    path.write_text('{"version": 1}\n\n')
    with pytest.raises(ConfigError, match="line 1"):
        read_lines(path)
    with pytest.raises(ConfigError, match="can't be read"):
        read_lines(tmp_path / "none")


def test_a_line_is_found_by_the_time_of_its_frame_and_no_other_frame_has_it():
    lines = [json_line for i in (0, 1, 3) for json_line in [_line(i)]]
    of_time = LineOfTime(lines)
    assert [getattr(of_time.at(i / FPS + 0.004), "frame_id", None) for i in range(5)] == [0, 1, None, 3, None]
    assert {i: line.frame_id for i, line in frame_indices(lines).items()} == {0: 0, 1: 1, 3: 3}


def _line(index: int):
    import msgspec

    from stream.recordings.mask_lines import MaskLine

    return msgspec.json.decode(to_line(masks_at(index), index / FPS), type=MaskLine)


def finished(name: str, start_s: float, end_s: float, origin: float | None = None) -> Segment:
    ns = (BEGAN_NS + round(start_s * 1e9), BEGAN_NS + round(end_s * 1e9))
    return Segment(name=name, start_unix_ns=ns[0], end_unix_ns=ns[1], video_bytes=9, origin_pts_s=origin)


def test_masks_go_to_the_segment_of_their_picture_also_when_they_come_late(tmp_path):
    for name in ("door-1", "door-2"):
        (tmp_path / f"{name}.mp4").touch()
    lines = MaskLines(tmp_path)
    lines.take(masks_at(0, (0, 0, 5, 5)))  # before the index is there
    write_index(
        tmp_path / "index.json", Index(camera="door", writing=OpenSegment(name="door-1", start_unix_ns=BEGAN_NS))
    )
    for i in range(1, 20):
        lines.take(masks_at(i))
    second = OpenSegment(name="door-2", start_unix_ns=BEGAN_NS + 10**9)
    write_index(tmp_path / "index.json", Index(camera="door", segments=[finished("door-1", 0, 1)], writing=second))
    for i in range(20, 40):
        lines.take(masks_at(i))
    lines.settle()
    lines.flush(1e9)
    lines.close()
    first, second = (read_lines(tmp_path / f"door-{n}.masks.jsonl") for n in (1, 2))
    assert [line.frame_id for line in first] == list(range(25))
    assert [line.frame_id for line in second] == list(range(25, 40))
    assert [line.t for line in second[:2]] == [0.0, 0.04]


def test_the_sources_own_times_count_where_packets_were_copied(tmp_path):
    (tmp_path / "door-1.mp4").touch()
    writing = OpenSegment(name="door-1", start_unix_ns=BEGAN_NS, origin_pts_s=100.0)
    write_index(tmp_path / "index.json", Index(camera="door", writing=writing))
    recorder = MaskRecorder(tmp_path)
    recorder.take(masks_at(3, pts_s=100.08))
    recorder.take(masks_at(4, pts_s=900.0))  # of another connection: its own times mean nothing here
    recorder.close()
    assert [line.t for line in read_lines(tmp_path / "door-1.masks.jsonl")] == [0.08, 0.16]


def test_masks_that_no_segment_holds_are_written_nowhere_and_wait_in_bounds(tmp_path):
    (tmp_path / "door-1.mp4").touch()
    lines = MaskLines(tmp_path, ring_s=2.0)
    write_index(tmp_path / "index.json", Index(camera="door", segments=[finished("door-1", -9, -5)]))
    for i in range(500):
        lines.take(masks_at(i))
    writing = OpenSegment(name="door-1", start_unix_ns=BEGAN_NS)  # a recording of objects begins before they are seen
    write_index(tmp_path / "index.json", Index(camera="door", writing=writing))
    lines.take(masks_at(500))
    lines.settle()
    lines.flush(1e9)
    lines.close()
    assert [line.frame_id for line in read_lines(tmp_path / "door-1.masks.jsonl")] == list(range(450, 501))


def test_recorded_masks_are_replayed_in_place_of_new_ones(tmp_path):
    path = tmp_path / "a.masks.jsonl"
    path.write_bytes(b"".join(to_line(masks_at(i, (i, 5, 9, 9)), i / FPS) for i in range(3)))
    node = InMemoryNode()
    stage = make_stage(Config(recording=Recording(replay_masks=str(path))), node)
    for i in (1, 2, 9):
        stamp = replace(masks_at(i).stamp, pts_s=i / FPS + 0.001)
        assert node.give(stage, Tracks(frame=Frame(stamp=stamp, rgb=np.zeros((*SIZE, 3), np.uint8))))
    assert [[o.bbox for o in m.objects] for m in node.take(Masks)] == [[(1, 5, 9, 9)], [(2, 5, 9, 9)], []]
    assert len(node.take(Scene)) == 3
    assert stage.progress().counters == {"decoded": 2, "failed": 1, "propagated": 0}


def test_lines_of_masks_are_scored_as_label_images_are(tmp_path, capsys):
    import cv2

    truth = tmp_path / "truth" / "door-1"
    truth.mkdir(parents=True)
    lines = []
    for i in range(8):
        masks = masks_at(100 + i, (i + 5, 10, 20, 20))
        cv2.imwrite(str(truth / f"{i:05d}.png"), masks.label_image())
        lines.append(to_line(masks, i / FPS))
    (tmp_path / "door-1.masks.jsonl").write_bytes(b"".join(lines))
    report = tmp_path / "report.json"
    for results in (tmp_path, tmp_path / "door-1.masks.jsonl"):
        assert (
            evaluate.main(
                [
                    "score",
                    "--results",
                    str(results),
                    "--truth",
                    str(tmp_path / "truth"),
                    "--json",
                    str(report),
                    "--jobs",
                    "1",
                ]
            )
            == 0
        )
        assert json.loads(report.read_text())["mean"]["J&F"] == pytest.approx(100.0)
