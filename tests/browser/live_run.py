"""A run with its page, as tests see it from outside: the address, the masks that it publishes, its control socket."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Run, until

from nodes.capture.frame_code import read_frame_code
from stream.public_wire.messages import Received, unpack_frame, unpack_masks
from stream.transport.service_sockets import Listener
from stream.transport.sockets import Context
from tools.bench.web_viewers import Entrance, enter

KEPT = 3000  # messages
PAGE_URL = re.compile(r"the page is at (\S+)")


class LiveRun:
    """A run_stream.py with --web. Masks are collected from its start on."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self._control = f"ipc://{folder}/control"
        self.run = Run(
            *("--web", "127.0.0.1:0", "--publish", f"ipc://{folder}/masks"),
            *("--set", f"control.endpoint={self._control}", "--set", f"renderer.snapshots={folder}"),
            *arguments,
            cwd=folder,
        )
        self.published: dict[int, Received] = {}  # by frame_id, the newest KEPT
        self.codes: dict[int, int] = {}  # by frame_id, where frames are published: the number that a picture shows
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def url(self) -> str:
        """The address that was printed, with its token."""
        until(lambda: PAGE_URL.search(self.run.output) or self.run.process.poll() is not None, "the page's address")
        found = PAGE_URL.search(self.run.output)
        assert found, self.run.output
        return found[1]

    def ctl(self, *arguments: Any) -> Any:
        """The result of tools/ctl.py."""
        return self.run.ctl("--endpoint", self._control, *arguments)

    def remove_all(self) -> None:
        """Follow nothing."""
        for each in self.ctl("list")["objects"]:
            self.ctl("remove", each["id"])
        until(lambda: not self.newest().masks.objects, "a frame without an object")

    def newest(self) -> Received:
        """The newest masks message, once there is one."""
        until(lambda: self.published, "masks")
        return self.published[max(self.published)]

    def masks_of(
        self, object_id: int, patience_s: float = 60.0, since: int | None = None
    ) -> Iterator[tuple[int, np.ndarray]]:
        """(frame_id, (H, W) bool mask) of messages from now on, or from frame `since` on, with a mask of the object."""
        after = max(self.published, default=-1) if since is None else since - 1
        while True:

            def next_one(after: int = after) -> Received | None:
                later = sorted(i for i in list(self.published) if i > after)
                return next(
                    (self.published[i] for i in later if mask_of(self.published[i], object_id) is not None), None
                )

            received = until(next_one, f"a mask of object {object_id}", patience_s)
            after = received.masks.stamp.frame_id
            yield after, mask_of(received, object_id)

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self.run.close()
        self._thread.join(5)

    def _listen(self) -> None:
        context = Context()
        listener = Listener(context, f"ipc://{self.folder}/masks", ["masks/", "frames/"])
        while not self._stop.is_set():
            parts = listener.recv(50)
            if parts and parts[0].startswith(b"frames/"):
                frame = unpack_frame(parts)
                number = read_frame_code(frame.rgb)
                self.codes[frame.stamp.frame_id] = -1 if number is None else number
            elif parts:
                received = unpack_masks(parts)
                self.published[received.masks.stamp.frame_id] = received
                self.published.pop(received.masks.stamp.frame_id - KEPT, None)
        listener.close()
        context.close()


def mask_of(received: Received, object_id: int) -> np.ndarray | None:
    """(H, W) bool; None where the object has no mask."""
    found = [o for o in received.masks.objects if o.object_id == object_id and o.area]
    return received.label_image() == object_id if found else None


@contextmanager
def live_run(*arguments: str) -> Iterator[LiveRun]:
    """A run in a folder of its own, ended at the end; neither sees nor is seen by other runs."""
    with tempfile.TemporaryDirectory(prefix="spl-") as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", name)
        run = LiveRun(Path(name), *arguments)
        try:
            yield run
        finally:
            run.close()


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((a & b).sum() / max(1, (a | b).sum()))


__all__ = ["Callable", "Entrance", "LiveRun", "enter", "iou", "live_run", "mask_of"]
