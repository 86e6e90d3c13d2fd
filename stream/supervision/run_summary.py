"""The figures of a run, from what its nodes have told: --summary, the answer to `stats`, the status topic."""

from __future__ import annotations

import os
import resource
import time
from typing import Any, Protocol

from stream.settings.addresses import source_kind
from stream.settings.config import Config
from stream.supervision.lifecycle import Supervised
from stream.supervision.session import Session

BUDGET = ("frame_ms", "encode_ms", "refinement_passes")  # what a frame may cost, what it costs, what it gets


class Listener(Protocol):
    """What counts the messages that it could not read."""

    @property
    def malformed(self) -> int: ...


class Run(Protocol):
    """What the figures are drawn from; the supervisor is one."""

    config: Config
    nodes: dict[str, Supervised]
    director: Session
    began_s: float

    @property
    def reports(self) -> Listener: ...
    @property
    def commands(self) -> Listener: ...


def summary(run: Run) -> dict[str, Any]:
    """The figures of the run so far: Contract 1's --summary, and what `stats` answers."""
    count = {name: node.tally.numbers(node.health) for name, node in run.nodes.items()}
    finite = source_kind(run.config.capture.source) not in ("camera", "rtsp") and not run.config.live
    newest = run.nodes["capture"].tally.newest
    captured = newest + 1 if finite and newest >= 0 else int(count["capture"].get("captured", 0))
    tracked = int(count["tracker"].get("steps", 0))
    publisher = count["publisher"]
    capture = run.nodes["capture"].health
    summary: dict[str, Any] = {
        "phase": capture.phase if capture else "starting",
        "frames": {
            "captured": captured,
            "passed_over": int(count["tracker"].get("passed_over", 0)),
            "tracked": tracked,
            "decoded": int(count["decoder"].get("decoded", 0)),
            "propagated": int(count["decoder"].get("propagated", 0)),
            "failed": int(count["tracker"].get("failed", 0) + count["decoder"].get("failed", 0)),
        },
        "masks_published": int(publisher.get("published", 0)),
        "latency_ms": {q: round(publisher.get(f"latency_{q}", 0.0), 2) for q in ("p50", "p95", "p99")},
        "nodes": {name: _node(node) for name, node in run.nodes.items()},
        "reconnects": int(count["capture"].get("reconnects", 0)),
        "sessions": int(count["capture"].get("session", 0)) + 1 if run.director.opened else 0,
        "objects": run.director.registry.listed(),
        "malformed": {
            "control": run.director.desk.malformed,
            "reports": run.reports.malformed if run.config.graph.host else 0,
            "commands": run.commands.malformed if run.config.graph.host else 0,
            **{name: int(c.get("malformed", 0)) for name, c in count.items()},
        },
        "elapsed_s": round(time.monotonic() - run.began_s, 3),
    }
    summary["nodes"]["supervisor"] = {
        "rate_hz": 0.0,
        "busy": 0.0,
        "restarts": 0,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "pid": os.getpid(),
    }
    if "encode_ms" in count["decoder"]:  # the decoder chooses what it can afford (decoder.budget_ms)
        summary["budget"] = {key: round(count["decoder"][key], 1) for key in BUDGET}
    if count["decoder"].get("truth_count"):
        summary["truth"] = {"mean_iou": round(count["decoder"]["truth_iou"], 4)}
    return summary


def _node(node: Supervised) -> dict[str, Any]:
    numbers = node.tally.numbers(node.health)
    return {
        "rate_hz": round(node.tally.rate_hz(node.health), 2),
        "busy": round(node.tally.busy(node.health), 3),
        "restarts": node.policy.total,
        "peak_rss_mb": round(max(node.tally.peak_rss_mb, node.health.peak_rss_mb if node.health else 0.0), 1),
        "rss_mb": round(node.health.rss_mb, 1) if node.health else 0.0,
        "pid": node.health.pid if node.health else (node.life.pid if node.life else 0),
        "step_ms": round(node.health.step_ms, 2) if node.health else 0.0,
        "dropped": int(numbers.get("dropped", 0)),
        "transport_ms": round(numbers.get("transport_ms", 0.0), 1),
    }
