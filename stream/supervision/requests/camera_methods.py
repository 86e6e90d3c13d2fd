"""The methods about a camera's feed: pause, resume, snapshot, record."""

from __future__ import annotations

from typing import Any

from stream.errors import ControlError
from stream.supervision.requests.call import Call, Method


def pause(call: Call) -> dict[str, Any]:
    """Hold the feed."""
    call.accept_only()
    call.session.pause()
    return {"paused": True}


def resume(call: Call) -> dict[str, Any]:
    """Let the feed go on."""
    call.accept_only()
    call.session.resume()
    return {"paused": False}


def snapshot(call: Call) -> None:
    """Have the renderer write the newest frame; it answers with the paths."""
    call.accept_only()
    call.session.objects.frame_size()
    call.session.take_snapshot(call.reply_later("renderer", "no frame came"))


def record(call: Call) -> None:
    """Have what is recorded be recorded, or no longer; the node that does so answers with the path."""
    call.accept_only("on")
    on: Any = call.params.get("on")
    if not isinstance(on, bool):
        raise ControlError("bad_params", "on: needs true or false")
    call.session.record(on, call.reply_later(call.session.recorder, "it is being restarted"))


CAMERA_METHODS: dict[str, Method] = {
    "pause": pause,
    "resume": resume,
    "snapshot": snapshot,
    "record": record,
}
