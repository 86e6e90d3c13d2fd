"""The methods about the run: cameras, pause, resume, snapshot, record, stats, shutdown."""

from __future__ import annotations

from typing import Any

from stream.errors import ControlError
from stream.supervision.requests.call import Call, Method


def list_cameras(call: Call) -> dict[str, Any]:
    """The cameras of the run."""
    call.accept_only()
    return {"cameras": [call.session.config.capture.camera]}


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
    """Have the renderer record, or no longer; it answers with the path."""
    call.accept_only("on")
    on: Any = call.params.get("on")
    if not isinstance(on, bool):
        raise ControlError("bad_params", "on: needs true or false")
    call.session.record(on, call.reply_later("renderer", "it is being restarted"))


def stats(call: Call) -> dict[str, Any]:
    """The run so far."""
    call.accept_only()
    return call.context.summary()


def shutdown(call: Call) -> dict[str, Any]:
    """End the run; the reply goes out all the same, since the loop carries out the whole outbox first."""
    call.accept_only()
    call.session.end_run()
    return {}


RUN_METHODS: dict[str, Method] = {
    "list_cameras": list_cameras,
    "pause": pause,
    "resume": resume,
    "snapshot": snapshot,
    "record": record,
    "stats": stats,
    "shutdown": shutdown,
}
