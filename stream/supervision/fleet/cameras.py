"""All cameras of a run, and the nodes that it has once: started, served, watched and ended together or alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from stream.console.logs import about_camera
from stream.errors import StreamError
from stream.messages import Prompt
from stream.settings.cameras import camera_configs
from stream.settings.config import Config, FleetConfig
from stream.supervision.fleet.camera_run import CameraRun, Clients
from stream.supervision.fleet.changes import changed_stages
from stream.supervision.fleet.common_nodes import CommonNodes
from stream.supervision.fleet.fleet_summary import summarise_fleet
from stream.supervision.fleet.making import GroupMaker
from stream.supervision.fleet.node_group import NodeGroup
from stream.supervision.lifecycle import SupervisedProcess, count_restarts
from stream.topology import Graph, wiring
from stream.transport.descriptors import check_room_for_camera

log = logging.getLogger(__name__)

STATUS_S = 1.0  # how often the status of a camera is published that has ended


class Cameras:
    """The cameras by name."""

    def __init__(
        self,
        config: Config,
        maker: GroupMaker,
        clients: Clients,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.cameras: dict[str, CameraRun] = {}
        self.common: CommonNodes | None = None
        self.stop_requested = False
        self._maker = maker
        self._clients = clients
        self._clock = clock
        self._began_s = clock()
        self._leaving: list[CameraRun] = []  # that are being removed
        self._status_at_s = 0.0

    def make(self, prompts: Sequence[Prompt]) -> None:
        """Open the sockets of every camera; ConfigError. `prompts` are of the only one."""
        if isinstance(self.config, FleetConfig):
            self.common = self._maker.common_nodes(self.config)
        for name, config in camera_configs(self.config).items():
            self.cameras[name] = self._maker.camera(config, prompts, in_fleet=self.is_fleet)

    @property
    def is_fleet(self) -> bool:
        """Whether the run was started for several cameras."""
        return isinstance(self.config, FleetConfig)

    @property
    def groups(self) -> list[NodeGroup]:
        """Every group of nodes, those that are being removed, too."""
        common = [self.common] if self.common is not None else []
        return [*common, *self.cameras.values(), *self._leaving]

    @property
    def processes(self) -> list[SupervisedProcess]:
        """Every process."""
        return [process for group in self.groups for process in group.processes]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: every feed has ended, or the common nodes have failed."""
        if self.common is not None and self.common.finished:
            return True
        return all(camera.finished for camera in self.cameras.values())

    @property
    def error(self) -> StreamError | None:
        """What the run has failed of."""
        failed = {name: camera.error for name, camera in self.cameras.items() if camera.error is not None}
        if self.common is not None and self.common.error is not None:
            return self.common.error
        if not failed:
            return None
        first = next(iter(failed.values()))
        if not self.is_fleet:
            return first
        return CamerasFailedError(failed, all_of_them=len(failed) == len(self.cameras))

    # --- what the loop calls ---

    def start(self) -> None:
        """Start every process."""
        self._tell_cameras()
        for group in self.groups:
            group.start()

    def ask_for_masks(self) -> None:
        """Ask for the newest masks of each camera."""
        for camera in self.cameras.values():
            camera.ask_for_masks()

    def serve(self) -> None:
        """Serve what has come."""
        for camera in (*self.cameras.values(), *self._leaving):
            with about_camera(self._log_name(camera)):
                camera.serve()
        if self.common is not None:
            self._tell_cameras()
            self.common.serve()
            self._publish_ended(self.common)

    def watch(self) -> None:
        """Restart what has died or hangs; end what has finished, where others go on."""
        for group in self.groups:
            with about_camera(self._log_name(group)):
                group.watch()
        if not self.is_fleet:
            return
        for name, camera in self.cameras.items():
            if camera.finished and not camera.ending:
                with about_camera(name):
                    if camera.error is not None:
                        log.error("it has failed: %s", camera.error)
                    self._end(camera)
        for camera in [c for c in self._leaving if c.over]:
            self._leaving.remove(camera)
            camera.close()

    def _log_name(self, group: NodeGroup) -> str:
        return group.name if self.is_fleet else ""

    def act(self) -> None:
        """Carry out what requests have made the cameras decide."""
        for camera in self.cameras.values():
            camera.act()

    def take_reports(self) -> None:
        """Take what nodes report, while they end."""
        for group in self.groups:
            group.take_reports()

    def send_commands(self) -> None:
        """Send the commands that nodes have asked for."""
        for group in self.groups:
            group.sockets.send_commands()

    # --- the end ---

    def stop_nodes(self) -> None:
        """Tell every node to stop; those that are still to be forked never begin."""
        self._maker.make_no_more()
        for group in self.groups:
            group.stop()

    def take_errors(self) -> None:
        """Take what threads have ended with; a process reports its own."""
        for group in self.groups:
            for process in group.processes:
                if process.running is not None and process.running.error is not None:
                    group.end_with(process.running.error)

    def close(self) -> None:
        """Let go of journals and sockets."""
        for group in self.groups:
            group.close()
        self._maker.close()

    def _end(self, camera: CameraRun) -> None:
        """End one camera, while the others go on."""
        camera.stop()
        for process in camera.processes:
            process.stop(self._clock())

    # --- what is told of the run ---

    @property
    def bound(self) -> str:
        """Where masks are published, once that is known."""
        if self.common is not None:
            return self.common.bound
        return next((camera.bound for camera in self.cameras.values()), "")

    def summary(self) -> dict[str, Any]:
        """The run so far."""
        cameras = {name: camera.summary() for name, camera in self.cameras.items()}
        if self.common is None:
            return next(iter(cameras.values()))
        now_s = self._clock()
        common = self.common.summary(now_s)
        return summarise_fleet(
            cameras,
            common,
            malformed={**self._clients.malformed(), **self.common.malformed},
            refused=_added(self._clients.refused(), self.common.refused()),
            restarts=count_restarts(self.processes),
            elapsed_s=now_s - self._began_s,
            integrations=self.common.integrations(),
        )

    def _tell_cameras(self) -> None:
        """Tell the proxy and the page which cameras there are, where that has changed."""
        if self.common is not None:
            self.common.set_cameras({name: camera.publishes_at for name, camera in self.cameras.items()})

    def _publish_ended(self, common: CommonNodes) -> None:
        """Publish the status of cameras that have ended, in place of their publishers; tell all of the run's own."""
        if self._clock() < self._status_at_s:
            return
        self._status_at_s = self._clock() + STATUS_S
        for name, camera in self.cameras.items():
            camera.take_integrations(common.integrations())
            if camera.ending and camera.over:
                common.publish_status(name, camera.summary())

    # --- what changes while it runs ---

    def stop(self) -> None:
        """Have the run ended."""
        self.stop_requested = True

    def start_camera(self, config: Config) -> None:
        """Start one more; ConfigError where its sockets or its journal can't be had."""
        check_room_for_camera(threads=config.supervisor.threads)
        name = config.capture.camera
        self.cameras[name] = camera = self._maker.camera(config, in_fleet=True)
        camera.start()
        self._tell_cameras()

    def remove_camera(self, name: str) -> None:
        """End one, and forget it once it has ended."""
        camera = self.cameras.pop(name)
        self._end(camera)
        self._leaving.append(camera)
        self._tell_cameras()

    @property
    def count(self) -> int:
        """How many there are, those that are still being ended among them."""
        return len(self.cameras) + len(self._leaving)

    def is_leaving(self, name: str) -> bool:
        """Whether a camera of that name is still being ended."""
        return any(camera.name == name for camera in self._leaving)

    def configure(self, config: Config) -> dict[str, list[str]]:
        """Have the cameras go on with this config; which stages are restarted for it, by camera ("": of all)."""
        restarted: dict[str, set[str]] = {}
        for name, own in camera_configs(config).items():
            if (camera := self.cameras.get(name)) is not None and not camera.finished:
                graph = wiring(own, in_fleet=self.is_fleet)
                restarted[name] = _go_on(camera, self._maker.with_bound_endpoints(own), graph)
        if self.common is not None and isinstance(config, FleetConfig):
            restarted[""] = _go_on(self.common, *self._maker.common_config(config))
        self.config = config
        return {name: sorted(stages) for name, stages in restarted.items() if stages}


def _added(*counts: dict[str, int]) -> dict[str, int]:
    """The sums by key."""
    return {key: sum(c.get(key, 0) for c in counts) for key in dict.fromkeys(k for c in counts for k in c)}


def _go_on(group: NodeGroup, config: Config, graph: Graph) -> set[str]:
    """Have nodes go on with this config; the stages that are restarted for it."""
    stages = changed_stages((group.config, group.graph), (config, graph))
    group.configure(config, graph, stages)
    return stages


class CamerasFailedError(StreamError):
    """Cameras of a run have failed for good."""

    def __init__(self, errors: dict[str, StreamError], *, all_of_them: bool) -> None:
        super().__init__("; ".join(f"camera {name} has failed: {error}" for name, error in errors.items()))
        self.exit_code = next(iter(errors.values())).exit_code if all_of_them else 1
