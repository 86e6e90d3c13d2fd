"""The methods about the run: pause, resume, snapshot, stats, shutdown."""

from __future__ import annotations

from typing import Any

from stream.supervision.requests.call import Call, Method


def pause(call: Call) -> dict[str, Any]:
    """Hold the feed."""
    call.session.pause()
    return {"paused": True}


def resume(call: Call) -> dict[str, Any]:
    """Let the feed go on."""
    call.session.resume()
    return {"paused": False}


def snapshot(call: Call) -> None:
    """Have the renderer write the newest frame; it answers with the paths."""
    call.session.objects.frame_size()
    call.session.take_snapshot(call.reply_later("renderer", "no frame came"))


def stats(call: Call) -> dict[str, Any]:
    """The run so far."""
    return call.context.summary()


def shutdown(call: Call) -> dict[str, Any]:
    """End the run; the reply goes out all the same, since the loop carries out the whole outbox first."""
    call.session.end_run()
    return {}


RUN_METHODS: dict[str, Method] = {
    "pause": pause,
    "resume": resume,
    "snapshot": snapshot,
    "stats": stats,
    "shutdown": shutdown,
}
