"""The trackers and decoders of all cameras of a device, in one process round one copy of each model.

Cameras come and go while it runs: the supervisor names the nodes to start or to stop, a line of JSON each. When those
of a camera have ended, a line of the output says so; the others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from nodes.start import PlannedNode, read_plan
from stream.device_lines import ended_line
from stream.runtime import StopFlag
from stream.scheduling.shared_models import SharedModels
from stream.transport.sockets import Context

TICK_S = 0.05  # how soon the end is seen


class DeviceNodes:
    """The nodes of this process, by camera."""

    def __init__(self, nodes: Sequence[PlannedNode], context: Context, stop: StopFlag) -> None:
        self.models = SharedModels()
        self._context = context
        self._stop = stop
        self._cameras: dict[str, _CameraNodes] = {}
        self._lock = threading.Lock()
        self.start(nodes)

    def take(self, order: dict[str, Any]) -> None:
        """Do what the supervisor says; from another thread."""
        if (camera := order.get("stop")) is not None:
            with self._lock:
                running = self._cameras.get(camera)
            if running is not None:
                running.stop.set()
                self.models.forget(camera)
        else:
            self.start(read_plan(order))

    def start(self, nodes: Sequence[PlannedNode]) -> None:
        """Start these; those of their camera that run already are stopped first."""
        cameras = {node.config.capture.camera for node in nodes}
        for camera in cameras:
            own = [node for node in nodes if node.config.capture.camera == camera]
            with self._lock:
                before = self._cameras.get(camera)
                if before is not None:
                    before.replaced = True
                    before.stop.set()
                    self.models.forget(camera)
                self._cameras[camera] = _CameraNodes(camera, own, StopFlag(self._stop), before)
            thread = threading.Thread(
                target=self._serve, args=(self._cameras[camera],), name=f"{camera}-nodes", daemon=True
            )
            thread.start()

    def run(self) -> int:
        """Serve until the stop signal; the exit code."""
        waiting = threading.Event()
        while not self._stop.is_set():
            waiting.wait(TICK_S)
        self.models.close()  # nobody waits for an answer any more
        for camera in list(self._cameras.values()):
            camera.done.wait()
        return 0

    def _serve(self, camera: _CameraNodes) -> None:
        """Run the nodes of a camera to their end; when one ends, the others do."""
        if camera.before is not None:
            camera.before.done.wait()
            camera.before = None

        def run(node: PlannedNode) -> None:
            code = node.run(self._context, camera.stop, self.models)
            node.wait_until_unbound()
            camera.codes.append(code)
            camera.stop.set()
            self.models.forget(camera.name)

        threads = [threading.Thread(target=run, args=(n,), name=n.name, daemon=True) for n in camera.nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        camera.done.set()
        if not camera.replaced and not self._stop.is_set():
            print(ended_line(camera.name, max(camera.codes)), flush=True)


class _CameraNodes:
    """The nodes of one camera, from their start to their end."""

    def __init__(self, name: str, nodes: Sequence[PlannedNode], stop: StopFlag, before: _CameraNodes | None) -> None:
        self.name = name
        self.nodes = nodes
        self.stop = stop
        self.before = before  # those that have to be gone first
        self.replaced = False  # by others, so that nobody has to be told of their end
        self.codes: list[int] = []
        self.done = threading.Event()
