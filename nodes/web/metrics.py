"""What `/metrics` says: the run's status, the page's own counts and its memory, in Prometheus' text form.

Names follow Prometheus' rules: base units (seconds, bytes), `_total` for what only grows, one thing a name. Nothing
in a label comes from a client, so no client can make the list grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from nodes.web.counts import Counts
from nodes.web.hub import Hub
from nodes.web.integration_metrics import integration_families

STATES = ("starting", "running", "degraded", "interrupted", "paused", "ended", "failed")
OBJECT_STATES = ("starting", "tracked", "uncertain", "lost", "reacquired")
SHARED = ["camera", "outcome"]
CONTENT_TYPE = CONTENT_TYPE_LATEST

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class Metrics:
    """A registry of its own, filled when it is asked for."""

    def __init__(self, hub: Hub, counts: Counts) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(RunCollector(hub))
        self._registry.register(PageCollector(hub, counts))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """All of it, as of now."""
        return generate_latest(self._registry)


class RunCollector(Collector):
    """What the run says of itself once a second, by camera."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Family]:
        """One family for each number."""
        runs = {camera: self._hub.status(camera) for camera in self._hub.cameras}
        up = GaugeMetricFamily("sam_pt_up", "1 while the run's publisher is heard", labels=["camera"])
        state = GaugeMetricFamily("sam_pt_run_state", "1 for the state that the run is in", labels=["camera", "state"])
        for camera, run in runs.items():
            up.add_metric([camera], float(bool(run) and not self._hub.silent))
            for name in STATES:
                state.add_metric([camera, name], float(run.get("state") == name))
        yield up
        yield state
        yield from self._frames(runs)
        yield from self._nodes(runs)
        yield from self._objects(runs)
        yield from self._sharing(runs)
        yield from integration_families(runs)
        yield self._latency()

    def _frames(self, runs: dict[str, dict[str, Any]]) -> Iterator[Family]:
        for name, key, text in (
            ("captured", "captured", "Frames that came from the source"),
            ("decoded", "decoded", "Frames that got masks of their own"),
            ("propagated", "propagated", "Frames whose masks were carried by points"),
            ("failed", "failed", "Frames that a model had no answer for"),
        ):
            family = CounterMetricFamily(f"sam_pt_frames_{name}", text, labels=["camera"])
            for camera, run in runs.items():
                family.add_metric([camera], number(run, "frames", key))
            yield family
        passed = CounterMetricFamily(
            "sam_pt_frames_passed_over", "Frames that a node had no time for", labels=["camera", "node"]
        )
        damage = CounterMetricFamily(
            "sam_pt_source_damage", "Damaged packets, corrupt and too large pictures", labels=["camera", "kind"]
        )
        for camera, run in runs.items():
            for node in nodes_of(run):
                skipped = number(run, "frames", "passed_over") if node == "tracker" else 0.0
                passed.add_metric([camera, node], skipped + number(run, "nodes", node, "dropped"))
            for kind in ("damaged_packets", "corrupt_pictures", "too_large"):
                damage.add_metric([camera, kind], number(run, "damage", kind))
        yield passed
        yield damage
        for name, path, text in (
            ("sam_pt_masks_published", ("masks_published",), "Masks messages that were published"),
            ("sam_pt_source_reconnects", ("reconnects",), "Times that the source was connected again"),
        ):
            family = CounterMetricFamily(name, text, labels=["camera"])
            for camera, run in runs.items():
                family.add_metric([camera], number(run, *path))
            yield family
        age = GaugeMetricFamily("sam_pt_frame_age_seconds", "Age of the newest frame", labels=["camera"])
        for camera, run in runs.items():
            if isinstance(run.get("frame_age_s"), int | float):
                age.add_metric([camera], number(run, "frame_age_s"))
        yield age

    def _nodes(self, runs: dict[str, dict[str, Any]]) -> Iterator[Family]:
        labels = ["camera", "node"]
        restarts = CounterMetricFamily("sam_pt_node_restarts", "Times that the node was restarted", labels=labels)
        memory = GaugeMetricFamily("sam_pt_node_memory_bytes", "Memory of the node's process in use", labels=labels)
        busy = GaugeMetricFamily("sam_pt_node_busy_ratio", "Share of its life that the node works", labels=labels)
        step = GaugeMetricFamily("sam_pt_node_step_seconds", "What a step took, lately", labels=labels)
        for camera, run in runs.items():
            for node in nodes_of(run):
                restarts.add_metric([camera, node], number(run, "nodes", node, "restarts"))
                used = number(run, "nodes", node, "rss_mb") or number(run, "nodes", node, "peak_rss_mb")
                memory.add_metric([camera, node], used * 2**20)
                busy.add_metric([camera, node], number(run, "nodes", node, "busy"))
                step.add_metric([camera, node], number(run, "nodes", node, "step_ms") / 1e3)
        yield from (restarts, memory, busy, step)

    def _objects(self, runs: dict[str, dict[str, Any]]) -> Iterator[Family]:
        family = GaugeMetricFamily("sam_pt_objects", "Objects that are followed, by state", labels=["camera", "state"])
        for camera, run in runs.items():
            objects = run.get("objects")
            states = [o.get("state") for o in objects if isinstance(o, dict)] if isinstance(objects, list) else []
            for state in OBJECT_STATES:
                family.add_metric([camera, state], float(states.count(state)))
        yield family

    def _sharing(self, runs: dict[str, dict[str, Any]]) -> Iterator[Family]:
        """Of cameras that share a model."""
        sharing = {camera: run["sharing"] for camera, run in runs.items() if isinstance(run.get("sharing"), dict)}
        requests = CounterMetricFamily(
            "sam_pt_shared_frames", "Frames that a shared model was asked for, by what became of them", labels=SHARED
        )
        for camera, own in sharing.items():
            for outcome in ("served", "late", "replaced"):
                requests.add_metric([camera, outcome], number(own, outcome))
        yield requests
        for kind, name, path, scale, text in (
            (
                CounterMetricFamily,
                "deadline_misses",
                ("misses",),
                1.0,
                "Requests that were served after their deadline",
            ),
            (CounterMetricFamily, "model_seconds", ("used_ms",), 1e-3, "Time of the shared model that was used"),
            (GaugeMetricFamily, "service_ratio", ("service_ratio",), 1.0, "Frames served of those asked for, lately"),
            (GaugeMetricFamily, "batch_occupancy", ("device", "batch_occupancy"), 1.0, "Requests in a batch"),
            (GaugeMetricFamily, "jain_index", ("device", "jain_index"), 1.0, "How even the service ratios are"),
            (
                GaugeMetricFamily,
                "queue_age_seconds",
                ("device", "queue_age_ms", "p99"),
                1e-3,
                "What 99 in 100 requests wait at most",
            ),
        ):
            family = kind(f"sam_pt_shared_{name}", text, labels=["camera"])
            for camera, own in sharing.items():
                family.add_metric([camera], scale * number(own, *path))
            yield family

    def _latency(self) -> Family:
        family = HistogramMetricFamily(
            "sam_pt_latency_seconds", "From capture of a frame to publishing its masks", labels=["camera"]
        )
        for camera, latencies in self._hub.latencies.items():
            family.add_metric([camera], latencies.buckets(), latencies.sum_s)
        return family


