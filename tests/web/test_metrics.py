"""/metrics and /healthz: what a monitor is told, in Prometheus' terms; the dashboard and the pages name it."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families
from running import ROOT
from web.served import CAMERA, Page, browse, seen, served

STATUS = {
    "state": "running",
    "reason": "",
    "frame_age_s": 0.04,
    "frames": {"captured": 100, "passed_over": 7, "decoded": 90, "propagated": 3, "failed": 1},
    "masks_published": 93,
    "sharing": {
        "served": 80,
        "late": 6,
        "replaced": 4,
        "misses": 2,
        "used_ms": 2500.0,
        "service_ratio": 0.9,
        "device": {"batch_occupancy": 2.5, "jain_index": 0.98, "queue_age_ms": {"p50": 10.0, "p99": 250.0}},
    },
    "mqtt": {"connections": 2, "published": 90, "dropped_events": 3, "connected": 1},
    "webhooks": {"delivered": 7, "dead_letters": 1, "dropped": 2, "failed_attempts": 5, "waiting": 4, "failing": 1},
    "rtsp_push": {"connected": True, "pushed": 80, "passed_over": 6, "connections": 1, "error": ""},
    "reconnects": 2,
    "damage": {"damaged_packets": 5, "corrupt_pictures": 4, "too_large": 0},
    "objects": [{"id": 1, "state": "tracked"}, {"id": 2, "state": "lost"}, {"id": 3, "state": "tracked"}],
    "nodes": {
        "tracker": {"restarts": 1, "rss_mb": 100.0, "busy": 0.5, "step_ms": 12.0, "dropped": 0},
        "publisher": {"restarts": 0, "rss_mb": 50.0, "busy": 0.1, "step_ms": 1.0, "dropped": 4},
        "supervisor": {"restarts": 0, "peak_rss_mb": 40.0, "busy": 0.0},
    },
}


def publish_masks(it, age_ms):
    header = {
        "schema": "sam-pt-live/masks",
        "version": 1,
        "camera": CAMERA,
        "captured_ns": 1_000_000_000,
        "published_ns": 1_000_000_000 + age_ms * 1_000_000,
    }
    it.listener.publish([f"masks/{CAMERA}".encode(), json.dumps(header).encode()])


async def scrape(session, it):
    """(sample name, labels) -> value, and the families."""
    async with session.get(it.url + "metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        families = list(text_string_to_metric_families(await response.text()))
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}, families


async def told(session, it):
    """The samples, once the status has come."""
    it.publish_status(**STATUS)
    for age_ms in (4, 40, 40, 900):
        publish_masks(it, age_ms)
    samples = {}

    async def there():
        samples.update((await scrape(session, it))[0])
        return samples.get(("sam_pt_latency_seconds_count", (("camera", CAMERA),))) == 4

    for _ in range(3000):
        if await there():
            return samples
    raise AssertionError(samples)


def test_the_numbers_of_the_run_and_of_the_page_are_there():
    with served() as it:

        async def work(session):
            samples = await told(session, it)

            def value(name, **labels):
                return samples[name, tuple(sorted(labels.items()))]

            assert value("sam_pt_up", camera=CAMERA) == 1
            assert value("sam_pt_run_state", camera=CAMERA, state="running") == 1
            assert value("sam_pt_run_state", camera=CAMERA, state="ended") == 0
            assert value("sam_pt_run_state", camera=CAMERA, state="failed") == 0
            assert value("sam_pt_frames_captured_total", camera=CAMERA) == 100
            assert value("sam_pt_frames_decoded_total", camera=CAMERA) == 90
            assert value("sam_pt_frames_passed_over_total", camera=CAMERA, node="tracker") == 7
            assert value("sam_pt_frames_passed_over_total", camera=CAMERA, node="publisher") == 4
            assert value("sam_pt_frame_age_seconds", camera=CAMERA) == 0.04
            assert value("sam_pt_source_reconnects_total", camera=CAMERA) == 2
            assert value("sam_pt_shared_frames_total", camera=CAMERA, outcome="late") == 6
            assert value("sam_pt_shared_model_seconds_total", camera=CAMERA) == 2.5
            assert value("sam_pt_shared_jain_index", camera=CAMERA) == 0.98
            assert value("sam_pt_shared_queue_age_seconds", camera=CAMERA) == 0.25
            assert value("sam_pt_push_pictures_total", camera=CAMERA, outcome="passed_over") == 6
            assert value("sam_pt_mqtt_connected") == 1
            assert value("sam_pt_webhook_events_total", outcome="dead_letters") == 1
            assert value("sam_pt_webhook_waiting") == 4
            assert value("sam_pt_node_restarts_total", camera=CAMERA, node="tracker") == 1
            assert value("sam_pt_node_memory_bytes", camera=CAMERA, node="tracker") == 100 * 2**20
            assert value("sam_pt_node_memory_bytes", camera=CAMERA, node="supervisor") == 40 * 2**20
            assert value("sam_pt_objects", camera=CAMERA, state="tracked") == 2
            assert value("sam_pt_objects", camera=CAMERA, state="lost") == 1
            assert value("sam_pt_latency_seconds_bucket", camera=CAMERA, le="0.01") == 1
            assert value("sam_pt_latency_seconds_bucket", camera=CAMERA, le="0.05") == 3
            assert value("sam_pt_latency_seconds_bucket", camera=CAMERA, le="+Inf") == 4
            assert value("sam_pt_latency_seconds_sum", camera=CAMERA) == pytest.approx(0.984)
            assert value("process_resident_memory_bytes") > 2**20
            async with session.ws_connect(it.url + "ws") as socket:
                page = Page(socket)
                await page.say("look", camera=CAMERA)
                await socket.send_str("no message")
                await page.say("ping", t=1)
                await page.hears("pong")
                samples = (await scrape(session, it))[0]
                assert samples["sam_pt_web_viewers", ()] == 1
                assert samples["sam_pt_web_malformed_total", (("kind", "websocket"),)] == 1

        browse(work, it.link)


def test_names_follow_prometheus_rules_and_every_one_has_a_help_text():
    with served() as it:

        async def work(session):
            await told(session, it)
            for family in (await scrape(session, it))[1]:
                assert re.fullmatch(r"(sam_pt|process)_[a-z_]+", family.name), family.name
                assert family.documentation
                names = {s.name for s in family.samples}
                if family.type == "counter":
                    assert names <= {family.name + "_total"}
                assert not re.search(r"_(ms|mb|seconds_total|percent|count)$", family.name) or "cpu" in family.name

        browse(work, it.link)


def exposed():
    """The names of all samples."""
    found = set()
    with served() as it:

        async def work(session):
            found.update(name for name, _ in await told(session, it))

        browse(work, it.link)
    return found


def test_the_dashboard_and_the_operations_page_name_what_there_is():
    names = exposed()
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text("utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(expressions) >= 12
    shown = {name for text in expressions for name in re.findall(r"\b(?:sam_pt|process)_\w+", text)}
    assert shown <= names, shown - names
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    written = set(re.findall(r"^\| `(sam_pt_\w+)", page, flags=re.M))
    families = {
        re.sub(r"_(bucket|sum|count)$", "", n) if "latency" in n else n for n in names if n.startswith("sam_pt")
    }
    assert written == families


@pytest.mark.parametrize(
    ("status", "well"),
    [
        ({"state": "running"}, True),
        ({"state": "degraded", "reason": "frozen"}, True),
        ({"state": "starting"}, False),
        ({"state": "interrupted", "reason": "source_lost"}, False),
        ({"state": "paused"}, False),
        ({"state": "ended"}, True),
    ],
)
def test_health_is_one_word_without_a_login(status, well):
    with served() as it:

        async def work(session):
            async def asked():
                async with session.get(it.url + "healthz", headers={"Host": "any.name"}) as response:
                    return response.status, await response.text()

            assert await asked() == (503, "failing\n")  # nothing was heard yet
            it.publish_status(**status)
            if well:
                for _ in range(3000):
                    if await asked() == (200, "ok\n"):
                        return
                raise AssertionError("never well")
            await seen(it.listener.messages.empty)
            assert await asked() == (503, "failing\n")

        browse(work)
