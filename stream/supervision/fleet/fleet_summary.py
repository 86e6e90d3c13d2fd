"""The summary of a run of several cameras: each camera's own, the nodes that the run has once, and sums."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from stream.supervision.run_summary import measure_supervisor

FRAMES = ("captured", "passed_over", "tracked", "decoded", "propagated", "failed")


def summarise_fleet(
    cameras: Mapping[str, dict[str, Any]],
    common_nodes: Mapping[str, Any],
    *,
    malformed: Mapping[str, int],
    refused: Mapping[str, int],
    restarts: int,
    elapsed_s: float,
    integrations: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """`malformed` and `refused` are of the supervisor's own sockets to the outside, `restarts` of all processes."""
    own = list(cameras.values())
    return {
        "cameras": dict(cameras),
        "totals": {
            "cameras": len(own),
            "states": {state: sum(c["state"] == state for c in own) for state in sorted({c["state"] for c in own})},
            "frames": {key: sum(c["frames"][key] for c in own) for key in FRAMES},
            "masks_published": sum(c["masks_published"] for c in own),
            "published_hz": round(sum(c["recent"]["published_hz"] for c in own), 2),
            "objects": sum(len(c["objects"]) for c in own),
            "reconnects": sum(c["reconnects"] for c in own),
            "restarts": restarts,
        },
        "nodes": {**common_nodes, "supervisor": measure_supervisor()},
        "malformed": dict(malformed),
        "refused": dict(refused),
        "elapsed_s": round(elapsed_s, 3),
        **integrations,
    }