class PageCollector(Collector):
    """What the server itself counts."""

    def __init__(self, hub: Hub, counts: Counts) -> None:
        self._hub = hub
        self._counts = counts

    def collect(self) -> Iterator[Family]:
        """One family for each number."""
        counts, viewers = self._counts, self._hub.viewers
        sent, dropped = viewers.totals()
        yield GaugeMetricFamily("sam_pt_web_viewers", "Pages and streams that are open", value=len(viewers))
        yield GaugeMetricFamily("sam_pt_web_connections", "Connections that are open", value=counts.connections)
        for name, text, value in (
            ("scenes_sent", "Scenes that viewers were sent", sent),
            ("scenes_dropped", "Scenes that gave way to newer ones, since a viewer was slow", dropped),
            ("connections_refused", "Connections that found no room, or had to make room", counts.refused_connections),
            ("logins_refused", "Logins that were wrong or too many", counts.refused_logins),
            ("pages_closed", "Pages that were closed for what they did, or took nothing", counts.closed_pages),
        ):
            yield CounterMetricFamily(f"sam_pt_web_{name}", text, value=value)
        malformed = CounterMetricFamily("sam_pt_web_malformed", "What came and was no message", labels=["kind"])
        for kind, count in (
            ("http", counts.malformed_http),
            ("websocket", counts.malformed_messages),
            ("publisher", self._hub.malformed),
        ):
            malformed.add_metric([kind], count)
        yield malformed
        requests = CounterMetricFamily(
            "sam_pt_web_requests", "Requests by route and status", labels=["route", "status"]
        )
        for (route, status), count in sorted(counts.answered.items()):
            requests.add_metric([route, str(status)], count)
        yield requests


def nodes_of(run: dict[str, Any]) -> list[str]:
    """The names of a run's nodes."""
    nodes = run.get("nodes")
    return sorted(nodes)[:64] if isinstance(nodes, dict) else []


def number(tree: Any, *path: str) -> float:
    """The number at a path of keys; 0 where there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return float(tree) if isinstance(tree, int | float) else 0.0
