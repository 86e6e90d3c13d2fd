"""The summary of a run, from what its nodes have reported: --summary, the reply to `stats`, the status topic."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from stream.errors import StreamError
from stream.reports import SinkState
from stream.supervision.condition import REPEATED_S, Condition, Signs
from stream.supervision.lifecycle import SupervisedNode, SupervisedProcess, count_restarts
from stream.supervision.session import Session

SINKS = ("record", "picture", "save_masks")  # keys of the renderer's config
DAMAGE = ("damaged_packets", "corrupt_pictures", "too_large")  # what came of the source and was no whole picture
REFUSED = ("keys", "connections", "requests")  # that are not allowed; that find no room; that come too often
SHARED = ("frames", "served", "late", "replaced", "misses")  # asked for; answered; too late; gave way; overdue
INTEGRATIONS = {  # node -> its counters, and its gauges
    "mqtt": (("connections", "published", "dropped_events"), ("connected",)),
    "webhooks": (("delivered", "dead_letters", "dropped", "failed_attempts"), ("waiting", "failing")),
}
PUSHED = ("pushed", "passed_over", "connections")  # pictures to an RTSP server; those that gave way to newer ones
BUDGET = ("frame_ms", "encode_ms", "refinement_passes")  # what a frame may cost, what it costs, what it gets


def summarise(
    session: Session,
    nodes: Mapping[str, SupervisedNode],
    processes: Sequence[SupervisedProcess],
    *,
    malformed: Mapping[str, int],
    refused: Mapping[str, int] = MappingProxyType({}),
    elapsed_s: float,
    now_s: float = 0.0,
) -> dict[str, Any]:
    """The run so far: Contract 1's --summary. `malformed` and `refused` are of the supervisor's own sockets."""
    counters = {name: node.counters.totals(node.health) for name, node in nodes.items()}
    gauges = {name: node.health.progress.gauges if node.health else {} for name, node in nodes.items()}
    capture, tracker, decoder, publisher = (counters[n] for n in ("capture", "tracker", "decoder", "publisher"))
    summary: dict[str, Any] = {
        "phase": nodes["capture"].health.progress.phase if nodes["capture"].health else "starting",
        "frames": {
            "captured": _captured(session, capture),
            "passed_over": int(tracker.get("passed_over", 0)),
            "tracked": int(tracker.get("tracked", 0)),
            "decoded": int(decoder.get("decoded", 0)),
            "propagated": int(decoder.get("propagated", 0)),
            "failed": int(tracker.get("failed", 0) + decoder.get("failed", 0)),
        },
        "masks_published": int(publisher.get("published", 0)),
        "scenes_published": int(publisher.get("scenes", 0)),
        "latency_ms": {q: round(gauges["publisher"].get(f"latency_{q}", 0.0), 2) for q in ("p50", "p95", "p99")},
        "nodes": node_entries(nodes, processes, now_s),
        "restarts": count_restarts(processes),
        "reconnects": int(capture.get("reconnects", 0)),
        "sessions": int(gauges["capture"].get("session", 0)) + 1 if session.opened else 0,
        "objects": session.registry.list_objects(),
        "malformed": {**malformed, **{name: int(c.get("malformed", 0)) for name, c in counters.items()}},
        "refused": {
            kind: refused.get(kind, 0) + sum(int(c.get(f"refused_{kind}", 0)) for c in counters.values())
            for kind in REFUSED
        },
        "damage": {name: int(capture.get(name, 0)) for name in DAMAGE},
        "recent": {
            "captured_hz": round(nodes["capture"].recent.rate_hz("captured", now_s), 2),
            "decoded_hz": round(nodes["decoder"].recent.rate_hz("decoded", now_s), 2),
            "published_hz": round(nodes["publisher"].recent.rate_hz("published", now_s), 2),
            "latency_ms": {q: round(gauges["publisher"].get(f"recent_latency_{q}", 0.0), 2) for q in ("p50", "p95")},
        },
        "elapsed_s": round(elapsed_s, 3),
    }
    if "encode_ms" in gauges["decoder"]:  # the decoder chooses what it can afford (decoder.budget_ms)
        summary["budget"] = {key: round(gauges["decoder"][key], 1) for key in BUDGET}
    if "shared_ratio" in gauges["decoder"]:  # one of several cameras that one model serves
        summary["sharing"] = _sharing(decoder, gauges["decoder"])
    if gauges["decoder"].get("truth_count"):
        summary["truth"] = {"mean_iou": round(gauges["decoder"]["truth_iou"], 4)}
    renderer = nodes["renderer"].health
    states = dict(renderer.progress.sinks) if renderer else {}
    recorder = nodes[session.recorder].health
    states |= {key: state for key, state in (recorder.progress.sinks if recorder else {}).items() if key == "record"}
    summary["recording"] = bool(gauges[session.recorder].get("recording"))
    summary["recording_path"] = states["record"].path if "record" in states else ""
    if sinks := [key for key in SINKS if getattr(session.config.renderer, key) or key in states]:
        nodes_of = {"record": session.recorder}
        written = {key: int(counters[nodes_of.get(key, "renderer")].get(f"{key}_written", 0)) for key in sinks}
        may_be_empty = {"record"} if session.config.recording.when == "objects" else set()  # none may have come
        summary["sinks"] = {
            key: _sink(
                states.get(key, SinkState()), written[key], feed_ended=session.feed_ended and key not in may_be_empty
            )
            for key in sinks
        }
        summary["written"] = {
            key: {"path": states[key].path, "files": states[key].files, "pictures": written[key]}
            for key in sinks
            if key in states and written[key] and states[key].path
        }
    if session.config.renderer.rtsp_push:
        pushed, now = counters["renderer"], gauges["renderer"]
        summary["rtsp_push"] = {
            "connected": bool(now.get("push_connected")),
            **{key: int(pushed.get(f"push_{key}", 0)) for key in PUSHED},
            "error": states["rtsp_push"].error if "rtsp_push" in states else "",
        }
    return summary | integration_entries(nodes)


def integration_entries(nodes: Mapping[str, SupervisedNode]) -> dict[str, dict[str, int]]:
    """What the nodes that tell other systems say of it: those of them that there are."""
    found = {}
    for stage, (counters, gauges) in INTEGRATIONS.items():
        if (node := nodes.get(stage)) is not None:
            totals, now = node.counters.totals(node.health), node.health.progress.gauges if node.health else {}
            found[stage] = {key: int(totals.get(key, 0)) for key in counters}
            found[stage] |= {key: int(now.get(key, 0)) for key in gauges}
    return found


def _sharing(counters: Mapping[str, float], gauges: Mapping[str, float]) -> dict[str, Any]:
    """What became of the camera's requests to a shared model, and how its device serves all cameras."""
    counts = {key: int(counters.get(f"shared_{key}", 0)) for key in SHARED}
    return {
        **counts,
        "used_ms": round(counters.get("shared_used_ms", 0.0), 1),
        "service_ratio": round(gauges["shared_ratio"], 3),
        "device": {
            "batches": int(gauges["shared_batches"]),
            "busy_ms": round(gauges["shared_busy_ms"], 1),
            "batch_occupancy": round(gauges["shared_occupancy"], 3),
            "jain_index": round(gauges["shared_jain_index"], 3),
            "queue_age_ms": {q: round(gauges[f"shared_queue_{q}_ms"], 1) for q in ("p50", "p99")},
        },
    }


