"""What the process of a device and its supervisor tell each other beside messages: a line each."""

from __future__ import annotations

import json

DEVICE = "device "  # begins the name of such a process: no camera's name has a space
_ENDED = "@ended "


def ended_line(camera: str, code: int) -> str:
    """The nodes of a camera have ended."""
    return _ENDED + json.dumps([camera, code])


def read_ended(line: str) -> tuple[str, int] | None:
    """The camera whose nodes have ended, and their exit code; None of any other line."""
    if not line.startswith(_ENDED):
        return None
    camera, code = json.loads(line.removeprefix(_ENDED))
    return str(camera), int(code)


def stop_line(camera: str) -> str:
    """The nodes of a camera are to end."""
    return json.dumps({"stop": camera})
