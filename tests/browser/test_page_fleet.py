"""Two cameras of one run in the page, in Chromium: the grid, one of them, zones, and their recordings."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from running import until

from browser.live_page import opened
from browser.live_run import live_run

FPS, SEGMENT_S = 8, 2.0


def two_cameras(folder: Path) -> Path:
    """A config with two drawn cameras, one of which is recorded."""
    scene = {"source": "demo", "demo_fps": FPS, "demo_frames": 1_000_000, "realtime": True, "demo_size": "320x180"}
    recorded = {"renderer": {"record": f"{folder}/videos/"}, "recording": {"segment_s": SEGMENT_S, "keep_free_mb": 0}}
    cameras = {"door": {"capture": scene, **recorded}, "hall": {"capture": scene | {"demo_objects": False}}}
    path = folder / "fleet.yaml"
    path.write_text(json.dumps({"base": "lite", "cameras": cameras}))  # YAML takes JSON
    return path


def test_two_cameras_are_a_grid_then_one_with_zones_of_its_own_and_recordings_that_play(
    chromium: Any, tmp_path: Path
) -> None:
    with live_run("--config", str(two_cameras(tmp_path))) as run, opened(chromium) as page:
        page.page.goto(run.url())
        page.wait_for(lambda s: s["grid"], "the grid")
        for camera, words in (("door", "3 objects"), ("hall", "0 objects")):
            until(lambda c=camera: page.test_id(f"tile-{c}").get_attribute("data-stale") == "false", f"the {camera}")
            until(lambda c=camera, w=words: w in page.test_id(f"tile-{c}").inner_text(), f"what the {camera} does")

        page.test_id("tile-hall").click()
        page.wait_for(lambda s: s["camera"] == "hall" and s["banner"] == "live" and s["painted"], "the hall alone")
        assert page.state()["objects"] == []
        page.press("a")
        for x, y in ((2, 2), (317, 2), (317, 177), (2, 177)):
            page.click(x, y)
        page.test_id("zone-name").fill("everywhere")
        page.press("Enter")
        page.wait_for(lambda s: [z["name"] for z in s["zones"]] == ["everywhere"], "the zone")
        assert [r["camera"] for r in page.requests("set_zone")] == ["hall"]
        page.wait_for(lambda s: s["zones"][0]["counts"], "its counts")
        run.ctl("--camera", "hall", "add", "--point", "131,107")
        page.wait_for(lambda s: s["zones"][0]["counts"]["inside"], "an object in it")
        page.test_id("zones-card").locator("summary").click()
        until(lambda: "entered everywhere" in page.test_id("events").inner_text(), "the event")

        recorded = page.test_id("recordings").locator("button", has_text=re.compile(r" s$"))

        box = page.page.locator("aside details", has_text="Recordings")
        until(box.is_visible, "recordings")  # the page asks every 10 s while there are none

        def listed() -> bool:
            if box.get_attribute("open") is None:
                box.locator("summary").click()  # which asks again
            page.page.wait_for_timeout(500)
            if recorded.count():
                return True
            box.locator("summary").click()
            return False

        until(listed, "a recording that is complete")
        recorded.last.click()
        played = "(video) => video.readyState >= 2 && video.videoWidth === 320 && video.currentTime > 0"
        until(lambda: page.page.locator("video.recorded").evaluate(played), "a recording that plays")
