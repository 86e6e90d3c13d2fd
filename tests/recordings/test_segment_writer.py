"""Packets into segments: names, cuts, limits, a full disk, what a killed writer leaves, and the index beside them."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from recordings.packet_feed import FPS, PacketFeed, times_in
from running import ROOT, until

from stream.mp4.boxes import cut_torn_fragment
from stream.recordings.folder import RecordingFolder, reconciled
from stream.recordings.index_file import read_index
from stream.recordings.plan import PlanOptions
from stream.recordings.retention import Limits
from stream.recordings.segment_file import SegmentFile
from stream.recordings.segments import start_of
from stream.recordings.writer import RETRY_S, SegmentWriter

PLENTY = 1 << 40
NO_LIMITS = Limits()


class Recording:
    """A writer over a folder, on a disk whose free bytes a test sets, fed from a clip."""

    def __init__(self, path: Path, limits: Limits = NO_LIMITS, **options) -> None:
        self.feed = PacketFeed()
        self.path = path
        self.free_bytes = PLENTY
        self.folder = RecordingFolder(
            path, "door", limits, free_bytes=lambda _: self.free_bytes, unix_ns=lambda: self.feed.unix_ns
        )
        self.writer = SegmentWriter(self.folder, PlanOptions(**{"segment_s": 4.0, **options}))
        self.writer.begin_stream(self.feed.template)

    def run(self, seconds: float) -> None:
        for packet in self.feed.take(seconds):
            self.writer.write(packet)

    def videos(self) -> list[Path]:
        return sorted(self.path.glob("*.mp4"))


def test_segments_begin_on_key_frames_and_no_time_is_between_them(tmp_path):
    recording = Recording(tmp_path / "door")
    recording.run(11)
    recording.writer.close()
    assert [len(times_in(v)) for v in recording.videos()] == [100, 100, 75]
    segments = recording.folder.segments
    assert [s.name + ".mp4" for s in segments] == [v.name for v in recording.videos()]
    assert segments[0].name == "door-20270115T080000.000Z"
    assert [start_of(s.name) for s in segments] == [s.start_unix_ns for s in segments]
    for earlier, later in itertools.pairwise(segments):
        assert earlier.end_unix_ns == later.start_unix_ns
    assert segments[1].origin_pts_s == pytest.approx(7.0 + 4.0)
    assert times_in(recording.videos()[1])[:2] == [0.0, 0.04]


def test_the_index_names_the_segment_under_way_and_holds_the_sizes_of_the_others(tmp_path):
    recording = Recording(tmp_path)
    recording.run(5)
    index = read_index(tmp_path / "index.json")
    first, second = recording.videos()
    assert [(s.name, s.video_bytes) for s in index.segments] == [(first.stem, first.stat().st_size)]
    assert index.writing.name == second.stem


def test_the_oldest_whole_segments_give_way_and_the_limit_is_never_passed(tmp_path):
    recording = Recording(tmp_path, Limits(max_bytes=6_000_000))
    seen, most = [], 0
    for _ in range(120):
        recording.run(1)
        taken = sum(p.stat().st_size for p in tmp_path.iterdir())
        most = max(most, taken)
        assert taken <= 6_000_000
        names = [v.name for v in recording.videos()]
        assert names == sorted(names)
        seen += [n for n in names if n not in seen]
        assert names == seen[-len(names) :], "an older one stays while a newer one is gone"
        segments = recording.folder.segments
        assert all(a.end_unix_ns == b.start_unix_ns for a, b in itertools.pairwise(segments))
    assert most > 3_000_000, "the room there is has to be used"
    assert len(seen) > len(recording.videos())
    assert recording.writer.error == ""


def test_segments_older_than_the_days_that_were_asked_for_go_also_while_nothing_is_recorded(tmp_path):
    recording = Recording(tmp_path, Limits(max_days=20 / 86400))
    recording.run(40)
    assert all(s.end_unix_ns >= recording.feed.unix_ns - 22e9 for s in recording.folder.segments)
    assert len(recording.videos()) > 4
    recording.writer.switch(False)
    recording.run(80)
    assert recording.videos() == []


def test_a_disk_that_runs_full_pauses_the_recording_and_it_goes_on_when_there_is_room(tmp_path):
    recording = Recording(tmp_path, Limits(keep_free_bytes=1000))
    recording.run(5)
    recording.free_bytes = 0
    recording.run(4)
    assert "no older segment" in recording.writer.error
    assert not recording.writer.recording
    left = recording.videos()
    assert [len(times_in(v)) % (2 * FPS) for v in left] == [0] * len(left)  # whole fragments
    recording.free_bytes = PLENTY
    recording.run(RETRY_S + 4)
    assert recording.writer.error == ""
    assert recording.writer.recording
    assert recording.videos()[: len(left)] == left
    assert len(recording.videos()) > len(left)


def test_more_gives_way_for_what_others_write_while_room_is_made(tmp_path):
    recording = Recording(tmp_path, Limits(keep_free_bytes=100_000_000))
    recording.run(40)
    before = len(recording.videos())
    looks = iter([90_000_000, 99_000_000])  # before anything has given way, and when it has, after a write of others
    recording.folder._free_bytes = lambda _: next(looks, PLENTY)
    recording.run(4)
    assert recording.writer.error == ""
    assert before > len(recording.videos()) > 0


def test_an_error_of_the_disk_itself_leaves_what_is_whole(tmp_path, monkeypatch):
    recording = Recording(tmp_path)
    recording.run(3)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(SegmentFile, "write", full)
        recording.run(1)
    assert recording.writer.error == os.strerror(errno.ENOSPC)
    recording.run(RETRY_S + 2)
    assert recording.writer.error == ""
    recording.writer.close()
    assert all(times_in(v) for v in recording.videos())


def test_only_what_has_objects_is_recorded_with_what_was_before_and_after(tmp_path):
    recording = Recording(tmp_path, when="objects", pre_s=3.0, post_s=2.0, segment_s=60.0)
    recording.run(20)
    assert recording.videos() == []
    recording.writer.see_objects(round(recording.feed.count / FPS * 1e9))
    recording.run(20)
    recording.writer.see_objects(round(recording.feed.count / FPS * 1e9))
    recording.run(1)
    recording.writer.close()
    first, second = (times_in(v) for v in recording.videos())
    assert 3 + 2 <= len(first) / FPS <= 3 + 2 + 2.1  # from a key frame on, and those are 2 s apart
    assert 3 + 1 <= len(second) / FPS <= 3 + 1 + 2.1


def test_packets_of_another_connection_begin_another_segment(tmp_path):
    recording = Recording(tmp_path)
    recording.run(1)
    recording.writer.begin_stream(recording.feed.template)
    recording.run(3)
    recording.writer.close()
    assert [len(times_in(v)) for v in recording.videos()] == [25, 50]


def test_a_clock_that_is_set_back_leaves_names_in_the_order_of_recording(tmp_path):
    recording = Recording(tmp_path)
    recording.run(5)
    recording.feed._unix_ns -= 3600 * 10**9
    recording.run(8)
    recording.writer.close()
    assert [s.name for s in recording.folder.segments] == sorted(v.stem for v in recording.videos())
    assert len(recording.videos()) == 4


def test_what_is_cut_off_anywhere_plays_to_within_a_fragment(tmp_path):
    recording = Recording(tmp_path / "door", segment_s=60.0)
    recording.run(10.5)
    (video,) = recording.videos()
    whole = video.read_bytes()
    rng = random.Random(1)
    for cut in (len(whole), *(rng.randrange(len(whole) // 5, len(whole)) for _ in range(12))):
        torn = tmp_path / "torn.mp4"
        torn.write_bytes(whole[:cut])
        assert cut_torn_fragment(torn)
        played = len(times_in(torn))
        assert played % (2 * FPS) == 0
        lost = 10 * FPS * (1 - cut / len(whole))
        assert played >= 10 * FPS - lost - 2 * FPS - 5


def test_the_index_is_rebuilt_where_it_is_damaged_gone_or_behind(tmp_path):
    recording = Recording(tmp_path)
    recording.run(13)
    recording.writer.close()
    right = [(s.name, s.start_unix_ns, s.video_bytes) for s in recording.folder.segments]
    for damage in (b"", b'{"recordings": 1, "camera": "door", "segments": [{"na', b"\xff\xfe", None):
        if damage is None:
            (tmp_path / "index.json").unlink()
        else:
            (tmp_path / "index.json").write_bytes(damage)
        assert [(s.name, s.start_unix_ns, s.video_bytes) for s in reconciled(tmp_path, "door")] == right
    recording.videos()[0].unlink()
    assert [s.name for s in reconciled(tmp_path, "door")] == [name for name, *_ in right[1:]]


KILLED = """
import sys, time
sys.path[:0] = [{root!r}, {tests!r}]
from recordings.packet_feed import PacketFeed
from stream.recordings.folder import RecordingFolder
from stream.recordings.plan import PlanOptions
from stream.recordings.retention import Limits
from stream.recordings.writer import SegmentWriter
from pathlib import Path
feed = PacketFeed()
folder = RecordingFolder(Path({path!r}), "door", Limits(max_bytes=5_000_000), unix_ns=lambda: feed.unix_ns)
writer = SegmentWriter(folder, PlanOptions(segment_s=2.0))
writer.begin_stream(feed.template)
while True:
    writer.write(feed.next())
    if feed.count == 500:
        print("rotating", flush=True)
