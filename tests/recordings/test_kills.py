"""Recordings of whole runs whose renderer or whose every process is killed at any moment (`make slow`)."""

from __future__ import annotations

import os
import signal
import time

import pytest
from recordings.packet_feed import times_in
from rtsp_fixture import start_rtsp_server
from running import LOOP, nodes_of, until

from stream.recordings.folder import reconciled
from stream.recordings.mask_lines import read_lines

pytestmark = pytest.mark.slow

FRAGMENT_S = 2.0
A_FRAME_S = 0.2  # of a run of 5 frames/s or more, with what is on its way to the disk
SMALL = (*LOOP, "--set", "capture.demo_size=320x180", "--set", "capture.demo_fps=10")


def last_pictures(folder):
    """(when it began, when its last picture is shown) of each video, s since 1970, by the files alone."""
    return [(s.start_unix_ns / 1e9, s.start_unix_ns / 1e9 + times_in(folder / f"{s.name}.mp4")[-1])
            for s in reconciled(folder, folder.name)]  # fmt: skip


def kill_all(run):
    pids = [run.process.pid, *nodes_of(run.process.pid)]
    killed_s = time.time()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    run.wait()
    until(lambda: not nodes_of(pids[0]), "the end of the nodes")
    return killed_s


@pytest.mark.parametrize("segment_s", [3, 7])
def test_what_the_renderer_had_recorded_plays_after_it_was_killed_and_it_goes_on(start, tmp_path, segment_s):
    folder = tmp_path / "records" / "camera"
    run = start(*SMALL, "--record", f"{tmp_path}/records/", "--set", f"recording.segment_s={segment_s}",
                "--set", "recording.overlay=true")  # fmt: skip
    until(lambda: len(list(folder.glob("*.mp4"))) >= 2, "two segments")
    killed_s = []
    for _ in range(2):
        files = set(folder.glob("*.mp4"))
        newest_s = time.time()
        until(lambda since=newest_s: time.time() > since + 2.7, "something in the newest fragment")
        killed_s.append(time.time())
        os.kill(run.pids()["renderer"], signal.SIGKILL)
        until(lambda files=files: set(folder.glob("*.mp4")) - files, "a segment of the next renderer")
    until(lambda: time.time() > killed_s[-1] + 5, "some of it on the disk")
    killed_s.append(kill_all(run))
    ends_s = [end for _, end in last_pictures(folder)]
    for at_s in killed_s:
        before = [end for end in ends_s if end <= at_s + A_FRAME_S]
        assert at_s - max(before) < FRAGMENT_S + 1, (at_s, ends_s)  # a busy machine's pictures come late


def test_objects_alone_are_recorded_with_pre_and_post_roll_and_play_after_a_kill(start, tmp_path):
    folder = tmp_path / "records" / "door"
    with start_rtsp_server() as camera:
        run = start(
            "--source", camera.url, "--record", f"{tmp_path}/records/", "--set", "capture.camera=door",
            "--set", "recording.when=objects", "--set", "recording.pre_s=3", "--set", "recording.post_s=2",
            "--set", "recording.segment_s=4",
        )  # fmt: skip
        until(lambda: run.ctl("stats").get("frames", {}).get("captured", 0) > 150, "six seconds without an object")
        assert list(folder.glob("*.mp4")) == []
        run.ctl("add", "--box", "250,100,400,250")
        added_s = time.time()
        run.tracks(1)
        until(lambda: time.time() > added_s + 3, "three seconds with it")
        run.ctl("remove", "1")
        removed_s = time.time()
        until(lambda: time.time() > removed_s + 7, "the end of the post-roll")
        spans = last_pictures(folder)
        assert spans[0][0] < added_s - 1.5  # from the key frame before the pre-roll's begin
        assert removed_s < spans[-1][1] < removed_s + 5
        run.ctl("add", "--box", "250,100,400,250")
        before = len(spans)
        until(lambda: len(list(folder.glob("*.mp4"))) > before, "another recording")
        again_s = time.time()
        until(lambda: time.time() > again_s + 5, "some of it")
        killed_s = kill_all(run)
    assert killed_s - last_pictures(folder)[-1][1] < FRAGMENT_S + 1
    masks = [line for p in folder.glob("*.masks.jsonl") for line in read_lines(p)]
    assert any(line.objects for line in masks)
