"""A request to the run as a whole: which camera it names, and what the run can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from stream.errors import ControlError, nearest


class ServedCamera(Protocol):
    """A camera of the run."""

    @property
    def requests(self) -> Any:
        """Its CameraRequests."""

    def summary(self) -> dict[str, Any]:
        """The run of the camera so far."""


class ServedRun(Protocol):
    """What the methods about the run act on."""

    @property
    def cameras(self) -> Mapping[str, ServedCamera]:
        """Those that there are, by name."""

    @property
    def is_fleet(self) -> bool:
        """Whether the run was started for several cameras."""

    def summary(self) -> dict[str, Any]:
        """The run so far."""

    def add_camera(self, name: str, overlay: dict[str, Any] | None) -> dict[str, Any]:
        """Start one more; ControlError."""

    def remove_camera(self, name: str) -> dict[str, Any]:
        """End one; ControlError."""

    def reload(self) -> dict[str, Any]:
        """Read the config again; ControlError."""

    def stop(self) -> None:
        """End the run."""


@dataclass(frozen=True)
class RunCall:
    """A request, before it is known whom it is about."""

    run: ServedRun
    address: tuple[bytes, ...]  # of the client
    request_id: Any  # as the client wrote it
    params: dict[str, Any]
    now_s: float

    def accept_only(self, *keys: str) -> None:
        """Refuse parameters of other names; ControlError."""
        for key in self.params:
            if key not in keys:
                raise ControlError("bad_params", f"params: unknown key {key[:40]!r}; {nearest(key[:40], keys)}")

    def take_camera(self) -> ServedCamera:
        """The camera that the request names, or the only one; its name is a parameter no longer. ControlError."""
        names = self.run.cameras
        if "camera" not in self.params:
            if len(names) != 1:
                raise ControlError("which_camera", f"camera: needs the name of one: {', '.join(names) or 'none'}")
            return next(iter(names.values()))
        name = self.params.pop("camera")
        if not isinstance(name, str):
            raise ControlError("bad_params", "camera: needs a name")
        if name not in names:
            raise ControlError("unknown_camera", f"no camera {name[:64]!r}; there are: {', '.join(names) or 'none'}")
        return names[name]
