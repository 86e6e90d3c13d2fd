"""Every point tracker for long, and in whole runs, with weights by rule (`make load`): nothing grows."""

from __future__ import annotations

import gc
import json
import resource

import pytest
from rtsp_fixture import start_rtsp_server
from running import until
from tracker.every_tracker import LiveFeed
from tracker.weights_by_rule import BACKENDS, keys_of

pytestmark = pytest.mark.load

GROWTH_MB = 40.0  # allocators keep some; a frame of features a step would be hundreds


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_grows_over_a_thousand_frames(backend, tmp_path):
    feed = LiveFeed(keys_of(backend, tmp_path))
    feed.add(1)
    tracked = _run_until(feed, 100)
    gc.collect()
    objects, memory = len(gc.get_objects()), _memory_mb()
    while tracked < 1100:
        feed.add(2, click=True)
        tracked = _run_until(feed, tracked + 50)
        feed.refine(2)
        tracked = _run_until(feed, tracked + 25)
        feed.remove(2)
        tracked = _run_until(feed, tracked + 25)
    gc.collect()
    print(f"\n{backend}: {len(gc.get_objects()) - objects:+d} objects, {_memory_mb() - memory:+.1f} MB, 1000 frames")
    assert len(gc.get_objects()) - objects < 1000
    assert _memory_mb() - memory < GROWTH_MB


@pytest.mark.parametrize("source", ["demo", "file", "rtsp"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_live_run_takes_objects_in_and_lets_them_go(start, tmp_path, backend, source):
    keys = keys_of(backend, tmp_path)
    # a key without a value is null in YAML, which no path is: lucas_kanade has no weights
    settings = [word for key, value in keys.items() if value != "" for word in ("--set", f"{key}={value}")]
    if source == "rtsp":
        with start_rtsp_server() as camera:
            _drive(start(*settings, "--source", camera.url, "--summary", "s.json"), tmp_path)
        return
    arguments = ["--realtime"]
    if source == "file":
        recorded = start("--set", "capture.realtime=false", "--frames", 400, "--record", "clip.mp4")
        assert recorded.wait(180) == 0, recorded.output
        arguments += ["--source", "clip.mp4"]
    else:
        arguments += ["--set", "capture.demo_frames=100000"]
    _drive(start(*settings, *arguments, "--summary", "s.json"), tmp_path)


def _drive(run, folder) -> None:
    """An object more, one refined, one removed; then the run ends, its frames counted."""
    run.says("opened")  # before that, no object is taken
    run.ctl("add", "--box", "60,60,140,120")
    until(lambda: run.ctl("stats")["frames"]["tracked"] > 3, "some frames")
    run.ctl("refine", "1", "--point", "100,90")
    run.ctl("add", "--point", "200,100")
    until(lambda: {o["id"] for o in run.ctl("list")["objects"]} >= {1, 2}, "a second object")
    run.ctl("remove", "1")
    until(lambda: 1 not in {o["id"] for o in run.ctl("list")["objects"]}, "the first object's end")
    states = {o["state"] for o in run.ctl("list")["objects"]}
    assert states <= {"starting", "tracked", "uncertain", "lost", "reacquired"}
    run.ctl("shutdown")
    assert run.wait(60) == 0, run.output
    frames = json.loads((folder / "s.json").read_text())["frames"]
    assert frames["tracked"] + frames["passed_over"] <= frames["captured"]


def _run_until(feed: LiveFeed, tracked: int) -> int:
    """Frames until so many have been tracked; how many that are."""
    while (count := feed.stage.progress().counters["tracked"]) < tracked:
        feed.run(5)
    return int(count)


def _memory_mb() -> float:
    """The largest this process has been."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
