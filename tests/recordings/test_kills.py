"""Recordings of whole runs whose renderer or whose every process is killed at any moment (`make slow`)."""

from __future__ import annotations

import itertools
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
ON_THE_WAY_S = 1.5  # of a picture from the camera to the disk, on a busy machine
PERIODS = 4  # of the feed: pictures in the encoder, and the one that ends a fragment
SMALL = (*LOOP, "--set", "capture.demo_size=320x180", "--set", "capture.demo_fps=10")


def last_pictures(folder):
    """(when its last picture is shown, s since 1970; the longest time between two) of each video, by the files."""
    ends = []
    for segment in reconciled(folder, folder.name):
        times = times_in(folder / f"{segment.name}.mp4")
        longest = max((b - a for a, b in itertools.pairwise(times)), default=0.0)
        ends.append((segment.start_unix_ns / 1e9 + times[-1], longest))
    return ends


def check_end(folder, killed_s):
    """What was recorded until then reaches to within a fragment of it."""
    end, longest = max(pair for pair in last_pictures(folder) if pair[0] <= killed_s)
    assert killed_s - end < FRAGMENT_S + PERIODS * longest + ON_THE_WAY_S, (killed_s, last_pictures(folder))


def captured(run):
    """Frames so far; 0 before the run answers."""
    code, _ = run.ctl("stats", check=False)
    return 0 if code else run.ctl("stats").get("frames", {}).get("captured", 0)


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
    until(lambda: max(folder.glob("*.mp4")).stat().st_size > 1000, "some of it on the disk")
    killed_s.append(kill_all(run))
    for at_s in killed_s:
        check_end(folder, at_s)


def test_objects_alone_are_recorded_with_pre_and_post_roll_and_play_after_a_kill(start, tmp_path):
    folder = tmp_path / "records" / "door"
    with start_rtsp_server() as camera:
        run = start(
            "--source", camera.url, "--record", f"{tmp_path}/records/", "--set", "capture.camera=door",
            "--set", "recording.when=objects", "--set", "recording.pre_s=3", "--set", "recording.post_s=2",
            "--set", "recording.segment_s=4",
        )  # fmt: skip
        until(lambda: captured(run) > 150, "six seconds without an object")
        assert list(folder.glob("*.mp4")) == []
        run.ctl("add", "--box", "250,100,400,250")
        added_s = time.time()
        run.tracks(1)
        until(lambda: time.time() > added_s + 3, "three seconds with it")
        run.ctl("remove", "1")
        removed_s = time.time()
        until(lambda: time.time() > removed_s + 7, "the end of the post-roll")
        spans = last_pictures(folder)
        first = reconciled(folder, "door")[0].start_unix_ns / 1e9
        masks = [line for p in sorted(folder.glob("*.masks.jsonl")) for line in read_lines(p)]
        seen_s = min(line.captured_unix_ns for line in masks if line.objects) / 1e9
        assert first < seen_s - 1  # 3 s less the age of the mask that began it
        assert removed_s < spans[-1][0] < removed_s + 5
        run.ctl("add", "--box", "250,100,400,250")
        before = len(spans)
        until(lambda: len(list(folder.glob("*.mp4"))) > before, "another recording")
        again_s = time.time()
        until(lambda: time.time() > again_s + 5, "some of it")
        killed_s = kill_all(run)
    check_end(folder, killed_s)
