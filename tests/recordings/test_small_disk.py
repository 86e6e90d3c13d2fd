"""Retention on a disk of 200 MB, with a clock that runs fast and writers that are killed (`make slow`, as root)."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from recordings.packet_feed import FPS, times_in
from running import LOOP, ROOT, nodes_of, until

from stream.recordings.folder import RecordingFolder
from stream.recordings.index_file import read_index
from stream.recordings.retention import Limits
from stream.recordings.segments import start_of

MB = 1_000_000
DISK_MB, MOST_MB, KEPT_MB = 200, 120, 30
SEGMENT_S = 2
BEGAN_S = 1_700_000_000  # long ago, so that the clock may run fast without passing the real one

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="MOUNTING A TMPFS NEEDS ROOT, so no real small disk is tested"),
]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB * MB}", "tmpfs", str(path)]
    made = subprocess.run(mount, check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"NO TMPFS MAY BE MOUNTED HERE, so no real small disk is tested: {made.stderr}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


WRITER = """
import mmap, struct, sys
sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
from recordings.packet_feed import PacketFeed
from stream.recordings.folder import RecordingFolder
from stream.recordings.plan import PlanOptions
from stream.recordings.retention import Limits
from stream.recordings.writer import SegmentWriter

file = open({clock!r}, "r+b")
clock = mmap.mmap(file.fileno(), 8)
feed = PacketFeed(struct.unpack("q", clock[:8])[0] / 1e9)
limits = Limits(max_bytes={most}, keep_free_bytes={kept})
folder = RecordingFolder(Path({path!r}), "door", limits, unix_ns=lambda: feed.unix_ns)
writer = SegmentWriter(folder, PlanOptions(segment_s={segment_s}))
writer.begin_stream(feed.template)
print("writing", flush=True)
while True:
    writer.write(feed.next())
    clock[:8] = struct.pack("q", feed.unix_ns)
    assert not writer.error, writer.error