def _sink(state: SinkState, written: int, *, feed_ended: bool) -> str:
    """What became of something that was to be written; a run that is stopped before the first picture has nothing."""
    if state.error:
        return f"failed: {state.error}"
    if written:
        return "written"
    return "failed: no picture reached it" if feed_ended else "nothing written"


def _captured(session: Session, counters: Mapping[str, float]) -> int:
    """Frames captured; of a file those up to the newest, because capture reads some of them again after a restart."""
    newest = session.nodes["capture"].newest_frame_id
    return newest + 1 if not session.config.live and newest >= 0 else int(counters.get("captured", 0))


def node_entries(
    nodes: Mapping[str, SupervisedNode], processes: Iterable[SupervisedProcess], now_s: float
) -> dict[str, Any]:
    """What is known of each node."""
    process_of = {node.stage: process for process in processes for node in process.nodes}
    return {name: _node(node, process_of.get(name), now_s) for name, node in nodes.items()}


def _node(node: SupervisedNode, process: SupervisedProcess | None, now_s: float) -> dict[str, Any]:
    """One node; without a process where another host runs it."""
    health, totals = node.health, node.counters.totals(node.health)
    running = process.running if process else None
    return {
        "rate_hz": round(node.counters.rate_hz(health), 2),
        "recent_rate_hz": round(node.recent.rate_hz("steps", now_s), 2),
        "busy": round(node.counters.busy(health), 3),
        "restarts": process.policy.total if process else 0,
        "peak_rss_mb": round(max(node.counters.peak_rss_mb, health.peak_rss_mb if health else 0.0), 1),
        "rss_mb": round(health.rss_mb, 1) if health else 0.0,
        "pid": health.pid if health else (running.pid if running else 0),
        "step_ms": round(health.step_ms, 2) if health else 0.0,
        "dropped": int(totals.get("dropped", 0)),
        "transport_ms": round(totals.get("transport_ms", 0.0), 1),
    }


def measure_supervisor() -> dict[str, Any]:
    """The supervisor's own entry among the nodes of a summary."""
    return {
        "rate_hz": 0.0,
        "busy": 0.0,
        "restarts": 0,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "pid": os.getpid(),
    }


def describe_failure(error: StreamError | None) -> dict[str, Any]:
    """What a camera has failed of, for its summary; nothing where it has not."""
    return {} if error is None else {"state": "failed", "reason": str(error), "exit_code": error.exit_code}


def describe(condition: Condition, signs: Signs, now_s: float, unix_s: float) -> dict[str, Any]:
    """What is wrong with the feed, for the beginning of a summary."""
    return {
        "state": condition.state,
        "reason": condition.reason,
        "since": round(unix_s - (now_s - condition.since_s), 3),
        "frame_age_s": round(signs.frame_age_s, 2) if signs.opened else None,
        "retry_in_s": None if signs.retry_in_s is None else round(signs.retry_in_s, 1),
        "frozen": signs.frozen_s > REPEATED_S,
        "black": signs.black_s > REPEATED_S,
    }
