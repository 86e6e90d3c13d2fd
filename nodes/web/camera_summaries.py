"""A camera's status in, the few values of it that the grid shows out."""

from __future__ import annotations

from typing import Any

KEYS = ("state", "reason", "retry_in_s")


def summarise(status: dict[str, Any]) -> dict[str, Any]:
    """State, reason, when it is tried again, how many objects there are and how many of them are lost.

    Of a camera that shares a model: also the share of its frames that the model serves.
    """
    listed = status.get("objects")
    objects = [o for o in listed if isinstance(o, dict)] if isinstance(listed, list) else []
    lost = sum(o.get("state") == "lost" for o in objects)
    summary = {key: status.get(key) for key in KEYS} | {"objects": len(objects), "lost": lost}
    sharing = status.get("sharing")
    return summary | ({"service_ratio": sharing.get("service_ratio")} if isinstance(sharing, dict) else {})