"""


class FastWriter:
    """Records as fast as the disk takes it, on a clock that goes on where the writer before was killed."""

    def __init__(self, folder: Path, clock: Path) -> None:
        self._clock = clock
        if not clock.exists():
            clock.write_bytes(struct.pack("q", BEGAN_S * 10**9))
        text = WRITER.format(
            root=str(ROOT), tests=str(ROOT / "tests"), clock=str(clock), path=str(folder),
            most=MOST_MB * MB, kept=KEPT_MB * MB, segment_s=SEGMENT_S,
        )  # fmt: skip
        self._process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "writing\n"

    @property
    def unix_ns(self) -> int:
        return struct.unpack("q", self._clock.read_bytes())[0]

    def kill(self) -> int:
        """The moment at which it was killed, by its own clock."""
        assert self._process.poll() is None, "it has ended by itself"
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()
        return self.unix_ns


class Watch:
    """Looks at a folder again and again while others write there."""

    def __init__(self, folder: Path, disk: Path) -> None:
        self.most = self.looks = 0
        self.least_free = DISK_MB * MB
        self.seen: list[str] = []
        self.faults: list[str] = []
        self._folder, self._disk = folder, disk
        self._stopping = threading.Event()
        self._looking = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._looking:
                self._look()
            self._stopping.wait(0.001)

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """While what a killed writer left is brought in order: a segment without a whole fragment goes then."""
        with self._looking:
            yield
            there = sorted(p.name for p in self._folder.glob("*.mp4"))
            self.seen = [name for name in self.seen if name in there or name < there[0]]

    def _look(self) -> None:
        files = {}
        for entry in os.scandir(self._folder) if self._folder.exists() else ():
            try:
                files[entry.name] = entry.stat().st_size
            except FileNotFoundError:  # it gave way meanwhile
                continue
        self.looks += 1
        self.most = max(self.most, sum(files.values()))
        self.least_free = min(self.least_free, shutil.disk_usage(self._disk).free)
        names = sorted(name for name in files if name.endswith(".mp4"))
        before = set(self.seen)
        self.seen += [name for name in names if name not in before]
        if names and names != self.seen[-len(names) :]:
            self.faults.append(f"{names[:3]}... while {self.seen[-len(names) :][:3]}... had come")

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()


def check_index(folder: Path) -> list:
    """Bring the folder in order as the next run does; its segments, which the index names, too."""
    recordings = RecordingFolder(folder, "door", Limits())
    recordings.open()
    recordings.close()
    videos = sorted(folder.glob("*.mp4"))
    index = read_index(folder / "index.json")
    for segments in (recordings.segments, index.segments):
        assert [s.name for s in segments] == [v.stem for v in videos]
        assert [s.video_bytes for s in segments] == [v.stat().st_size for v in videos]
    assert index.writing is None
    return list(recordings.segments)


def check_no_gap(segments: list, killed_ns: list[int]) -> None:
    """Each segment begins where the one before ended; at a kill at most a fragment is missing."""
    for earlier, later in itertools.pairwise(segments):
        between = [k for k in killed_ns if earlier.start_unix_ns < k <= later.start_unix_ns]
        if between:
            lost_s = (later.start_unix_ns - earlier.start_unix_ns) / 1e9 - SEGMENT_S
            assert lost_s < SEGMENT_S + 0.1, (earlier, later)
        else:
            assert later.start_unix_ns == earlier.start_unix_ns + SEGMENT_S * 10**9, (earlier, later)
            assert later.start_unix_ns == earlier.end_unix_ns


def test_a_fast_clock_and_kills_never_pass_the_limit_leave_a_gap_or_spoil_the_index(disk, tmp_path):
    rng, folder = random.Random(5), disk / "door"
    watch, killed_ns = Watch(folder, disk), []
    try:
        for attempt in range(10):
            writer = FastWriter(folder, tmp_path / "clock")
            began_ns = writer.unix_ns
            enough_s = 1500 if attempt == 0 else 40
            until(lambda began_ns=began_ns, s=enough_s, w=writer: w.unix_ns - began_ns > s * 10**9, "time to pass")
            time.sleep(rng.uniform(0, 0.05))  # in the middle of whatever it does
            killed_ns.append(writer.kill())
            with watch.looking_away():
                check_no_gap(check_index(folder), killed_ns)
    finally:
        watch.close()
    segments = check_index(folder)
    assert watch.looks > 500
    assert watch.faults == []
    assert (MOST_MB - 15) * MB < watch.most <= MOST_MB * MB
    assert len(watch.seen) > 2 * len(segments), "most have given way"
    assert start_of(segments[0].name) > BEGAN_S * 10**9 + 500 * 10**9
    for segment in segments[:: max(1, len(segments) // 20)]:
        assert len(times_in(folder / f"{segment.name}.mp4")) == SEGMENT_S * FPS or segment is segments[-1]


def test_what_others_write_counts_and_the_oldest_give_way_for_it(disk, tmp_path):
    folder = disk / "door"
    writer = FastWriter(folder, tmp_path / "clock")
    until(lambda: writer.unix_ns > (BEGAN_S + 700) * 10**9, "the folder to be full")
    watch = Watch(folder, disk)
    try:
        for _ in range(60):  # 60 MB that come slowly, beside 120 MB of recordings on a disk of 200
            with (disk / "other").open("ab") as other:
                other.write(bytes(MB))
            began_ns = writer.unix_ns
            until(lambda began_ns=began_ns: writer.unix_ns - began_ns > 4 * 10**9, "two segments")
    finally:
        watch.close()
        killed_ns = writer.kill()
    assert watch.faults == []
    assert watch.least_free >= (KEPT_MB - 1.5) * MB  # a file of others comes without asking
    check_no_gap(check_index(folder), [killed_ns])


def test_a_run_pauses_its_recording_with_an_alarm_on_a_full_disk_and_its_feed_never_stops(start, disk, tmp_path):
    run = start(
        *LOOP, "--record", f"{disk}/", "--state", disk / "state", "--set", f"recording.keep_free_mb={KEPT_MB}",
        "--set", "recording.segment_s=2", "--set", "capture.camera=door",
    )  # fmt: skip

    def stats():
        return run.ctl("stats")

    def goes_on():
        """Masks go on to come, none of them older than a moment."""
        published = stats()["masks_published"]
        until(lambda: stats()["masks_published"] > published + 30, "masks")
        assert stats()["frame_age_s"] < 3

    folder = disk / "door"
    until(lambda: len(list(folder.glob("*.mp4"))) > 2, "segments")
    goes_on()
    with (disk / "other").open("wb", buffering=0) as other:

        def is_paused():
            """Take what there is, also what gives way for us."""
            with suppress(OSError):
                while other.write(bytes(4096)):
                    pass
            return stats()["reason"] == "recording_paused"

        until(is_paused, "the alarm")
        assert stats()["state"] == "degraded"
        run.says("the recording is paused")
        for _ in range(3):  # with a disk that has not a byte left, for the state folder neither
            goes_on()
            assert is_paused()
            assert shutil.disk_usage(disk).free < MB
    (disk / "other").unlink()
    until(lambda: stats()["state"] == "running", "the recording to go on")
    before = set(folder.glob("*.mp4"))
    until(lambda: len(set(folder.glob("*.mp4")) - before) > 1, "new segments")
    assert all(node["restarts"] == 0 for node in stats()["nodes"].values() if "restarts" in node)
    for pid in [run.process.pid, *nodes_of(run.process.pid)]:  # in this order, or it would restart them
        with suppress(ProcessLookupError):  # a node that has noticed
            os.kill(pid, signal.SIGKILL)
    run.process.wait()
    until(lambda: not nodes_of(run.process.pid), "the nodes to be gone")
    index = disk / "state/cameras/door/recordings.json"
    recordings = RecordingFolder(folder, "door", Limits(), index=index)
    recordings.open()
    recordings.close()
    videos = sorted(folder.glob("*.mp4"))
    assert [s.name for s in read_index(index).segments] == [v.stem for v in videos]
    assert all(len(times_in(v)) for v in videos)
