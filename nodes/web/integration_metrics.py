"""What `/metrics` says of MQTT, webhooks and pushed streams: the run's statuses in, families out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

WEBHOOK_OUTCOMES = ("delivered", "dead_letters", "dropped")


def integration_families(runs: Mapping[str, Any]) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
    """Of what a run of several cameras has once, each status says the same."""
    mqtt, webhooks = once(runs, "mqtt"), once(runs, "webhooks")
    yield from pushed_streams(runs)
    if mqtt:
        yield GaugeMetricFamily("sam_pt_mqtt_connected", "1 while the broker is there", value=mqtt.get("connected", 0))
        for key, text in (
            ("published", "Messages that the broker has taken"),
            ("dropped_events", "Events that were not sent in time"),
            ("connections", "Connections to the broker"),
        ):
            yield CounterMetricFamily(f"sam_pt_mqtt_{key}", text, value=mqtt.get(key, 0))
    if webhooks:
        family = CounterMetricFamily(
            "sam_pt_webhook_events", "Events for receivers, by what became of them", labels=["outcome"]
        )
        for outcome in WEBHOOK_OUTCOMES:
            family.add_metric([outcome], webhooks.get(outcome, 0))
        yield family
        yield CounterMetricFamily(
            "sam_pt_webhook_failed_attempts", "Attempts that failed", value=webhooks.get("failed_attempts", 0)
        )
        yield GaugeMetricFamily("sam_pt_webhook_waiting", "Events that wait", value=webhooks.get("waiting", 0))
        yield GaugeMetricFamily(
            "sam_pt_webhook_failing", "Receivers whose last attempt failed", value=webhooks.get("failing", 0)
        )


def pushed_streams(runs: Mapping[str, Any]) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
    """Of each camera that is pushed to an RTSP server."""
    own = {camera: run["rtsp_push"] for camera, run in runs.items() if isinstance(run.get("rtsp_push"), dict)}
    connected = GaugeMetricFamily(
        "sam_pt_push_connected", "1 while the RTSP server takes the stream", labels=["camera"]
    )
    pictures = CounterMetricFamily(
        "sam_pt_push_pictures", "Pictures for an RTSP server, by what became of them", labels=["camera", "outcome"]
    )
    for camera, push in own.items():
        connected.add_metric([camera], float(bool(push.get("connected"))))
        for outcome in ("pushed", "passed_over"):
            pictures.add_metric([camera, outcome], push.get(outcome, 0))
    if own:
        yield from (connected, pictures)


def once(runs: Mapping[str, Any], key: str) -> dict[str, float]:
    """The numbers of what a run has once; none where it has none."""
    for run in runs.values():
        if isinstance(found := run.get(key), dict):
            return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
    return {}
