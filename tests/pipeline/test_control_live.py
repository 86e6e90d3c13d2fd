"""What is asked of a run while it goes on, by requests and subscriptions over real sockets."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import zmq
from running import LOOP, PATIENCE_S, Run, until, video_frames

from stream.public_wire.messages import ReceivedScene, unpack_scene
from stream.run_directory import find_run


@pytest.fixture
def scenes():
    """A SUB socket of a context of its own, as a stranger would open it."""
    context = zmq.Context()
    socket = context.socket(zmq.SUB)
    yield socket
    context.destroy(linger=0)


def scene_with(scenes: zmq.Socket[bytes], label: str) -> ReceivedScene:
    """The next scene whose object 2 has the label."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if scenes.poll(200):
            scene = unpack_scene(scenes.recv_multipart())
            if [o.label for o in scene.masks.objects if o.object_id == 2] == [label]:
                return scene
    raise AssertionError(f"no scene has the label {label!r}")


def recorded(run: Run) -> int:
    """Pictures recorded so far, by the renderer's last heartbeat."""
    return run.ctl("stats").get("written", {}).get("record", {}).get("pictures", 0)


def test_a_run_is_labelled_looked_at_recorded_and_corrected_while_it_goes_on(start, tmp_path, scenes):
    run = start(*LOOP, "--set", "publisher.scenes=true", "--set", "renderer.snapshots=shots")
    run.tracks(1, 2, 3)
    assert run.ctl("rename", 2, "star") == {"object_id": 2, "label": "star"}
    assert run.ctl("stats")["scenes_published"] == 0  # nobody looks

    scenes.connect(find_run(None).publish_endpoint)
    scenes.subscribe("scenes/camera")
    scene = scene_with(scenes, "star")
    assert scene.picture().shape == (360, 640, 3)
    assert [o.object_id for o in scene.masks.objects] == [1, 2, 3]

    until(lambda: run.ctl("stats")["scenes_published"], "a heartbeat that counts scenes")
    os.kill(run.pids()["publisher"], signal.SIGKILL)
    another = until(
        lambda: (s := scene_with(scenes, "star")).publisher != scene.publisher and s, "the restarted publisher"
    )
    assert another.masks.stamp.frame_id > scene.masks.stamp.frame_id  # the label was told again

    paths = []
    for _ in range(2):
        before = recorded(run)
        reply = run.ctl("record", "on")
        assert reply["recording"] is True
        paths.append(Path(reply["path"]))
        until(lambda: recorded(run) > before + 3, "recorded pictures")  # noqa: B023  it is asked at once
        assert run.ctl("stats")["recording"] is True
        assert run.ctl("record", "off") == {"recording": False, "path": reply["path"]}
    assert paths == [tmp_path / "shots" / name for name in ("camera-recording.mp4", "camera-recording-2.mp4")]
    until(lambda: all(video_frames(path) > 3 for path in paths), "the end of the second recording")

    run.ctl("refine", 1, "--point", "60,330")
    code, _ = until(
        lambda: (answer := run.ctl("undo", 1, check=False))[0] == 0 and answer, "the frame that the point is given on"
    )
    assert code == 0
    assert "bad_params" in run.ctl("undo", 1, check=False)[1]
    assert "unsupported" in run.ctl("find", 3, check=False)[1]
    assert run.ctl("cameras") == {"cameras": ["camera"]}
    run.ctl("shutdown")
    assert run.wait() == 0, run.output
