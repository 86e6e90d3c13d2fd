"""Which cameras a run has: those of its config, and what requests have changed; `reload` reads the config again.

What requests have changed is written nowhere: it lasts as long as the run. A camera that was added by request stays
until it is removed, or the config names one so; one that was removed by request stays away until it is added again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import structs

from stream.errors import ConfigError, ControlError, StreamError
from stream.settings.cameras import camera_configs, check_paths, make_camera, refuse_files
from stream.settings.config import Config, FleetConfig
from stream.settings.presets import build_one, plain
from stream.supervision.fleet.camera_run import CameraRun
from stream.supervision.fleet.cameras import Cameras
from stream.supervision.fleet.changes import check_changes

log = logging.getLogger(__name__)

Overlay = dict[str, Any]


class WantedCameras:
    """The cameras that a config and requests ask for, without anything that runs."""

    def __init__(self, config: Config) -> None:
        self._config = config  # as it was read
        self._added: dict[str, Overlay] = {}
        self._removed: set[str] = set()

    def with_added(self, name: str, overlay: Overlay | None) -> FleetConfig:
        """The config with one more camera; without an overlay, the one that was removed. ConfigError."""
        assert isinstance(self._config, FleetConfig)
        added = dict(self._added)
        if overlay is not None or name not in self._config.cameras:
            added[name] = overlay or {}
        return _merged(self._config, added, self._removed - {name})

    def add(self, name: str, overlay: Overlay | None) -> None:
        """A camera was added by request."""
        self._removed.discard(name)
        assert isinstance(self._config, FleetConfig)
        if overlay is not None or name not in self._config.cameras:
            self._added[name] = overlay or {}

    def remove(self, name: str) -> None:
        """A camera was removed by request."""
        self._added.pop(name, None)
        assert isinstance(self._config, FleetConfig)
        if name in self._config.cameras:
            self._removed.add(name)

    def merged(self, config: Config) -> Config:
        """A config that was read again, with what requests have changed; ConfigError."""
        if not isinstance(config, FleetConfig):
            return config
        added = {name: overlay for name, overlay in self._added.items() if name not in config.cameras}
        return _merged(config, added, self._removed)

    def take(self, config: Config) -> None:
        """This is the config from now on, as it was read."""
        self._config = config
        if isinstance(config, FleetConfig):
            self._added = {name: overlay for name, overlay in self._added.items() if name not in config.cameras}


def _merged(config: FleetConfig, added: Mapping[str, Overlay], removed: set[str]) -> FleetConfig:
    below = plain(config)
    del below["cameras"]
    cameras = {name: own for name, own in config.cameras.items() if name not in removed}
    cameras |= {name: make_camera(name, below, overlay, build_one) for name, overlay in added.items()}
    if not cameras:
        raise ConfigError("no camera would be left; name one under `cameras:`")
    merged = structs.replace(config, cameras=cameras)
    check_paths(merged)
    return merged


class Membership:
    """What clients ask of the run as a whole (`requests/run_methods.py`)."""

    def __init__(
        self, cameras: Cameras, read_again: Callable[[], Config] | None, check: Callable[[Config, str], None]
    ) -> None:
        """`read_again`: the config anew; ConfigError.

        `check`: refuses a camera's config that can't work here; the text begins its message.
        """
        self._cameras = cameras
        self._read_again = read_again
        self._check = check
        self._wanted = WantedCameras(cameras.config)

    @property
    def cameras(self) -> Mapping[str, CameraRun]:
        """Those that there are, by name."""
        return self._cameras.cameras

    @property
    def is_fleet(self) -> bool:
        """Whether the run was started for several cameras."""
        return self._cameras.is_fleet

    def summary(self) -> dict[str, Any]:
        """The run so far."""
        return self._cameras.summary()

    def stop(self) -> None:
        """End the run."""
        self._cameras.stop()

    def add_camera(self, name: str, overlay: Overlay | None) -> dict[str, Any]:
        """Start one more; without an overlay, one that was removed. ControlError."""
        if not self.is_fleet:
            raise ControlError(
                "unsupported", "this run has one camera; several are started from a config with `cameras:`"
            )
        if name in self.cameras:
            raise ControlError("camera_exists", f"there is a camera {name!r} already; remove it first")
        if self._cameras.is_leaving(name):
            raise ControlError("busy", f"camera {name!r} is still being removed; try again")
        self._check_room()
        with _refused_as_bad_config():
            refuse_files(name, self._cameras.config, overlay or {})
            config = self._wanted.with_added(name, overlay)
            self._check(config.cameras[name], f"cameras.{name}: ")
            self._cameras.start_camera(config.cameras[name])
        self._wanted.add(name, overlay)
        self._cameras.configure(config)
        log.info("camera %s is added", name)
        return {"camera": name}

    def _check_room(self) -> None:
        """Refuse one camera too many; those that are still being ended take their memory, too. ControlError."""
        count, most = self._cameras.count, self._cameras.config.control.max_cameras
        if count >= most:
            raise ControlError(
                "too_many_cameras",
                f"there are {count} cameras, and requests may add up to {most}; remove one first, or start with "
                "--set control.max_cameras=N",
            )

    def remove_camera(self, name: str) -> dict[str, Any]:
        """End one; ControlError."""
        if name not in self.cameras:
            names = ", ".join(self.cameras)
            raise ControlError("unknown_camera", f"no camera {name[:64]!r}; there are: {names}")
        if len(self.cameras) == 1:
            raise ControlError("last_camera", f"{name} is the last camera; `shutdown` ends the run")
        self._wanted.remove(name)
        self._cameras.remove_camera(name)
        log.info("camera %s is removed", name)
        return {"camera": name}

    def reload(self) -> dict[str, Any]:
        """Read the config again, and change what has changed in it; ControlError, and nothing is changed."""
        if self._read_again is None:
            raise ControlError("unsupported", "this run can't read its config again")
        with _refused_as_bad_config():
            read = self._read_again()
            config = self._wanted.merged(read)
            self._check_changes(config)
            added = self._start_all(config)
        removed = [name for name in self.cameras if name not in camera_configs(config)]
        for name in removed:
            self._cameras.remove_camera(name)
        restarted = self._cameras.configure(config)
        self._wanted.take(read)
        log.info(
            "the config was read again; added: %s; removed: %s; restarted: %s",
            ", ".join(added) or "none",
            ", ".join(removed) or "none",
            ", ".join(f"{name}/{stage}".lstrip("/") for name, stages in restarted.items() for stage in stages)
            or "none",
        )
        return {"added": added, "removed": removed, "restarted": restarted}

    def _check_changes(self, config: Config) -> None:
        """Refuse what can't change, and cameras that can't work here; ConfigError."""
        check_changes(self._cameras.config, config)
        for name, own in camera_configs(config).items():
            if name in self.cameras:
                before = camera_configs(self._cameras.config)[name]
                check_changes(before, own, f"cameras.{name}." if self.is_fleet else "")
                if before == own:
                    continue
            elif not self.is_fleet:
                raise ConfigError(f"capture.camera can't change to {name!r} while the run goes on")
            elif self._cameras.is_leaving(name):
                raise ConfigError(f"camera {name!r} is still being removed; try again")
            self._check(own, f"cameras.{name}: " if self.is_fleet else "")

    def _start_all(self, config: Config) -> list[str]:
        """Start the cameras that are new, all of them or none; their names. ConfigError."""
        started: list[str] = []
        try:
            for name, own in camera_configs(config).items():
                if name not in self.cameras:
                    self._cameras.start_camera(own)
                    started.append(name)
        except Exception:
            for name in started:
                self._cameras.remove_camera(name)
            raise
        return started


@contextmanager
def _refused_as_bad_config() -> Iterator[None]:
    """What is wrong with a config refuses the request."""
    try:
        yield
    except (StreamError, OSError) as error:
        raise ControlError("bad_config", str(error)) from None
