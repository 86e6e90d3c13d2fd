"""What is wrong with a live camera, as the status tells it: black, frozen, undecodable and damaged pictures."""

from __future__ import annotations

import json
import time

import pytest
from rtsp_fixture import need_rtsp, start_rtsp_server
from running import crowding, until

SUMMARY = ("--summary", "s.json")
TOLD_WITHIN_S = 5.0  # of the fact, as docs/protocol.md promises


@pytest.mark.rtsp
def test_the_status_tells_within_seconds_what_is_wrong_with_a_camera(start, tmp_path):
    need_rtsp()
    with start_rtsp_server(size="320x180", fps=10) as camera:
        run = start("--source", camera.url, "--box", "50,50,90,90", "--set", "capture.drop_corrupt=true", *SUMMARY)
        run.says("opened")
        until(lambda: run.ctl("stats")["state"] == "running", "the feed to run")

        def becomes(word, state, reason):
            """The status after the camera has been told to send something else."""
            began_s = time.time()
            camera.send(word)

            def there():
                status = run.ctl("stats")
                return status if (status["state"], status["reason"]) == (state, reason) else None

            status = until(there, f"{state} {reason} after {word}")
            assert status["since"] - began_s < TOLD_WITHIN_S * crowding() + 1
            return status

        assert becomes("black", "degraded", "black")["black"]
        assert becomes("white", "degraded", "frozen")["frozen"]
        camera.send("ball")
        becomes("corrupt", "degraded", "damaged")
        until(lambda: run.ctl("stats")["damage"]["corrupt_pictures"] > 3, "more corrupt pictures")
        undecodable = becomes("undecodable", "interrupted", "undecodable")
        until(lambda: run.ctl("stats")["frame_age_s"] > 3, "the age of the last picture, told in tenths of a second")
        assert undecodable["damage"]["damaged_packets"] > 0
        assert becomes("whole", "degraded", "damaged")["frame_age_s"] < 3  # pictures come; the damage was just now
        run.ctl("shutdown")
        assert run.wait() == 0, run.output
        camera.stop()
        frames, damage = (json.loads((tmp_path / "s.json").read_text())[key] for key in ("frames", "damage"))
        assert frames["captured"] + damage["corrupt_pictures"] <= sum(camera.sent())  # none of them was handed on
