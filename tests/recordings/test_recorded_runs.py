"""Runs that record a network camera: its packets as they came, also after a kill; masks beside them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys

import av
import pytest
from recordings.packet_feed import PacketFeed, times_in
from rtsp_fixture import start_rtsp_server
from running import ROOT, nodes_of, until

from nodes.capture.node import make_stage
from stream.commands import Record, StartCapture
from stream.errors import ConfigError
from stream.in_memory import InMemoryNode
from stream.recordings.folder import reconciled
from stream.recordings.mask_lines import read_lines
from stream.recordings.packets import SegmentClock
from stream.recordings.segment_file import SegmentFile
from stream.reports import Answer
from stream.settings.config import Capture, Config, Recording, Renderer
from stream.settings.recordings import recording_node
from stream.topology import has_sinks, wiring


def config_of(source="rtsp://camera/1", record="there/", **recording):
    return Config(capture=Capture(source=source), renderer=Renderer(record=record), recording=Recording(**recording))


def test_a_network_cameras_packets_are_copied_by_capture_and_anything_else_is_encoded_by_the_renderer(tmp_path):
    assert recording_node(config_of()) == "capture"
    assert recording_node(config_of(record=str(tmp_path))) == "capture"
    assert recording_node(config_of(overlay=True)) == "renderer"
    assert recording_node(config_of(source="demo")) == "renderer"
    assert recording_node(config_of(record="live.mp4")) == ""
    assert recording_node(config_of(record="")) == ""


def test_the_renderer_reads_no_scene_for_what_capture_copies_and_capture_reads_masks_for_objects_alone():
    assert not has_sinks(config_of())
    assert has_sinks(config_of(overlay=True))
    assert "masks" not in wiring(config_of()).nodes["capture"].reads
    assert "masks" in wiring(config_of(when="objects")).nodes["capture"].reads


@pytest.mark.parametrize("node", ["capture", "renderer", "publisher", "web", "decoder"])
def test_what_is_off_is_not_loaded(node):
    modules = ("stream.recordings.recorder", "stream.recordings.segment_file", "nodes.publisher.mask_recorder")
    modules += ("nodes.publisher.event_stream", "nodes.publisher.zones", "nodes.decoder.replay")
    check = f"import sys, nodes.{node}.node; print([m for m in {modules!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_packets_are_copied_bit_by_bit_and_recording_can_be_switched_off_and_on(tmp_path):
    feed, clock = PacketFeed(), SegmentClock(0.04)
    clip = SegmentFile(tmp_path / "clip.mp4", feed.template)
    for packet in feed.take(2.4):
        clip.write(packet, *clock.place(packet))
    clip.close()
    config = Config(
        capture=Capture(source=str(tmp_path / "clip.mp4"), realtime=True, camera="door"),
        renderer=Renderer(record=f"{tmp_path}/records/"),
        recording=Recording(keep_free_mb=0),
    )
    node = InMemoryNode()
    stage = make_stage(config, node)
    node.start(stage, StartCapture())
    until(lambda: (stage.on_idle(), node.ended)[1], "the end of the clip")
    assert stage.progress().gauges["recording"] == 1.0
    node.start(stage, Record(on=False, request=7))
    (answer,) = node.take(Answer)
    assert (answer.request, answer.result["recording"]) == (7, False)
    stage.close()
    assert stage.progress().sinks["record"].files == 1
    (video,) = (tmp_path / "records" / "door").glob("*.mp4")
    assert answer.result["path"] == str(video)
    assert packets_in(video) == packets_in(tmp_path / "clip.mp4")


def test_a_folder_that_another_run_records_into_is_refused(tmp_path):
    first = make_stage(config_of(record=f"{tmp_path}/"), InMemoryNode())
    with pytest.raises(ConfigError, match="another run records there"):
        make_stage(config_of(record=f"{tmp_path}/"), InMemoryNode())
    first.close()
    make_stage(config_of(record=f"{tmp_path}/"), InMemoryNode()).close()


def packets_in(path):
    with av.open(str(path)) as video:
        return [bytes(p) for p in video.demux(video=0) if p.size]


def test_a_camera_is_recorded_as_it_is_and_every_segment_plays_after_the_whole_graph_was_killed(start, tmp_path):
    folder = tmp_path / "records" / "door"
    with start_rtsp_server() as camera:
        run = start(
            "--source", camera.url, "--record", f"{tmp_path}/records/", "--box", "250,100,400,250",
            "--set", "capture.camera=door", "--set", "recording.segment_s=2",
        )  # fmt: skip
        until(lambda: len(list(folder.glob("*.mp4"))) >= 3, "three segments")
        until(lambda: any(p.stat().st_size for p in folder.glob("*.masks.jsonl")), "masks")
        status = run.ctl("stats")
        assert status["recording"]
        assert status["sinks"]["record"] in ("written", "nothing written")  # by the newest heartbeat
        pids = [run.process.pid, *nodes_of(run.process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        run.wait()
        until(lambda: not nodes_of(pids[0]), "the end of the nodes")
    segments = reconciled(folder, "door")
    assert [s.name for s in segments] == sorted(p.stem for p in folder.glob("*.mp4"))
    assert len(segments) >= 2  # the newest may not have had a whole fragment
    for segment in segments:
        times = times_in(folder / f"{segment.name}.mp4")
        seconds = (segment.end_unix_ns - segment.start_unix_ns) / 1e9
        assert times[-1] >= seconds - 2.5
        with av.open(str(folder / f"{segment.name}.mp4")) as video:
            assert next(video.demux(video=0)).is_keyframe
    for earlier, later in itertools.pairwise(segments):
        assert abs(later.start_unix_ns - earlier.end_unix_ns) < 1e8
    masks = [path for s in segments if (path := folder / f"{s.name}.masks.jsonl").exists()]
    lines = [line for path in masks for line in read_lines(path)]
    assert lines
    assert all(0 <= line.t < 10 for line in lines)