"""


def test_after_a_kill_in_the_middle_of_a_rotation_files_and_index_agree(tmp_path):
    """Segments of 2 s are cut and deleted as fast as the disk takes them, so that a kill meets a rotation."""
    rng = random.Random(3)
    for attempt in range(4):
        path = tmp_path / str(attempt)
        text = KILLED.format(root=str(ROOT), tests=str(ROOT / "tests"), path=str(path))
        process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline().strip() == "rotating"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.01, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        folder = RecordingFolder(path, "door", Limits())
        folder.open()
        videos = sorted(path.glob("*.mp4"))
        assert [s.name for s in folder.segments] == [v.stem for v in videos]
        assert [s.video_bytes for s in folder.segments] == [v.stat().st_size for v in videos]
        assert all(len(times_in(v)) >= 1 for v in videos)
        starts = [s.start_unix_ns for s in folder.segments]
        assert all(b - a == 2 * 10**9 for a, b in itertools.pairwise(starts)), "a gap in time"
        assert [s.name for s in read_index(path / "index.json").segments] == [v.stem for v in videos]
        folder.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_a_small_disk_of_its_own_is_never_full_and_never_has_a_gap(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"NO TMPFS MAY BE MOUNTED HERE, so retention is not tested on a real small disk: {mounted.stderr}")
    try:
        feed = PacketFeed()
        limits = Limits(keep_free_bytes=4_000_000)
        folder = RecordingFolder(disk / "door", "door", limits, unix_ns=lambda: feed.unix_ns)
        writer = SegmentWriter(folder, PlanOptions(segment_s=4.0))
        writer.begin_stream(feed.template)
        for _ in range(100):
            for packet in feed.take(2):
                writer.write(packet)
            assert shutil.disk_usage(disk).free >= 3_900_000
            assert writer.error == ""
        segments = folder.segments
        assert len(segments) >= 3
        assert all(a.end_unix_ns == b.start_unix_ns for a, b in itertools.pairwise(segments))
        with (disk / "other").open("wb") as other:  # somebody else takes all there is, and what is deleted for us, too
            for _ in range(20):
                other.write(bytes(max(0, shutil.disk_usage(disk).free - 8192)))
                other.flush()
                for packet in feed.take(2):
                    writer.write(packet)
        assert writer.error
        (disk / "other").unlink()
        until(lambda: shutil.disk_usage(disk).free > 8_000_000, "room")
        for packet in feed.take(RETRY_S + 4):
            writer.write(packet)
        assert writer.error == ""
        writer.close()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
