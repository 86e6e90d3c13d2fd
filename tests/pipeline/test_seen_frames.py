"""The whole command: a prompt acts on the frame that a consumer saw, on the object that was there."""

from __future__ import annotations

import cv2
import numpy as np
from running import LOOP, until

from nodes.capture.scene import DemoScene
from stream.messages import Masks
from stream.public_wire.messages import unpack_masks
from stream.run_directory import find_run
from stream.transport.service_sockets import subscribe


def newest(listener) -> Masks:
    """The newest message that has come."""
    parts = until(lambda: listener.recv(100), "masks")
    while (later := listener.recv(0)) is not None:
        parts = later
    return unpack_masks(parts).masks


def test_a_click_on_a_frame_that_was_seen_follows_what_was_clicked(start):
    run = start(*LOOP, "--set", "capture.demo_fps=10")
    run.tracks(1, 2, 3)
    assert run.ctl("remove", 1) == {"object_id": 1}
    scene = DemoScene()
    listener = subscribe(find_run().publish_endpoint, ["masks/"])
    try:

        def added() -> bool:
            seen = newest(listener).stamp
            truth = (scene.draw(seen.frame_id)[1] == 1).astype(np.uint8)
            depth = cv2.distanceTransform(truth, cv2.DIST_L2, 5)
            row, column = np.unravel_index(int(depth.argmax()), depth.shape)
            name = f"{seen.session}:{seen.frame_id}:{seen.epoch}"
            code, text = run.ctl("add", "--point", f"{column},{row}", "--frame", name, check=False)
            assert code == 0 or "frame_gone" in text, text  # on a busy machine it may be gone by now
            return code == 0

        until(added, "a frame that is still there")
        object_id = max(o["id"] for o in run.ctl("list")["objects"])
        chosen = run.ctl("--timeout", 60, "candidate", object_id, "+")  # at once: its frame is kept for 30 s
        assert 0 < chosen["candidate"] < chosen["candidates"]
        run.ctl("--timeout", 60, "candidate", object_id, "-")  # as it was

        def overlap() -> float:
            masks = newest(listener)
            mask, truth = masks.label_image() == object_id, scene.draw(masks.stamp.frame_id)[1] == 1
            return float(np.count_nonzero(mask & truth) / max(1, np.count_nonzero(mask | truth)))

        until(lambda: overlap() >= 0.75, "the planet's mask")
    finally:
        listener.close()
    for arguments, text in (
        (("add", "--point", "40,40", "--frame", "0:99999999"), "frame_gone: frame 99999999 of session 0 is gone"),
        (("add", "--point", "40,40", "--frame", "newest"), "needs SESSION:FRAME_ID"),
        (("candidate", 999, "-"), "unknown_object"),
    ):
        assert text in run.ctl(*arguments, check=False)[1]
