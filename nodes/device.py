"""The trackers and decoders of all cameras of a device, in one process round one copy of each model.

Cameras come and go while it runs: the supervisor names the nodes to start, to restart or to stop, a line of JSON each.
When those of a camera have ended, a line of the output says so; the others go on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

from nodes.start import PlannedNode, RunningNodes, read_plan
from stream.console.device_lines import ended_line
from stream.runtime import StopFlag
from stream.scheduling.shared_models import SharedModels
from stream.transport.sockets import Context

log = logging.getLogger(__name__)

TICK_S = 0.05  # how soon the end is seen


class DeviceNodes:
    """The nodes of this process, by camera."""

    def __init__(self, nodes: Sequence[PlannedNode], context: Context, stop: StopFlag) -> None:
        self.models = SharedModels()
        self._context = context
        self._stop = stop
        self._cameras: dict[str, _CameraNodes] = {}  # the newest of each
        self._start(nodes)

    def take(self, order: dict[str, Any]) -> None:
        """Do what the supervisor says; from another thread."""
        if (name := order.get("stop")) is None:
            self._start(read_plan(order))
        elif (camera := self._cameras.get(name)) is not None:
            camera.stop.set()
            self.models.release(name)

    def run(self) -> int:
        """Serve until the stop signal; the exit code. A lost device ends the process: a new one may have it again."""
        waiting = threading.Event()
        while not self._stop.is_set():
            if self.models.lost:
                log.error("the device is lost (%s); this process ends, so that another takes over", self.models.lost)
                return 1
            waiting.wait(TICK_S)
        self.models.close()  # nobody waits for an answer any more
        for camera in list(self._cameras.values()):
            camera.done.wait()
        return 0

    def _start(self, nodes: Sequence[PlannedNode]) -> None:
        """Start nodes of one camera; where it runs, restart these of its nodes."""
        name = nodes[0].config.capture.camera
        before = self._cameras.get(name)
        if before is not None and not before.stop.is_set():
            before.running.restart(nodes)
            return
        stop = StopFlag(self._stop)
        running = RunningNodes(nodes, self._context, stop, self.models)
        camera = self._cameras[name] = _CameraNodes(running, stop)
        threading.Thread(target=self._serve, args=(name, camera, before), name=f"{name}-nodes", daemon=True).start()

    def _serve(self, name: str, camera: _CameraNodes, before: _CameraNodes | None) -> None:
        """Run the nodes of a camera to their end; when one ends, the others do."""
        if before is not None:
            before.done.wait()
        code = camera.running.run()
        self.models.forget(name)
        camera.done.set()
        if not self._stop.is_set():
            print(ended_line(name, code), flush=True)


class _CameraNodes:
    """The nodes of one camera, from their start to their end."""

    def __init__(self, running: RunningNodes, stop: StopFlag) -> None:
        self.running = running
        self.stop = stop
        self.done = threading.Event()
