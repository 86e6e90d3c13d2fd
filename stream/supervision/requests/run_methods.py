"""The methods about the run: cameras, stats, reload, shutdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream.errors import ControlError
from stream.supervision.requests.run_call import RunCall

STATE = ("state", "reason", "since", "frame_age_s")  # of a camera, in the list


def list_cameras(call: RunCall) -> dict[str, Any]:
    """The cameras of the run; of a run of several how each is."""
    call.accept_only()
    if not call.run.is_fleet:
        return {"cameras": list(call.run.cameras)}
    cameras = {name: camera.summary() for name, camera in call.run.cameras.items()}
    states = {
        name: {key: summary[key] for key in STATE} | {"captured_hz": summary["recent"]["captured_hz"]}
        for name, summary in cameras.items()
    }
    return {"cameras": list(cameras), "states": states}


def add_camera(call: RunCall) -> dict[str, Any]:
    """Start one more camera, with what its config lays over that of the run."""
    call.accept_only("camera", "config")
    name, overlay = _name(call), call.params.get("config")
    if overlay is not None and not isinstance(overlay, dict):
        raise ControlError("bad_params", 'config: needs sections with keys, as in {"capture": {"source": ...}}')
    return call.run.add_camera(name, overlay)


def remove_camera(call: RunCall) -> dict[str, Any]:
    """End one camera."""
    call.accept_only("camera")
    return call.run.remove_camera(_name(call))


def reload(call: RunCall) -> dict[str, Any]:
    """Read the config again, and change what has changed in it."""
    call.accept_only()
    return call.run.reload()


def stats(call: RunCall) -> dict[str, Any]:
    """The run so far, of one camera or of all."""
    call.accept_only("camera")
    if "camera" in call.params or not call.run.is_fleet:
        return call.take_camera().summary()
    return call.run.summary()


def shutdown(call: RunCall) -> dict[str, Any]:
    """End the run; the reply goes out all the same, since the loop carries out the whole outbox first."""
    call.accept_only()
    call.run.stop()
    return {}


def _name(call: RunCall) -> str:
    name = call.params.get("camera")
    if not isinstance(name, str) or not name:
        raise ControlError("bad_params", "camera: needs a name")
    return name


RUN_METHODS: dict[str, Callable[[RunCall], dict[str, Any]]] = {
    "list_cameras": list_cameras,
    "add_camera": add_camera,
    "remove_camera": remove_camera,
    "reload": reload,
    "stats": stats,
    "shutdown": shutdown,
}
